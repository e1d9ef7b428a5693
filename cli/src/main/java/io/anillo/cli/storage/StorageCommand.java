package io.anillo.cli.storage;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.image.Images;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolEvent;
import io.anillo.storage.pool.PoolOptions;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What all storage commands do alike: errors in one sentence, sizes with units. */
abstract class StorageCommand implements Callable<Integer> {
  private static final Pattern SIZE = Pattern.compile("(\\d{1,15})([kmgtpKMGTP]?)(?:i?[bB])?");
  private static final int FAILED = 4;

  @Spec private @Nullable CommandSpec spec;

  /** The command's work; what it throws is shown as one sentence. */
  abstract int run() throws IOException;

  @Override
  public Integer call() {
    try {
      return run();
    } catch (IOException failure) {
      System.err.println("anillo: " + failure.getMessage());
    } catch (IllegalArgumentException wrong) {
      System.err.println("anillo: " + wrong.getMessage());
    }
    return FAILED;
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

  static Pool openPool(List<Path> files, boolean degraded) throws IOException {
    PoolOptions options = PoolOptions.DEFAULT.withListener(StorageCommand::tell);
    List<Disk> disks = openDisks(files);
    try {
      return Pool.open(disks, degraded ? options.withMissing() : options);
    } catch (IOException failure) {
      for (Disk disk : disks) {
        disk.close();
      }
      throw failure;
    }
  }

  static List<Disk> openDisks(List<Path> files) throws IOException {
    List<Disk> disks = new ArrayList<>();
    try {
      for (Path file : files) {
        disks.add(FileDisk.open(file, FileDisk.Mode.READ_WRITE));
      }
    } catch (IOException failure) {
      for (Disk disk : disks) {
        disk.close();
      }
      throw failure;
    }
    return disks;
  }

  static void tell(PoolEvent event) {
    System.err.println(
        event.kind().name().toLowerCase(Locale.ROOT).replace('_', ' ')
            + ": "
            + event.subject()
            + ": "
            + event.message());
  }

  static Optional<char[]> passphrase(@Nullable Path file) throws IOException {
    if (file == null) {
      return Optional.empty();
    }
    String text = Files.readString(file, StandardCharsets.UTF_8).strip();
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
