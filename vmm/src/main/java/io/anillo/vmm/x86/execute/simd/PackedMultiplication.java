package io.anillo.vmm.x86.execute.simd;

/**
 * Packed integer multiplication on 64 bits: an MMX register, or either half of an XMM register
 * (Intel SDM vol. 2, PMULLW and following). {@code a} is the destination's old value, {@code b} the
 * source.
 */
public final class PackedMultiplication {
  private PackedMultiplication() {}

  private static int word(long value, int lane) {
    return (short) (value >> (lane << 4));
  }

  private static int unsignedWord(long value, int lane) {
    return (char) (value >>> (lane << 4));
  }

  /** Four words packed from the low 16 bits of each argument, lowest lane first. */
  private static long words(int word0, int word1, int word2, int word3) {
    return (word0 & 0xFFFFL)
        | (word1 & 0xFFFFL) << 16
        | (word2 & 0xFFFFL) << 32
        | (long) word3 << 48;
  }

  private static long doublewords(int low, int high) {
    return (low & 0xFFFFFFFFL) | (long) high << 32;
  }

  /** PMULLW. */
  public static long multiplyLowWords(long a, long b) {
    return words(
        word(a, 0) * word(b, 0),
        word(a, 1) * word(b, 1),
        word(a, 2) * word(b, 2),
        word(a, 3) * word(b, 3));
  }

  /** PMULHW. */
  public static long multiplyHighWords(long a, long b) {
    return words(
        word(a, 0) * word(b, 0) >> 16,
        word(a, 1) * word(b, 1) >> 16,
        word(a, 2) * word(b, 2) >> 16,
        word(a, 3) * word(b, 3) >> 16);
  }

  /** PMULHUW. */
  public static long multiplyHighUnsignedWords(long a, long b) {
    return words(
        unsignedWord(a, 0) * unsignedWord(b, 0) >>> 16,
        unsignedWord(a, 1) * unsignedWord(b, 1) >>> 16,
        unsignedWord(a, 2) * unsignedWord(b, 2) >>> 16,
        unsignedWord(a, 3) * unsignedWord(b, 3) >>> 16);
  }

  private static int roundedScaled(int a, int b) {
    return ((a * b >> 14) + 1) >> 1;
  }

  /** PMULHRSW. */
  public static long multiplyRoundedScaledWords(long a, long b) {
    return words(
        roundedScaled(word(a, 0), word(b, 0)),
        roundedScaled(word(a, 1), word(b, 1)),
        roundedScaled(word(a, 2), word(b, 2)),
        roundedScaled(word(a, 3), word(b, 3)));
  }

  /** PMULLD. */
  public static long multiplyLowDoublewords(long a, long b) {
    return doublewords((int) a * (int) b, (int) (a >>> 32) * (int) (b >>> 32));
  }

  /** PMULUDQ: the product of the low doublewords, unsigned. */
  public static long multiplyUnsignedDoublewords(long a, long b) {
    return (a & 0xFFFFFFFFL) * (b & 0xFFFFFFFFL);
  }

  /** PMULDQ: the product of the low doublewords, signed. */
  public static long multiplySignedDoublewords(long a, long b) {
    return (long) (int) a * (int) b;
  }

  /** PMADDWD: sums of two neighbouring products. */
  public static long multiplyAddWords(long a, long b) {
    return doublewords(
        word(a, 0) * word(b, 0) + word(a, 1) * word(b, 1),
        word(a, 2) * word(b, 2) + word(a, 3) * word(b, 3));
  }

  /**
   * PMADDUBSW: unsigned bytes of {@code a} times signed bytes of {@code b}, pairs summed,
   * saturated.
   */
  public static long multiplyAddBytes(long a, long b) {
    return words(
        bytePairSum(a, b),
        bytePairSum(a >>> 16, b >>> 16),
        bytePairSum(a >>> 32, b >>> 32),
        bytePairSum(a >>> 48, b >>> 48));
  }

  private static int bytePairSum(long a, long b) {
    int sum = (int) (a & 0xFF) * (byte) b + (int) (a >>> 8 & 0xFF) * (byte) (b >>> 8);
    return Math.clamp(sum, Short.MIN_VALUE, Short.MAX_VALUE);
  }
}
