package io.anillo.network;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** Runs the programs of Debian's packages that the tests use as peers. */
public final class Peers {
  /** How a program ended and what it printed, both streams together. */
  public record Result(int exitCode, String output) {}

  private Peers() {}

  /** Skips the test, with the reason, unless all programs are installed. */
  public static void require(String... programs) {
    for (String program : programs) {
      boolean found =
          Stream.of("/usr/bin", "/usr/sbin", "/bin", "/sbin")
              .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
      assumeTrue(found, program + " is not installed (tools/install-test-peers installs it)");
    }
  }

  /** Skips the test unless it runs as root, which network namespaces need. */
  public static void requireRoot() {
    assumeTrue(
        run(5, "id", "-u").output().strip().equals("0"), "needs root for network namespaces");
  }

  public static Result run(int timeoutSeconds, String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      StringBuilder output = new StringBuilder();
      Thread reader =
          Thread.ofVirtual()
              .start(() -> {
                try {
                  output.append(new String(process.getInputStream().readAllBytes()));
                } catch (IOException e) {
                  output.append(e);
                }
              });
      boolean ended = false;
      // Seconds in which this process did not run at all count as one.
      for (int i = 0; i < timeoutSeconds && !ended; i++) {
        ended = process.waitFor(1, TimeUnit.SECONDS);
      }
      if (!ended) {
        process.destroyForcibly();
        throw new AssertionError(List.of(command) + " did not end within " + timeoutSeconds + " s");
      }
      reader.join(2000);
      return new Result(process.exitValue(), output.toString());
    } catch (IOException | InterruptedException e) {
      throw new AssertionError(List.of(command) + " could not be run", e);
    }
  }

  /**
   * Waits until a condition holds, for half a minute of tries; on a machine that stands still
   * meanwhile, longer.
   */
  public static void await(String what, BooleanSupplier condition) throws InterruptedException {
    long waited = 0;
    while (waited < 30_000_000_000L) {
      long begin = System.nanoTime();
      if (condition.getAsBoolean()) {
        return;
      }
      Thread.sleep(25);
      waited += Math.min(1_000_000_000L, System.nanoTime() - begin);
    }
    throw new AssertionError("did not happen: " + what);
  }

  /** Runs a command that must succeed, and returns what it printed. */
  public static String succeed(String... command) {
    Result result = run(20, command);
    if (result.exitCode() != 0) {
      throw new AssertionError(List.of(command) + " failed: " + result.output());
    }
    return result.output();
  }
}
