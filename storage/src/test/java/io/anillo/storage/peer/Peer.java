package io.anillo.storage.peer;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/** Programs of others that the tests compare with. */
public final class Peer {
  private Peer() {}

  /**
   * What a program did.
   *
   * @param output its standard output and errors together
   */
  public record Outcome(int exitCode, String output) {}

  /** Skips the test when a program is absent. */
  public static void require(String... programs) {
    for (String program : programs) {
      boolean found =
          List.of(System.getenv("PATH").split(":")).stream()
              .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
      Assumptions.assumeTrue(found, program + " is not installed (tools/install-test-peers)");
    }
  }

  /** Runs a program to its end. */
  public static Outcome run(Object... command) {
    List<String> words = new ArrayList<>();
    for (Object word : command) {
      words.add(word.toString());
    }
    try {
      Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!process.waitFor(120, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AssertionError(String.join(" ", words) + " did not end");
      }
      return new Outcome(process.exitValue(), output);
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    } catch (InterruptedException interrupted) {
      throw new AssertionError(interrupted);
    }
  }

  /** Runs a program that must succeed, and returns what it said. */
  public static String succeed(Object... command) {
    Outcome outcome = run(command);
    if (outcome.exitCode() != 0) {
      throw new AssertionError(
          List.of(command) + " ended with " + outcome.exitCode() + ":\n" + outcome.output());
    }
    return outcome.output();
  }
}
