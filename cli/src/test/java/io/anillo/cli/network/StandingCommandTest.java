package io.anillo.cli.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.cli.Anillo;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A switch and a controller by command, each a process of its own, with Open vSwitch's tools. */
class StandingCommandTest {
  private @TempDir Path folder = Path.of("");
  private final List<Process> processes = new ArrayList<>();

  @BeforeEach
  void look() {
    for (String tool : List.of("ovs-ofctl", "openssl")) {
      assumeTrue(
          Files.isExecutable(Path.of("/usr/bin", tool)),
          tool + " is not installed (tools/install-test-peers installs it)");
    }
  }

  @AfterEach
  void stop() throws InterruptedException {
    for (Process process : processes) {
      process.destroy();
      process.waitFor(20, TimeUnit.SECONDS);
    }
  }

  private Process start(String... arguments) throws IOException {
    List<String> line =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Anillo.class.getName(),
                "network"));
    line.addAll(List.of(arguments));
    Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
    processes.add(process);
    return process;
  }

  /** Starts a command that stands, and returns where it says that it listens. */
  private String listening(String... arguments) throws IOException {
    BufferedReader said = start(arguments).inputReader();
    String line = said.readLine();
    assertThat(line).matches(".* listens at (tcp|ssl):127\\.0\\.0\\.1:[0-9]+");
    return line.substring(line.lastIndexOf(' ') + 1);
  }

  private static String run(String... command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  private static String flows(String where) throws IOException {
    return run("ovs-ofctl", "-O", "OpenFlow13", "dump-flows", where);
  }

  @Test
  void aSwitchIsProgrammedByOpenVSwitchsTool() throws Exception {
    String where = listening("switch", "--port", "user", "--id", "a1", "--listen", "127.0.0.1:0");
    assertThat(run("ovs-ofctl", "-O", "OpenFlow13", "show", where))
        .contains("dpid:00000000000000a1", "1(uplink)");
    assertThat(flows(where)).doesNotContain("priority");
    assertThat(run("ovs-ofctl", "-O", "OpenFlow13", "add-flow", where, "in_port=1,actions=IN_PORT"))
        .isEmpty();
    assertThat(flows(where)).contains("actions=IN_PORT");
  }

  @Test
  void aSwitchAloneLearnsAndOneWithAControllerObeys() throws Exception {
    String alone = listening("switch", "--fail", "standalone", "--listen", "127.0.0.1:0");
    assertThat(flows(alone)).contains("actions=NORMAL");
    String controller =
        listening("controller", "--application", "learning", "--listen", "127.0.0.1:0");
    String where =
        listening(
            "switch", "--listen", "127.0.0.1:0", "--controller", controller.replace("tcp:", ""));
    String found = "";
    for (int i = 0; i < 300 && !found.contains("CONTROLLER"); i++) {
      Thread.sleep(100);
      found = flows(where);
    }
    assertThat(found).contains("actions=CONTROLLER");
  }

  @Test
  void overTlsOnlyWhoHasACertificateIsHeard() throws Exception {
    String key = folder.resolve("server-key.pem").toString();
    String certificate = folder.resolve("server-cert.pem").toString();
    run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=switch",
        "-keyout",
        key,
        "-out",
        certificate);
    Files.copy(Path.of(certificate), folder.resolve("ca-cert.pem"));
    String where = listening("switch", "--tls", folder.toString(), "--listen", "127.0.0.1:0");
    assertThat(where).startsWith("ssl:");
    String[] secure = {
      "ovs-ofctl",
      "-O",
      "OpenFlow13",
      "--private-key=" + key,
      "--certificate=" + certificate,
      "--ca-cert=" + certificate,
      "show",
      where
    };
    assertThat(run(secure)).contains("dpid:0000000000000001");
    assertThat(run("ovs-ofctl", "-O", "OpenFlow13", "show", where.replace("ssl:", "tcp:")))
        .doesNotContain("dpid:");
  }

  @Test
  void whatIsWrongIsOneSentence() throws Exception {
    for (List<String> wrong :
        List.of(
            List.of("switch", "--fail", "never"),
            List.of("switch", "--listen", "127.0.0.1:99999"),
            List.of("switch", "--port", "packet=none-such"),
            List.of("switch", "--tls", "/none-such", "--listen", "127.0.0.1:0"),
            List.of("controller", "--application", "tea"))) {
      Process process = start(wrong.toArray(String[]::new));
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor()).as(said).isEqualTo(4);
      assertThat(said).startsWith("anillo: ").hasLineCount(1);
    }
  }
}
