package io.anillo.vmm.x86.execute.simd;

/**
 * Packed integer addition, subtraction, comparison, minimum, maximum and average on 64 bits: an MMX
 * register, or either half of an XMM register (Intel SDM vol. 2, PADDB and following).
 *
 * <p>Hot class: lanes are computed together within one {@code long} wherever that takes fewer
 * operations than one by one. In every function {@code a} is the destination's old value and {@code
 * b} the source.
 */
public final class PackedArithmetic {
  private static final long BYTE_SIGNS = 0x8080808080808080L;
  private static final long WORD_SIGNS = 0x8000800080008000L;
  private static final long DOUBLEWORD_SIGNS = 0x8000000080000000L;

  private PackedArithmetic() {}

  // ---- masks: from the sign bit of each lane to the whole lane ----------------------------------

  /** All ones in each byte whose top bit is set in {@code signs}; other bits must be clear. */
  private static long byteMask(long signs) {
    return (signs << 1) - (signs >>> 7);
  }

  private static long wordMask(long signs) {
    return (signs << 1) - (signs >>> 15);
  }

  private static long doublewordMask(long signs) {
    return (signs << 1) - (signs >>> 31);
  }

  // ---- wrapping addition and subtraction --------------------------------------------------------

  private static long add(long a, long b, long signs) {
    return ((a & ~signs) + (b & ~signs)) ^ ((a ^ b) & signs);
  }

  private static long subtract(long a, long b, long signs) {
    return ((a | signs) - (b & ~signs)) ^ ((a ^ ~b) & signs);
  }

  public static long addBytes(long a, long b) {
    return add(a, b, BYTE_SIGNS);
  }

  public static long addWords(long a, long b) {
    return add(a, b, WORD_SIGNS);
  }

  public static long addDoublewords(long a, long b) {
    return add(a, b, DOUBLEWORD_SIGNS);
  }

  public static long subtractBytes(long a, long b) {
    return subtract(a, b, BYTE_SIGNS);
  }

  public static long subtractWords(long a, long b) {
    return subtract(a, b, WORD_SIGNS);
  }

  public static long subtractDoublewords(long a, long b) {
    return subtract(a, b, DOUBLEWORD_SIGNS);
  }

  // ---- saturating addition and subtraction ------------------------------------------------------

  /** The top bit of each lane that carries out of {@code sum = a + b}. */
  private static long carries(long a, long b, long sum, long signs) {
    return ((a & b) | ((a | b) & ~sum)) & signs;
  }

  /** The top bit of each lane that borrows in {@code difference = a - b}. */
  private static long borrows(long a, long b, long difference, long signs) {
    return ((~a & b) | ((~a | b) & difference)) & signs;
  }

  public static long addUnsignedSaturatedBytes(long a, long b) {
    long sum = addBytes(a, b);
    return sum | byteMask(carries(a, b, sum, BYTE_SIGNS));
  }

  public static long addUnsignedSaturatedWords(long a, long b) {
    long sum = addWords(a, b);
    return sum | wordMask(carries(a, b, sum, WORD_SIGNS));
  }

  public static long subtractUnsignedSaturatedBytes(long a, long b) {
    long difference = subtractBytes(a, b);
    return difference & ~byteMask(borrows(a, b, difference, BYTE_SIGNS));
  }

  public static long subtractUnsignedSaturatedWords(long a, long b) {
    long difference = subtractWords(a, b);
    return difference & ~wordMask(borrows(a, b, difference, WORD_SIGNS));
  }

  /**
   * {@code result} where {@code overflowed} is clear, else the limit on the side of {@code a}'s
   * sign.
   */
  private static long saturateBytes(long a, long result, long overflowed) {
    long limit = 0x7F7F7F7F7F7F7F7FL + ((a & BYTE_SIGNS) >>> 7);
    return (result & ~overflowed) | (limit & overflowed);
  }

  private static long saturateWords(long a, long result, long overflowed) {
    long limit = 0x7FFF7FFF7FFF7FFFL + ((a & WORD_SIGNS) >>> 15);
    return (result & ~overflowed) | (limit & overflowed);
  }

  public static long addSignedSaturatedBytes(long a, long b) {
    long sum = addBytes(a, b);
    return saturateBytes(a, sum, byteMask(~(a ^ b) & (a ^ sum) & BYTE_SIGNS));
  }

  public static long addSignedSaturatedWords(long a, long b) {
    long sum = addWords(a, b);
    return saturateWords(a, sum, wordMask(~(a ^ b) & (a ^ sum) & WORD_SIGNS));
  }

  public static long subtractSignedSaturatedBytes(long a, long b) {
    long difference = subtractBytes(a, b);
    return saturateBytes(a, difference, byteMask((a ^ b) & (a ^ difference) & BYTE_SIGNS));
  }

  public static long subtractSignedSaturatedWords(long a, long b) {
    long difference = subtractWords(a, b);
    return saturateWords(a, difference, wordMask((a ^ b) & (a ^ difference) & WORD_SIGNS));
  }

  // ---- averages: (a + b + 1) / 2 without a carry out
  // ----------------------------------------------

  public static long averageBytes(long a, long b) {
    return (a | b) - (((a ^ b) & 0xFEFEFEFEFEFEFEFEL) >>> 1);
  }

  public static long averageWords(long a, long b) {
    return (a | b) - (((a ^ b) & 0xFFFEFFFEFFFEFFFEL) >>> 1);
  }

  // ---- comparisons: all ones where true
  // -----------------------------------------------------------

  /** The top bit of each lane of {@code a} that is zero. */
  private static long zeroLanes(long a, long signs) {
    return ~(((a & ~signs) + ~signs) | a | ~signs);
  }

  public static long equalBytes(long a, long b) {
    return byteMask(zeroLanes(a ^ b, BYTE_SIGNS));
  }

  public static long equalWords(long a, long b) {
    return wordMask(zeroLanes(a ^ b, WORD_SIGNS));
  }

  public static long equalDoublewords(long a, long b) {
    return doublewordMask(zeroLanes(a ^ b, DOUBLEWORD_SIGNS));
  }

  public static long equalQuadwords(long a, long b) {
    return a == b ? -1 : 0;
  }

  /** The top bit of each lane where {@code a > b}, signed: the true sign of {@code b - a}. */
  private static long greaterSigned(long a, long b, long signs) {
    long difference = subtract(b, a, signs);
    return (difference ^ ((b ^ a) & (b ^ difference))) & signs;
  }

  /** The top bit of each lane where {@code a > b}, unsigned. */
  private static long greaterUnsigned(long a, long b, long signs) {
    return borrows(b, a, subtract(b, a, signs), signs);
  }

  public static long greaterBytes(long a, long b) {
    return byteMask(greaterSigned(a, b, BYTE_SIGNS));
  }

  public static long greaterWords(long a, long b) {
    return wordMask(greaterSigned(a, b, WORD_SIGNS));
  }

  public static long greaterDoublewords(long a, long b) {
    return doublewordMask(greaterSigned(a, b, DOUBLEWORD_SIGNS));
  }

  public static long greaterQuadwords(long a, long b) {
    return a > b ? -1 : 0;
  }

  // ---- minimum and maximum
  // ------------------------------------------------------------------------

  private static long select(long mask, long whereSet, long whereClear) {
    return whereClear ^ ((whereSet ^ whereClear) & mask);
  }

  public static long maximumSignedBytes(long a, long b) {
    return select(greaterBytes(a, b), a, b);
  }

  public static long maximumSignedWords(long a, long b) {
    return select(greaterWords(a, b), a, b);
  }

  public static long maximumSignedDoublewords(long a, long b) {
    return select(greaterDoublewords(a, b), a, b);
  }

  public static long maximumUnsignedBytes(long a, long b) {
    return select(byteMask(greaterUnsigned(a, b, BYTE_SIGNS)), a, b);
  }

  public static long maximumUnsignedWords(long a, long b) {
    return select(wordMask(greaterUnsigned(a, b, WORD_SIGNS)), a, b);
  }

  public static long maximumUnsignedDoublewords(long a, long b) {
    return select(doublewordMask(greaterUnsigned(a, b, DOUBLEWORD_SIGNS)), a, b);
  }

  public static long minimumSignedBytes(long a, long b) {
    return select(greaterBytes(a, b), b, a);
  }

  public static long minimumSignedWords(long a, long b) {
    return select(greaterWords(a, b), b, a);
  }

  public static long minimumSignedDoublewords(long a, long b) {
    return select(greaterDoublewords(a, b), b, a);
  }

  public static long minimumUnsignedBytes(long a, long b) {
    return select(byteMask(greaterUnsigned(a, b, BYTE_SIGNS)), b, a);
  }

  public static long minimumUnsignedWords(long a, long b) {
    return select(wordMask(greaterUnsigned(a, b, WORD_SIGNS)), b, a);
  }

  public static long minimumUnsignedDoublewords(long a, long b) {
    return select(doublewordMask(greaterUnsigned(a, b, DOUBLEWORD_SIGNS)), b, a);
  }

  // ---- absolute value and sign (SSSE3)
  // ------------------------------------------------------------

  public static long absoluteBytes(long b) {
    long negative = byteMask(b & BYTE_SIGNS);
    return subtractBytes(b ^ negative, negative);
  }

  public static long absoluteWords(long b) {
    long negative = wordMask(b & WORD_SIGNS);
    return subtractWords(b ^ negative, negative);
  }

  public static long absoluteDoublewords(long b) {
    long negative = doublewordMask(b & DOUBLEWORD_SIGNS);
    return subtractDoublewords(b ^ negative, negative);
  }

  /** PSIGNB: {@code a} negated where {@code b} is negative, and zero where {@code b} is zero. */
  public static long signBytes(long a, long b) {
    long negative = byteMask(b & BYTE_SIGNS);
    return subtractBytes(a ^ negative, negative) & ~equalBytes(b, 0);
  }

  public static long signWords(long a, long b) {
    long negative = wordMask(b & WORD_SIGNS);
    return subtractWords(a ^ negative, negative) & ~equalWords(b, 0);
  }

  public static long signDoublewords(long a, long b) {
    long negative = doublewordMask(b & DOUBLEWORD_SIGNS);
    return subtractDoublewords(a ^ negative, negative) & ~equalDoublewords(b, 0);
  }

  // ---- sums of absolute differences
  // ---------------------------------------------------------------

  /** PSADBW: the sum of the absolute differences of eight unsigned bytes, zero-extended. */
  public static long sumAbsoluteDifferences(long a, long b) {
    long differences = subtractUnsignedSaturatedBytes(a, b) | subtractUnsignedSaturatedBytes(b, a);
    long pairs = (differences & 0x00FF00FF00FF00FFL) + (differences >>> 8 & 0x00FF00FF00FF00FFL);
    return (pairs * 0x0001000100010001L) >>> 48;
  }

  // ---- blends by a mask
  // ---------------------------------------------------------------------------

  /** PBLENDVB: {@code b}'s byte where the top bit of the mask's byte is set, else {@code a}'s. */
  public static long blendBytes(long a, long b, long mask) {
    return select(byteMask(mask & BYTE_SIGNS), b, a);
  }

  /** BLENDVPS: {@code b}'s doubleword where the top bit of the mask's doubleword is set. */
  public static long blendDoublewords(long a, long b, long mask) {
    return select(doublewordMask(mask & DOUBLEWORD_SIGNS), b, a);
  }

  /** BLENDVPD: {@code b} where the top bit of the mask is set. */
  public static long blendQuadwords(long a, long b, long mask) {
    return mask < 0 ? b : a;
  }
}
