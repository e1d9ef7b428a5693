package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Runs a command in a machine with nested AMD-V ({@code tools/nested-kvm}). */
final class NestedMachine {
  private static final String TOOL = "tools/nested-kvm";
  private static final String PATIENCE_SECONDS = "10000";

  private NestedMachine() {}

  /** The words of a JVM that starts soon, up to its main class. */
  static List<String> java() {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
  }

  private static Path tool() {
    Path top = Path.of("").toAbsolutePath();
    while (top.getParent() != null && !Files.exists(top.resolve(TOOL))) {
      top = top.getParent();
    }
    assumeTrue(Files.exists(top.resolve(TOOL)), TOOL + " is not in a directory above");
    return top.resolve(TOOL);
  }

  /** Runs a script of the shell, whose status has to be 0; what it printed. */
  static String run(String memory, String script) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(
                List.of(
                    tool().toString(),
                    "--memory",
                    memory,
                    "--timeout",
                    PATIENCE_SECONDS,
                    "sh",
                    "-c",
                    script))
            .redirectErrorStream(true)
            .start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    System.out.println(said);
    assertThat(process.waitFor()).as(said).isZero();
    return said;
  }
}
