package io.anillo.cli.image;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** A program of the host, run to its end with its output collected. */
final class HostCommand {
  private static final int EXCERPT_LINES = 3;

  /** What a program said. */
  record Result(int status, String output, String errors) {

    /** The last lines of what went wrong, on one line. */
    String excerpt() {
      List<String> lines =
          Stream.concat(errors.lines(), status == 0 ? Stream.empty() : output.lines())
              .map(String::strip)
              .filter(line -> !line.isEmpty())
              .toList();
      return String.join(
          "; ", lines.subList(Math.max(0, lines.size() - EXCERPT_LINES), lines.size()));
    }
  }

  /** Called now and then while the program runs, with the file that collects its error output. */
  @FunctionalInterface
  interface Watcher {
    void look(Path errors) throws IOException;
  }

  private HostCommand() {}

  /** Whether a program is in PATH, or in the directories where Debian keeps those for root. */
  static boolean exists(String program) {
    String path = System.getenv().getOrDefault("PATH", "") + ":/usr/sbin:/sbin";
    return Stream.of(path.split(":"))
        .filter(directory -> !directory.isEmpty())
        .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
  }

  static Result run(Path directory, List<String> command) throws ImageException {
    return run(directory, command, Map.of(), errors -> {});
  }

  /** Runs a program. It is killed when this thread is interrupted or the virtual machine exits. */
  static Result run(
      Path directory, List<String> command, Map<String, String> environment, Watcher watcher)
      throws ImageException {
    ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile());
    builder.environment().put("LC_ALL", "C");
    builder.environment().putAll(environment);
    builder.environment().merge("PATH", "/usr/sbin:/sbin", (path, extra) -> path + ":" + extra);
    builder.redirectInput(Path.of("/dev/null").toFile());
    Path output = null;
    Path errors = null;
    Process process = null;
    try {
      output = Files.createTempFile("anillo", ".out");
      errors = Files.createTempFile("anillo", ".err");
      builder.redirectOutput(output.toFile()).redirectError(errors.toFile());
      process = builder.start();
      Process running = process;
      Thread killer = new Thread(running::destroy);
      Runtime.getRuntime().addShutdownHook(killer);
      try {
        while (!process.waitFor(100, java.util.concurrent.TimeUnit.MILLISECONDS)) {
          watcher.look(errors);
        }
      } finally {
        removeHook(killer);
      }
      return new Result(
          process.exitValue(),
          Files.readString(output, StandardCharsets.ISO_8859_1),
          Files.readString(errors, StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
      throw new ImageException(
          command.getFirst() + " could not be run: " + e.getMessage() + ".", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ImageException(command.getFirst() + " was interrupted.", e);
    } finally {
      if (process != null) {
        process.destroy();
      }
      delete(output);
      delete(errors);
    }
  }

  private static void removeHook(Thread hook) {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The virtual machine is already going down; the hook does its work.
    }
  }

  private static void delete(@org.jspecify.annotations.Nullable Path file) throws ImageException {
    if (file == null) {
      return;
    }
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new ImageException("the temporary file " + file + " could not be deleted.", e);
    }
  }
}
