package io.anillo.vmm.x86.execute.simd;

/** The CRC32 instruction: polynomial 11EDC6F41H, bits reflected (Intel SDM vol. 2, CRC32). */
public final class Crc32 {
  private static final int REFLECTED_POLYNOMIAL = 0x82F63B78;

  /** Eight tables of 256: the remainder of a byte followed by 0 to 7 zero bytes. */
  private static final int[] TABLES = new int[8 * 256];

  static {
    for (int value = 0; value < 256; value++) {
      int remainder = value;
      for (int bit = 0; bit < 8; bit++) {
        remainder = remainder >>> 1 ^ ((remainder & 1) != 0 ? REFLECTED_POLYNOMIAL : 0);
      }
      TABLES[value] = remainder;
    }
    for (int index = 256; index < TABLES.length; index++) {
      int shorter = TABLES[index - 256];
      TABLES[index] = shorter >>> 8 ^ TABLES[shorter & 0xFF];
    }
  }

  private Crc32() {}

  /**
   * The remainder after a source of {@code sizeBytes} (1, 2, 4 or 8); the result is zero-extended.
   */
  public static long update(long remainder, long source, int sizeBytes) {
    long value = (remainder & 0xFFFFFFFFL) ^ source;
    int result = sizeBytes < 4 ? (int) remainder >>> (sizeBytes << 3) : 0;
    for (int index = 0; index < sizeBytes; index++) {
      result ^= TABLES[(sizeBytes - 1 - index) << 8 | (int) (value >>> (index << 3)) & 0xFF];
    }
    return result & 0xFFFFFFFFL;
  }
}
