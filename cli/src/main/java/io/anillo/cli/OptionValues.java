package io.anillo.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The forms that values of options have on the command line. */
final class OptionValues {
  private static final Pattern SIZE = Pattern.compile("(\\d{1,12})([kmgtKMGT]?)(?:i?[bB])?");
  private static final Pattern DURATION = Pattern.compile("(\\d{1,9})(ms|s|m|h|)");
  private static final long MEBIBYTE = 1 << 20;

  private OptionValues() {}

  /** {@code on} or {@code off}. */
  enum Switch {
    ON,
    OFF;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** {@code 512M}, {@code 2G}; without a unit, mebibytes. */
  record MemorySize(long bytes) {
    static MemorySize parse(String text) {
      Matcher size = SIZE.matcher(text);
      if (!size.matches()) {
        throw new TypeConversionException("'" + text + "' is not a size such as 512M or 2G");
      }
      int shift =
          switch (size.group(2).toLowerCase(Locale.ROOT)) {
            case "k" -> 10;
            case "g" -> 30;
            case "t" -> 40;
            default -> 20;
          };
      long number = Long.parseLong(size.group(1));
      if (number > Long.MAX_VALUE >> shift) {
        throw new TypeConversionException("'" + text + "' is more than any machine has");
      }
      long bytes = number << shift;
      if (bytes < 4 * MEBIBYTE || bytes % MEBIBYTE != 0) {
        throw new TypeConversionException("'" + text + "' is not at least 4M and a multiple of 1M");
      }
      return new MemorySize(bytes);
    }

    /** As a person would write it. */
    @Override
    public String toString() {
      return bytes % (1L << 30) == 0 ? (bytes >> 30) + "G" : (bytes >> 20) + "M";
    }
  }

  /** {@code 60s}, {@code 500ms}, {@code 2m}, {@code 1h}; without a unit, seconds. */
  static final class DurationConverter implements ITypeConverter<Duration> {
    @Override
    public Duration convert(String text) {
      Matcher duration = DURATION.matcher(text);
      if (!duration.matches() || Long.parseLong(duration.group(1)) == 0) {
        throw new TypeConversionException("'" + text + "' is not a time such as 60s or 5m");
      }
      long number = Long.parseLong(duration.group(1));
      return switch (duration.group(2)) {
        case "ms" -> Duration.ofMillis(number);
        case "m" -> Duration.ofMinutes(number);
        case "h" -> Duration.ofHours(number);
        default -> Duration.ofSeconds(number);
      };
    }
  }

  /** {@code stdio}, {@code file:PATH} or {@code none}. */
  sealed interface Serial {
    record Stdio() implements Serial {}

    record ToFile(Path file) implements Serial {}

    record None() implements Serial {}

    static Serial parse(String text) {
      if (text.equals("stdio")) {
        return new Stdio();
      }
      if (text.equals("none")) {
        return new None();
      }
      if (text.startsWith("file:") && text.length() > "file:".length()) {
        return new ToFile(path(text.substring("file:".length())));
      }
      throw new TypeConversionException("'" + text + "' is none of stdio, file:PATH and none");
    }
  }

  /** {@code debug-exit[,port=0xf4]}. */
  record DebugExit(int port) {
    private static final int DEFAULT_PORT = 0xF4;

    /** The device takes four ports. */
    private static final int LAST_PORT = 0xFFFC;

    static DebugExit parse(String text) {
      List<String> parts = commaSeparated(text);
      if (!parts.getFirst().equals("debug-exit")) {
        throw new TypeConversionException(
            "the device '" + parts.getFirst() + "' is not known; debug-exit is");
      }
      int port = DEFAULT_PORT;
      for (String part : parts.subList(1, parts.size())) {
        if (!part.startsWith("port=")) {
          throw new TypeConversionException(
              "'" + part + "' is not an option of debug-exit; port=NUMBER is");
        }
        try {
          port = Integer.decode(part.substring("port=".length()));
        } catch (NumberFormatException e) {
          port = -1;
        }
        if (port < 0 || port > LAST_PORT) {
          throw new TypeConversionException("'" + part + "' is not a port from 0 to 0xfffc");
        }
      }
      return new DebugExit(port);
    }
  }

  private static Path path(String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new TypeConversionException("'" + text + "' is not a file name");
    }
  }

  /** Splits at single commas; two in a row are one that belongs to the text. */
  static List<String> commaSeparated(String text) {
    List<String> parts = new ArrayList<>();
    StringBuilder part = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char next = text.charAt(i);
      if (next != ',') {
        part.append(next);
      } else if (i + 1 < text.length() && text.charAt(i + 1) == ',') {
        part.append(',');
        i++;
      } else {
        parts.add(part.toString());
        part.setLength(0);
      }
    }
    parts.add(part.toString());
    if (parts.getFirst().isEmpty()) {
      throw new TypeConversionException("'" + text + "' does not begin with a name");
    }
    return parts;
  }
}
