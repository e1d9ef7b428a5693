package io.anillo.cli.storage;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.image.Images;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolStatus;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What all storage commands do alike: errors in one sentence, sizes with units. */
abstract class StorageCommand implements Callable<Integer> {
  private static final Pattern SIZE = Pattern.compile("(\\d{1,15})([kmgtpKMGTP]?)(?:i?[bB])?");
  static final int FAILED = 4;

  @Spec private @Nullable CommandSpec spec;

  /** The command's work; what it throws is shown as one sentence. */
  abstract int run() throws IOException;

  @Override
  public Integer call() {
    try {
      return run();
    } catch (IOException failure) {
      System.err.println("anillo: " + sentence(failure));
    } catch (IllegalArgumentException wrong) {
      System.err.println("anillo: " + wrong.getMessage());
    }
    return FAILED;
  }

  /** What went wrong; the JDK's own errors of files say only which file it was. */
  static String sentence(IOException failure) {
    return switch (failure) {
      case NoSuchFileException absent -> absent.getFile() + " does not exist";
      case FileAlreadyExistsException present -> present.getFile() + " already exists";
      case AccessDeniedException denied ->
          denied.getFile() + " may not be opened: permission denied";
      case NotDirectoryException other -> other.getFile() + " is not a directory";
      default -> String.valueOf(failure.getMessage());
    };
  }

  static ImageFormat formatOf(String name) throws IOException {
    return ImageFormat.of(name);
  }

  static Images.Options options(boolean writable, @Nullable String format) throws IOException {
    Images.Options options = writable ? Images.Options.READ_WRITE : Images.Options.READ_ONLY;
    return options.as(format == null ? Optional.empty() : Optional.of(formatOf(format)));
  }

  /** {@code 10G}, {@code 512M}, {@code 4096}; bytes without a unit. */
  static final class SizeConverter implements CommandLine.ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      Matcher size = SIZE.matcher(text);
      if (!size.matches()) {
        throw new CommandLine.TypeConversionException(
            "'" + text + "' is not a size such as 512M or 10G");
      }
      String unit = size.group(2).toLowerCase(Locale.ROOT);
      int shift = unit.isEmpty() ? 0 : 10 * ("kmgtp".indexOf(unit) + 1);
      long number = Long.parseLong(size.group(1));
      if (number > (1L << 56) >> shift) {
        throw new CommandLine.TypeConversionException("'" + text + "' is too large");
      }
      return number << shift;
    }
  }

  /** As a person would write it. */
  static String size(long bytes) {
    String[] units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = bytes;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return value == Math.rint(value)
        ? "%d %s".formatted((long) value, units[unit])
        : "%.1f %s".formatted(value, units[unit]);
  }

  static Optional<char[]> passphrase(@Nullable Path file) throws IOException {
    if (file == null) {
      return Optional.empty();
    }
    String text;
    try {
      text = Files.readString(file, StandardCharsets.UTF_8).strip();
    } catch (CharacterCodingException binary) {
      throw new IOException(file + " holds no passphrase: it is not text in UTF-8", binary);
    }
    if (text.isEmpty()) {
      throw new IOException(file + " holds no passphrase");
    }
    return Optional.of(text.toCharArray());
  }

  final CommandSpec spec() {
    if (spec == null) {
      throw new IllegalStateException("picocli has set no spec");
    }
    return spec;
  }

  static <T> T given(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("picocli has not set a required parameter");
    }
    return value;
  }

  /** A command on an existing pool, named by all of its disks. */
  abstract static class OnPool extends StorageCommand {
    @Option(
        names = {"-d", "--disk"},
        paramLabel = "DISK",
        required = true,
        split = ",",
        description =
            "The pool's disks, all of them, in any order; one is enough while it is open.")
    List<Path> disks = List.of();

    @Option(names = "--degraded", description = "Open the pool although disks are missing.")
    boolean degraded;

    private Path folder = Path.of("");
    private PrintStream output = System.out;
    private InputStream input = System.in;

    /** Reads a command that another process wants to have carried out. */
    static OnPool parse(String[] words, Path folder, InputStream input, PrintStream output)
        throws IOException {
      CommandLine family =
          switch (words[0]) {
            case "pool" -> new CommandLine(new PoolCommand());
            case "volume" -> new CommandLine(new VolumeCommand());
            default -> throw new IOException(words[0] + " is no command on a pool");
          };
      CommandLine.ParseResult parsed;
      try {
        parsed = family.parseArgs(Arrays.copyOfRange(words, 1, words.length));
      } catch (ParameterException wrong) {
        throw new IOException(wrong.getMessage(), wrong);
      }
      if (!parsed.hasSubcommand()
          || !(parsed.subcommand().commandSpec().userObject() instanceof OnPool command)) {
        throw new IOException(String.join(" ", words) + " is no command on a pool");
      }
      command.folder = folder;
      command.output = output;
      command.input = input;
      return command;
    }

    final PrintStream out() {
      return output;
    }

    final InputStream input() {
      return input;
    }

    /** Whether the command reads the standard input. */
    boolean readsInput() {
      return false;
    }

    /** A path as the person who typed it means it. */
    final Path resolve(Path path) {
      return folder.resolve(path);
    }

    final @Nullable Path resolved(@Nullable Path path) {
      return path == null ? null : resolve(path);
    }

    /** The number of a disk that is named by it, its UUID or any way to write its path. */
    final String diskOf(Pool pool, String given) throws IOException {
      Path wanted = resolve(Path.of(given)).toAbsolutePath().normalize();
      for (PoolStatus.DiskStatus disk : pool.status().disks()) {
        boolean same = Path.of(disk.name()).toAbsolutePath().normalize().equals(wanted);
        if (same || disk.name().equals(given)) {
          return Integer.toString(disk.id());
        }
      }
      return given;
    }

    /** The command's work, in the process that has the pool open. */
    abstract int run(Pool pool) throws IOException;

    @Override
    int run() throws IOException {
      Optional<UUID> id = poolOf(disks.getFirst());
      if (id.isPresent()) {
        Optional<Integer> status = PoolControl.ask(id.get(), words(), readsInput());
        if (status.isPresent()) {
          return status.get();
        }
      }
      try (Pools.OpenPool open = Pools.open(disks, degraded)) {
        return run(open.pool());
      }
    }

    /** The command as it was typed, from the family's name on. */
    private String[] words() {
      CommandLine.ParseResult root = spec().root().commandLine().getParseResult();
      List<String> words = root.originalArgs();
      return words.toArray(String[]::new);
    }

    private static Optional<UUID> poolOf(Path disk) throws IOException {
      if (!Files.isReadable(disk)) {
        return Optional.empty();
      }
      try (Disk unlocked = FileDisk.peek(disk)) {
        return Pool.poolOf(unlocked);
      }
    }
  }

  /** A command that only has subcommands. */
  abstract static class Family implements Runnable {
    @Spec private @Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec == null) {
        throw new IllegalStateException("picocli has set no spec");
      }
      throw new ParameterException(
          spec.commandLine(),
          "'"
              + spec.qualifiedName()
              + "' needs a command: "
              + String.join(", ", spec.subcommands().keySet()));
    }
  }
}
