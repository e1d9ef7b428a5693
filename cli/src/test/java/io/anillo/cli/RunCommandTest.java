package io.anillo.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Exit statuses and messages of {@code anillo run}, each in a process of its own. */
class RunCommandTest {
  @TempDir private Path directory = Path.of("");
  private Path script = Path.of("");

  /** What a process did. */
  private record Result(int status, String output, String errors) {}

  @BeforeEach
  void writeScript() throws IOException {
    script = Files.writeString(directory.resolve("script"), "poweroff\n");
  }

  private Result run(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(command());
    command.addAll(List.of(arguments));
    File output = directory.resolve("output").toFile();
    File errors = directory.resolve("errors").toFile();
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(new File("/dev/null"))
            .redirectOutput(output)
            .redirectError(errors);
    builder.environment().put("ANILLO_HOME", directory.resolve("home").toString());
    Process process = builder.start();
    // A minute was too little on a machine that stood still.
    assertThat(process.waitFor(10, TimeUnit.MINUTES)).isTrue();
    return new Result(
        process.exitValue(), Files.readString(output.toPath()), Files.readString(errors.toPath()));
  }

  static List<String> command() {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        System.getProperty("java.class.path"),
        ScriptedMachine.Main.class.getName(),
        "run");
  }

  @Test
  void powerOffIsSuccess() throws Exception {
    Files.writeString(script, "say hello\npoweroff\n");
    Result result = run("--kernel", script.toString());
    assertThat(result).isEqualTo(new Result(0, "hello\r\n", ""));
  }

  @Test
  void resetUnderNoRebootIsSuccess() throws Exception {
    Files.writeString(script, "reset\nsay again\npoweroff\n");
    assertThat(run("--kernel", script.toString()).output()).isEqualTo("again\r\n");
    Result result = run("--kernel", script.toString(), "--no-reboot");
    assertThat(result).isEqualTo(new Result(0, "", ""));
  }

  @Test
  void debugExitGivesAnOddStatus() throws Exception {
    Files.writeString(script, "exit 3\n");
    assertThat(run("--kernel", script.toString(), "--device", "debug-exit").status()).isEqualTo(7);
  }

  @Test
  void timeLimitEndsTheRun() throws Exception {
    Files.writeString(script, "say waiting\n");
    Result result = run("--kernel", script.toString(), "--timeout", "300ms");
    assertThat(result.status()).isEqualTo(124);
    assertThat(result.errors()).contains("still running after 0.3 s");
  }

  @Test
  void monitorFaultLeavesAReportAndNoStackTrace() throws Exception {
    Files.writeString(script, "fault\n");
    Result result = run("--kernel", script.toString());
    assertThat(result.status()).isEqualTo(70);
    assertThat(result.errors()).hasLineCount(1).contains("please report it with the file");
    try (Stream<Path> reports = Files.list(directory.resolve("home/reports"))) {
      String report = Files.readString(reports.findFirst().orElseThrow());
      assertThat(report)
          .contains("a fault by script", "a scripted machine", "run --kernel", "at io.anillo");
    }
  }

  @Test
  void statisticsAreWrittenAsJson() throws Exception {
    Files.writeString(script, "say Anillo guest: here\npoweroff\n");
    Path statistics = directory.resolve("statistics.json");
    assertThat(run("--kernel", script.toString(), "--stats", statistics.toString()).status())
        .isZero();
    assertThat(Files.readString(statistics))
        .contains(
            "\"guestInstructions\": 42", "\"exitStatus\": 0", "\"firstUserSpaceLineMillis\": ");
  }

  @Test
  void serialLineGoesToAFile() throws Exception {
    Files.writeString(script, "say to the file\npoweroff\n");
    Path log = directory.resolve("log");
    Result result = run("--kernel", script.toString(), "--serial", "file:" + log);
    assertThat(result).isEqualTo(new Result(0, "", ""));
    assertThat(Files.readString(log)).isEqualTo("to the file\r\n");
  }

  @Test
  void optionsReachTheMachine() throws Exception {
    Files.writeString(script, "plan\npoweroff\n");
    Path disk = Files.writeString(directory.resolve("a,b.img"), "x");
    Result result =
        run(
            "--kernel",
            script.toString(),
            "--cpus",
            "3",
            "--memory",
            "1G",
            "--engine",
            "interpret",
            "--append",
            "one",
            "--append",
            "two",
            "--disk",
            disk.toString().replace(",", ",,") + ",format=raw,readonly",
            "--device",
            "debug-exit,port=0x501");
    assertThat(result.output())
        .contains(
            "cpus=3",
            "memoryBytes=" + (1L << 30),
            "engine=interpret",
            "commandLine=one two",
            "DiskOption[location=" + disk + ", format=RAW, readOnly=true, direct=false",
            "debugExitPort=OptionalInt[" + 0x501 + "]");
  }

  static Stream<Arguments> wrongUsages() {
    return Stream.of(
        Arguments.of(List.of("--memory", "lots"), "'lots' is not a size such as 512M or 2G"),
        Arguments.of(List.of("--memory", "1001K"), "not at least 4M and a multiple of 1M"),
        Arguments.of(List.of("--memory", "99999999999T"), "more than any machine has"),
        Arguments.of(List.of("--cpus", "0"), "--cpus 0 is not between 1 and 64"),
        Arguments.of(List.of("--cpus", "two"), "'two' is not an int"),
        Arguments.of(List.of("--engine", "warp"), "--engine"),
        Arguments.of(List.of("--disk", "x,format=qcow9"), "disk format 'qcow9' is not known"),
        Arguments.of(List.of("--disk", "x,fast"), "'fast' is not an option of a disk"),
        Arguments.of(List.of("--serial", "tcp:1"), "none of stdio, file:PATH and none"),
        Arguments.of(List.of("--device", "gpu"), "the device 'gpu' is not known"),
        Arguments.of(List.of("--device", "debug-exit,port=65533"), "not a port"),
        Arguments.of(List.of("--timeout", "soon"), "not a time such as 60s or 5m"),
        Arguments.of(List.of("--kernel"), "Missing required parameter"),
        Arguments.of(List.of("--frobnicate"), "Unknown option: '--frobnicate'"),
        Arguments.of(List.of("--serial", "stdio", "--serial", "stdio"), "only one serial line"));
  }

  @ParameterizedTest
  @MethodSource("wrongUsages")
  void wrongUsageIsOneSentenceAndStatus2(List<String> arguments, String message) {
    java.io.StringWriter errors = new java.io.StringWriter();
    List<String> all = new ArrayList<>(List.of("run"));
    all.addAll(arguments);
    int status =
        Anillo.commandLine(ScriptedMachine::new)
            .setErr(new java.io.PrintWriter(errors))
            .execute(all.toArray(String[]::new));
    assertThat(status).isEqualTo(2);
    assertThat(errors.toString())
        .contains(message)
        .contains("anillo run --help")
        .doesNotContain("\tat ");
    assertThat(errors.toString().lines().count()).isLessThanOrEqualTo(3);
  }

  @Test
  void anUnknownCommandIsNamed() {
    java.io.StringWriter errors = new java.io.StringWriter();
    int status =
        Anillo.commandLine(ScriptedMachine::new)
            .setErr(new java.io.PrintWriter(errors))
            .execute("boot");
    assertThat(status).isEqualTo(2);
    assertThat(errors.toString()).startsWith("anillo: there is no command 'boot'");
  }

  @Test
  void unusableFilesAndSizesAreOneSentenceAndStatus4() throws Exception {
    Map<List<String>, String> cases =
        Map.of(
            List.of("--kernel", "/nonexistent/kernel"),
            "there is no such file",
            List.of("--kernel", directory.toString()),
            "it is a directory",
            List.of("--kernel", script.toString(), "--initrd", "/nonexistent"),
            "--initrd",
            List.of("--kernel", script.toString(), "--disk", "/nonexistent"),
            "--disk",
            List.of("--kernel", script.toString(), "--stats", "/nonexistent/s"),
            "--stats",
            List.of("--kernel", script.toString(), "--memory", "900000G"),
            "--memory 900000G is more than the");
    for (Map.Entry<List<String>, String> refused : cases.entrySet()) {
      Result result = run(refused.getKey().toArray(String[]::new));
      assertThat(result.status()).as(refused.getValue()).isEqualTo(4);
      assertThat(result.errors()).hasLineCount(1).contains(refused.getValue());
    }
  }
}
