package io.anillo.vmm.x86.execute.simd;

/**
 * Packed shifts on 64 bits: an MMX register, or either half of an XMM register (Intel SDM vol. 2,
 * PSLLW and following), and the shifts of a whole 128-bit register by bytes.
 *
 * <p>Counts are unsigned 64-bit numbers: an immediate, or the low quadword of the source. Too large
 * a count gives zero, or copies of the sign.
 */
public final class PackedShifts {
  private PackedShifts() {}

  private static boolean atLeast(long count, int bits) {
    return Long.compareUnsigned(count, bits) >= 0;
  }

  public static long shiftLeftWords(long a, long count) {
    if (atLeast(count, 16)) {
      return 0;
    }
    return a << count & (0xFFFF << (int) count & 0xFFFF) * 0x0001000100010001L;
  }

  public static long shiftLeftDoublewords(long a, long count) {
    if (atLeast(count, 32)) {
      return 0;
    }
    return a << count & (0xFFFFFFFFL << count & 0xFFFFFFFFL) * 0x0000000100000001L;
  }

  public static long shiftLeftQuadwords(long a, long count) {
    return atLeast(count, 64) ? 0 : a << count;
  }

  public static long shiftRightWords(long a, long count) {
    if (atLeast(count, 16)) {
      return 0;
    }
    return a >>> count & (0xFFFF >>> (int) count) * 0x0001000100010001L;
  }

  public static long shiftRightDoublewords(long a, long count) {
    if (atLeast(count, 32)) {
      return 0;
    }
    return a >>> count & (0xFFFFFFFFL >>> count) * 0x0000000100000001L;
  }

  public static long shiftRightQuadwords(long a, long count) {
    return atLeast(count, 64) ? 0 : a >>> count;
  }

  public static long shiftRightArithmeticWords(long a, long count) {
    int shift = atLeast(count, 16) ? 15 : (int) count;
    long logical = a >>> shift & (0xFFFF >>> shift) * 0x0001000100010001L;
    long sign = (0x8000 >>> shift) * 0x0001000100010001L;
    // Sign extension of a lane of known width; flipping the sign first keeps borrows inside lanes.
    return PackedArithmetic.subtractWords(logical ^ sign, sign);
  }

  public static long shiftRightArithmeticDoublewords(long a, long count) {
    int shift = atLeast(count, 32) ? 31 : (int) count;
    return ((int) a >> shift & 0xFFFFFFFFL) | (long) ((int) (a >> 32) >> shift) << 32;
  }

  /** PSLLDQ, low half of the result; the count is in bytes, 0 to 255. */
  public static long shiftLeftBytesLow(long low, long high, int bytes) {
    return bytes >= 8 ? 0 : low << (bytes << 3);
  }

  /** PSLLDQ, high half of the result. */
  public static long shiftLeftBytesHigh(long low, long high, int bytes) {
    return bytes >= 16 ? 0 : window(0, low, high, 0, 16 - bytes);
  }

  /** PSRLDQ, low half of the result; the count is in bytes, 0 to 255. */
  public static long shiftRightBytesLow(long low, long high, int bytes) {
    return window(low, high, 0, 0, bytes);
  }

  /** PSRLDQ, high half of the result. */
  public static long shiftRightBytesHigh(long low, long high, int bytes) {
    return bytes >= 8 ? 0 : high >>> (bytes << 3);
  }

  /** PALIGNR on XMM registers, low half: bytes of the pair a:b from {@code bytes} on. */
  public static long alignRightLow(long aLow, long aHigh, long bLow, long bHigh, int bytes) {
    return window(bLow, bHigh, aLow, aHigh, bytes);
  }

  /** PALIGNR on XMM registers, high half. */
  public static long alignRightHigh(long aLow, long aHigh, long bLow, long bHigh, int bytes) {
    return window(bHigh, aLow, aHigh, 0, bytes);
  }

  /** PALIGNR on MMX registers. */
  public static long alignRight(long a, long b, int bytes) {
    return window(b, a, 0, 0, bytes);
  }

  /** Eight bytes from byte {@code bytes} on of four quadwords, with zeros above them. */
  private static long window(long word0, long word1, long word2, long word3, int bytes) {
    int shift = (bytes & 7) << 3;
    long low;
    long high;
    switch (bytes >>> 3) {
      case 0 -> {
        low = word0;
        high = word1;
      }
      case 1 -> {
        low = word1;
        high = word2;
      }
      case 2 -> {
        low = word2;
        high = word3;
      }
      case 3 -> {
        low = word3;
        high = 0;
      }
      default -> {
        return 0;
      }
    }
    // Shifting by 64 is shifting by 0 in Java, so the upper part goes in two steps.
    return low >>> shift | high << 1 << (63 - shift);
  }
}
