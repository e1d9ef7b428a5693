package io.anillo.storage.pool;

/**
 * Where a block or node lies and what its contents must hash to, in two 64-bit words. Word 0: kind
 * (bits 62–63), units (52–61), group (28–51), first unit (0–27). Word 1: CRC32C (32–63), the
 * version that wrote it (0–31). Word 0 is zero for what is not stored.
 */
final class BlockPointer {
  static final int UNIT_BITS = 12;
  static final int UNIT_BYTES = 1 << UNIT_BITS;
  static final int MAX_UNITS = 1023;
  static final int MAX_GROUPS = 1 << 24;
  static final int MAX_GROUP_UNITS = 1 << 28;

  private static final long PLAIN = 1L << 62;
  private static final long COMPRESSED = 2L << 62;

  private BlockPointer() {}

  static long location(int group, long unit, int units, boolean compressed) {
    return (compressed ? COMPRESSED : PLAIN) | (long) units << 52 | (long) group << 28 | unit;
  }

  static boolean compressed(long location) {
    return location < 0;
  }

  static int units(long location) {
    return (int) (location >>> 52) & 0x3ff;
  }

  static int group(long location) {
    return (int) (location >>> 28) & 0xffffff;
  }

  static int unit(long location) {
    return (int) (location & 0xfffffff);
  }

  static long check(int crc, int birth) {
    return (long) crc << 32 | Integer.toUnsignedLong(birth);
  }

  static int crc(long check) {
    return (int) (check >>> 32);
  }

  static int birth(long check) {
    return (int) check;
  }

  static String describe(long location) {
    return "group " + group(location) + " unit " + unit(location);
  }
}
