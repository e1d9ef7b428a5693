package io.anillo.storage.pool;

import java.io.IOException;
import java.util.Locale;

/**
 * How a volume's blocks are spread over disks.
 *
 * @param kind the scheme
 * @param data disks that hold different data: 1 for none and mirrors
 * @param extra disks that may fail: copies beyond the first, or parity columns
 */
public record Redundancy(Kind kind, int data, int extra) {
  public static final Redundancy NONE = new Redundancy(Kind.NONE, 1, 0);

  /** The schemes. */
  public enum Kind {
    NONE,
    STRIPED,
    MIRROR,
    PARITY
  }

  /** Checks the numbers. */
  public Redundancy {
    if (!valid(kind, data, extra)) {
      throw new IllegalArgumentException(
          "no such redundancy: " + kind + " with " + data + " data and " + extra + " extra disks");
    }
  }

  static boolean valid(Kind kind, int data, int extra) {
    return switch (kind) {
      case NONE -> data == 1 && extra == 0;
      case STRIPED -> data >= 2 && data <= 16 && extra == 0;
      case MIRROR -> data == 1 && extra >= 1 && extra <= 2;
      case PARITY -> data >= 2 && data <= 16 && extra >= 1 && extra <= 4;
    };
  }

  public static Redundancy striped(int disks) {
    return new Redundancy(Kind.STRIPED, disks, 0);
  }

  public static Redundancy mirror(int copies) {
    return new Redundancy(Kind.MIRROR, 1, copies - 1);
  }

  public static Redundancy parity(int data, int parity) {
    return new Redundancy(Kind.PARITY, data, parity);
  }

  /** Disks that one group needs. */
  public int width() {
    return data + extra;
  }

  /** Units are given out in multiples of this. */
  int granule() {
    return kind == Kind.PARITY ? data : 1;
  }

  /**
   * Reads {@code none}, {@code striped:3}, {@code mirror:2} or {@code parity:4+2}.
   *
   * @throws IOException when it is none of these
   */
  public static Redundancy parse(String text) throws IOException {
    String[] parts = text.toLowerCase(Locale.ROOT).split(":", 2);
    try {
      return switch (parts[0]) {
        case "none" -> NONE;
        case "striped" -> striped(Integer.parseInt(parts[1]));
        case "mirror" -> mirror(parts.length > 1 ? Integer.parseInt(parts[1]) : 2);
        case "parity" -> {
          String[] numbers = parts[1].split("\\+", 2);
          yield parity(Integer.parseInt(numbers[0]), Integer.parseInt(numbers[1]));
        }
        default -> throw new IllegalArgumentException();
      };
    } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException invalid) {
      throw new IOException(
          "\"%s\" is no redundancy; write none, striped:3, mirror:2, mirror:3 or parity:4+2"
              .formatted(text),
          invalid);
    }
  }

  @Override
  public String toString() {
    return switch (kind) {
      case NONE -> "none";
      case STRIPED -> "striped:" + data;
      case MIRROR -> "mirror:" + width();
      case PARITY -> "parity:" + data + "+" + extra;
    };
  }
}
