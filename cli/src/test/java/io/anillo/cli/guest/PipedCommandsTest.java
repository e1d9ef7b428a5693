package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.cli.Anillo;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code anillo run} as a process, its standard input a file with commands: they are run by the
 * guest's shell, the file's end ends it, and the statistics tell of the run.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class PipedCommandsTest {
  @TempDir private Path directory;

  @Test
  void commandsFromAFileAreRunByTheShellWhichEndsWithThem() throws Exception {
    LinuxGuest.requireDefaultGuest();
    // More than the guest's line buffer and the serial line's FIFO hold, without a line end.
    StringBuilder commands = new StringBuilder("sleep 1\nn=0\n");
    int steps = 500;
    for (int i = 0; i < steps; i++) {
      commands.append("n=$((n+").append(i).append("))\n");
    }
    commands.append("uname -s; echo sum $n; cat >/tmp/rest");
    Path input = Files.writeString(directory.resolve("input"), commands);
    Path output = directory.resolve("output");
    Path statistics = directory.resolve("statistics");

    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Anillo.class.getName(),
                "run"));
    command.addAll(
        List.of(
            "--engine",
            "interpret",
            "--memory",
            "256M",
            "--timeout",
            "5m",
            "--stats",
            "" + statistics));
    Process process =
        new ProcessBuilder(command)
            .redirectInput(input.toFile())
            .redirectOutput(output.toFile())
            .redirectError(new File(directory.toFile(), "errors"))
            .start();
    assertThat(process.waitFor(6, TimeUnit.MINUTES)).isTrue();

    String printed = Files.readString(output);
    assertThat(Files.readString(directory.resolve("errors"))).isEmpty();
    assertThat(process.exitValue()).as(printed).isZero();
    assertThat(printed).contains("\nLinux\r\nsum " + steps * (steps - 1) / 2 + "\r\n");
    check(Files.readString(statistics));
  }

  private static void check(String statistics) {
    assertThat(number(statistics, "guestInstructions")).isGreaterThan(1_000_000_000L);
    assertThat(number(statistics, "portRead")).isPositive();
    assertThat(number(statistics, "halted")).as("the guest slept").isPositive();
    long ring0 = number(statistics, "ring0");
    long ring3 = number(statistics, "ring3");
    long monitor = number(statistics, "monitor");
    long idle = number(statistics, "idle");
    assertThat(ring3).isPositive();
    assertThat(ring0).as("booting is the kernel's work").isGreaterThan(ring3);
    assertThat(idle).as("the guest slept").isGreaterThan(500);
    long start = number(statistics, "machineStartMillis");
    long end = number(statistics, "endMillis");
    assertThat(ring0 + ring3 + monitor + idle)
        .as("every moment is counted once")
        .isBetween((end - start) * 9 / 10, end - start + 10);
    assertThat(number(statistics, "firstRing3Millis"))
        .isBetween(start, number(statistics, "firstUserSpaceLineMillis"));
  }

  private static long number(String statistics, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\": (\\d+)").matcher(statistics);
    assertThat(matcher.find()).as(name + " in " + statistics).isTrue();
    return Long.parseLong(matcher.group(1));
  }
}
