package io.anillo.vmm.device.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * A small assembler for ACPI machine language (ACPI 6.5 chapter 20): each method gives the bytes of
 * one term.
 */
final class Aml {
  private static final int EXTENDED = 0x5B;

  private Aml() {}

  static byte[] join(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.writeBytes(part);
    }
    return out.toByteArray();
  }

  static byte[] bytes(int... values) {
    byte[] result = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = (byte) values[i];
    }
    return result;
  }

  /** A number in little-endian order. */
  static byte[] number(long value, int sizeBytes) {
    byte[] result = new byte[sizeBytes];
    for (int i = 0; i < sizeBytes; i++) {
      result[i] = (byte) (value >>> 8 * i);
    }
    return result;
  }

  /** A body preceded by its package length, which counts itself (§20.2.4). */
  private static byte[] sized(byte[] body) {
    int length = body.length;
    if (length + 1 <= 0x3F) {
      return join(bytes(length + 1), body);
    }
    int extra = length + 2 <= 0xFFF ? 1 : length + 3 <= 0xFFFFF ? 2 : 3;
    int total = length + 1 + extra;
    byte[] prefix = new byte[1 + extra];
    prefix[0] = (byte) (extra << 6 | total & 15);
    for (int i = 0; i < extra; i++) {
      prefix[i + 1] = (byte) (total >> 4 + 8 * i);
    }
    return join(prefix, body);
  }

  /** A name of up to four characters, padded; a leading backslash makes it absolute. */
  private static byte[] path(String name) {
    boolean root = name.startsWith("\\");
    String segment = root ? name.substring(1) : name;
    byte[] padded =
        segment.isEmpty()
            ? bytes(0)
            : (segment + "____").substring(0, 4).getBytes(StandardCharsets.US_ASCII);
    return root ? join(bytes('\\'), padded) : padded;
  }

  static byte[] integer(long value) {
    if (value == 0 || value == 1) {
      return bytes((int) value);
    }
    if (value >>> 8 == 0) {
      return join(bytes(0x0A), number(value, 1));
    }
    if (value >>> 16 == 0) {
      return join(bytes(0x0B), number(value, 2));
    }
    return value >>> 32 == 0
        ? join(bytes(0x0C), number(value, 4))
        : join(bytes(0x0E), number(value, 8));
  }

  static byte[] string(String value) {
    return join(bytes(0x0D), value.getBytes(StandardCharsets.US_ASCII), bytes(0));
  }

  /** A compressed identifier such as PNP0A03 (§19.3.4). */
  static byte[] eisaId(String id) {
    int vendor =
        (id.charAt(0) - 0x40 & 31) << 10
            | (id.charAt(1) - 0x40 & 31) << 5
            | id.charAt(2) - 0x40 & 31;
    int product = Integer.parseInt(id.substring(3), 16);
    return join(bytes(0x0C, vendor >> 8, vendor, product >> 8, product));
  }

  static byte[] name(String name, byte[] value) {
    return join(bytes(0x08), path(name), value);
  }

  static byte[] packageOf(byte[]... elements) {
    return join(bytes(0x12), sized(join(bytes(elements.length), join(elements))));
  }

  static byte[] buffer(byte[] content) {
    return join(bytes(0x11), sized(join(integer(content.length), content)));
  }

  static byte[] scope(String name, byte[]... terms) {
    return join(bytes(0x10), sized(join(path(name), join(terms))));
  }

  static byte[] device(String name, byte[]... terms) {
    return join(bytes(EXTENDED, 0x82), sized(join(path(name), join(terms))));
  }

  static byte[] method(String name, int arguments, byte[]... terms) {
    return join(bytes(0x14), sized(join(path(name), bytes(arguments), join(terms))));
  }

  /** Stores the first argument of a method. */
  static byte[] storeArgument0(String target) {
    return join(bytes(0x70, 0x68), path(target));
  }

  static byte[] returnName(String name) {
    return join(bytes(0xA4), path(name));
  }

  static byte[] ifName(String condition, byte[]... terms) {
    return join(bytes(0xA0), sized(join(path(condition), join(terms))));
  }

  // ---- resource descriptors (§6.4)
  // ----------------------------------------------------------------------------------

  static byte[] resources(byte[]... descriptors) {
    // The checksum of the end tag may be zero: "treat as good".
    return buffer(join(join(descriptors), bytes(0x79, 0)));
  }

  /** A fixed range of ports, decoded with 16 bits. */
  static byte[] ports(int first, int count) {
    return join(bytes(0x47, 1), number(first, 2), number(first, 2), bytes(1, count));
  }

  /** An ISA interrupt: edge, active high. */
  static byte[] interrupt(int number) {
    return join(bytes(0x22), number(1L << number, 2));
  }

  static byte[] fixedMemory(long base, long sizeBytes) {
    return join(bytes(0x86, 9, 0, 1), number(base, 4), number(sizeBytes, 4));
  }

  static byte[] busNumbers(int first, int last) {
    return window(0x88, 2, 2, 0x0C, 0, first, last);
  }

  static byte[] portWindow(int first, int last) {
    return window(0x88, 2, 1, 0x0C, 3, first, last);
  }

  static byte[] memoryWindow32(long first, long last) {
    return window(0x87, 4, 0, 0x0C, 1, first, last);
  }

  static byte[] memoryWindow64(long first, long last) {
    return window(0x8A, 8, 0, 0x0C, 1, first, last);
  }

  private static byte[] window(
      int tag, int width, int kind, int flags, int typeFlags, long first, long last) {
    byte[] body =
        join(
            bytes(kind, flags, typeFlags),
            number(0, width),
            number(first, width),
            number(last, width),
            number(0, width),
            number(last - first + 1, width));
    return join(bytes(tag), number(body.length, 2), body);
  }
}
