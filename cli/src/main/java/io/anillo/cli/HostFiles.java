package io.anillo.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * What the command checks of its host before a machine is made, so that each complaint names the
 * option.
 */
final class HostFiles {
  private static final Path MEMORY_INFORMATION = Path.of("/proc/meminfo");

  private HostFiles() {}

  static void requireReadable(String option, Path file) throws CommandException {
    if (!Files.exists(file)) {
      throw refused(option, file, "there is no such file");
    }
    if (Files.isDirectory(file)) {
      throw refused(option, file, "it is a directory");
    }
    if (!Files.isReadable(file)) {
      throw refused(option, file, "it may not be read");
    }
  }

  static void requireWritable(String option, Path file) throws CommandException {
    if (!Files.isWritable(file)) {
      throw refused(option, file, "it may not be written (',readonly' would do without)");
    }
  }

  static void requireCreatable(String option, Path file) throws CommandException {
    if (Files.isDirectory(file)) {
      throw refused(option, file, "it is a directory");
    }
    Path directory = file.toAbsolutePath().getParent();
    if (directory == null || !Files.isDirectory(directory)) {
      throw refused(option, file, "its directory does not exist");
    }
    if (!Files.isWritable(Files.exists(file) ? file : directory)) {
      throw refused(option, file, "it may not be written");
    }
  }

  private static CommandException refused(String option, Path file, String reason) {
    return new CommandException(
        ExitStatus.NOT_STARTED, option + " " + file + " cannot be used: " + reason + ".");
  }

  /** The host's memory; where the host does not say, any amount. */
  static long hostMemoryBytes() {
    if (!Files.isReadable(MEMORY_INFORMATION)) {
      return Long.MAX_VALUE;
    }
    try (Stream<String> lines = Files.lines(MEMORY_INFORMATION)) {
      return lines
          .filter(line -> line.startsWith("MemTotal:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) << 10)
          .findFirst()
          .orElse(Long.MAX_VALUE);
    } catch (IOException e) {
      return Long.MAX_VALUE;
    }
  }
}
