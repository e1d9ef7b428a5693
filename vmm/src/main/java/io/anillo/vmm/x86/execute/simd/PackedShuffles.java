package io.anillo.vmm.x86.execute.simd;

/**
 * Rearrangements of packed integers: unpack, pack, shuffle, extend, horizontal addition, blend
 * (Intel SDM vol. 2). Functions ending in {@code Low} and {@code High} give the two halves of a
 * 128-bit result; the others work on 64 bits and say which halves they are for.
 */
public final class PackedShuffles {
  private PackedShuffles() {}

  // ---- interleaving
  // -------------------------------------------------------------------------------

  /** The four low bytes of {@code value}, each in the low byte of a word. */
  private static long spreadBytes(long value) {
    long spread = value & 0xFFFFFFFFL;
    spread = (spread | spread << 16) & 0x0000FFFF0000FFFFL;
    return (spread | spread << 8) & 0x00FF00FF00FF00FFL;
  }

  /** The two low words of {@code value}, each in the low word of a doubleword. */
  private static long spreadWords(long value) {
    return (value & 0xFFFF) | (value & 0xFFFF0000L) << 16;
  }

  /**
   * PUNPCKLBW on MMX; on XMM the low (from low halves) half of it, or of PUNPCKHBW (from high
   * halves).
   */
  public static long unpackLowBytes(long a, long b) {
    return spreadBytes(a) | spreadBytes(b) << 8;
  }

  /**
   * PUNPCKHBW on MMX; on XMM the high half of PUNPCKLBW (from low halves) or PUNPCKHBW (from high).
   */
  public static long unpackHighBytes(long a, long b) {
    return spreadBytes(a >>> 32) | spreadBytes(b >>> 32) << 8;
  }

  public static long unpackLowWords(long a, long b) {
    return spreadWords(a) | spreadWords(b) << 16;
  }

  public static long unpackHighWords(long a, long b) {
    return spreadWords(a >>> 32) | spreadWords(b >>> 32) << 16;
  }

  public static long unpackLowDoublewords(long a, long b) {
    return (a & 0xFFFFFFFFL) | b << 32;
  }

  public static long unpackHighDoublewords(long a, long b) {
    return a >>> 32 | (b & 0xFFFFFFFF00000000L);
  }

  // ---- packing with saturation
  // --------------------------------------------------------------------
  // On MMX: pack(a, b). On XMM: low = pack(aLow, aHigh), high = pack(bLow, bHigh).

  /** PACKSSWB. */
  public static long packWordsSigned(long first, long second) {
    return packedWordsSigned(first) | packedWordsSigned(second) << 32;
  }

  /** PACKUSWB. */
  public static long packWordsUnsigned(long first, long second) {
    return packedWordsUnsigned(first) | packedWordsUnsigned(second) << 32;
  }

  /** PACKSSDW. */
  public static long packDoublewordsSigned(long first, long second) {
    return signedWord((int) first)
        | signedWord((int) (first >> 32)) << 16
        | signedWord((int) second) << 32
        | signedWord((int) (second >> 32)) << 48;
  }

  /** PACKUSDW. */
  public static long packDoublewordsUnsigned(long first, long second) {
    return unsignedWord((int) first)
        | unsignedWord((int) (first >> 32)) << 16
        | unsignedWord((int) second) << 32
        | unsignedWord((int) (second >> 32)) << 48;
  }

  private static long packedWordsSigned(long value) {
    return signedByte((short) value)
        | signedByte((short) (value >> 16)) << 8
        | signedByte((short) (value >> 32)) << 16
        | signedByte((short) (value >> 48)) << 24;
  }

  private static long packedWordsUnsigned(long value) {
    return unsignedByte((short) value)
        | unsignedByte((short) (value >> 16)) << 8
        | unsignedByte((short) (value >> 32)) << 16
        | unsignedByte((short) (value >> 48)) << 24;
  }

  private static long signedByte(int word) {
    return Math.min(Math.max(word, -128), 127) & 0xFF;
  }

  private static long unsignedByte(int word) {
    return Math.min(Math.max(word, 0), 255);
  }

  private static long signedWord(int doubleword) {
    return Math.min(Math.max(doubleword, -32768), 32767) & 0xFFFF;
  }

  private static long unsignedWord(int doubleword) {
    return Math.min(Math.max(doubleword, 0), 65535);
  }

  // ---- horizontal addition and subtraction (SSSE3)
  // ------------------------------------------------
  // On MMX: f(a, b). On XMM: low = f(aLow, aHigh), high = f(bLow, bHigh).

  /** The even words of two quadwords, those of {@code first} lowest. */
  private static long evenWords(long first, long second) {
    return (first & 0xFFFF) | (first >>> 16 & 0xFFFF0000L) | gatherHigh(second);
  }

  private static long gatherHigh(long second) {
    return (second & 0xFFFF) << 32 | (second << 16 & 0xFFFF000000000000L);
  }

  public static long horizontalAddWords(long first, long second) {
    return PackedArithmetic.addWords(
        evenWords(first, second), evenWords(first >>> 16, second >>> 16));
  }

  public static long horizontalAddSaturatedWords(long first, long second) {
    return PackedArithmetic.addSignedSaturatedWords(
        evenWords(first, second), evenWords(first >>> 16, second >>> 16));
  }

  public static long horizontalSubtractWords(long first, long second) {
    return PackedArithmetic.subtractWords(
        evenWords(first, second), evenWords(first >>> 16, second >>> 16));
  }

  public static long horizontalSubtractSaturatedWords(long first, long second) {
    return PackedArithmetic.subtractSignedSaturatedWords(
        evenWords(first, second), evenWords(first >>> 16, second >>> 16));
  }

  public static long horizontalAddDoublewords(long first, long second) {
    return (first + (first >>> 32) & 0xFFFFFFFFL) | second + (second >>> 32) << 32;
  }

  public static long horizontalSubtractDoublewords(long first, long second) {
    return (first - (first >>> 32) & 0xFFFFFFFFL) | second - (second >>> 32) << 32;
  }

  // ---- shuffles
  // -----------------------------------------------------------------------------------

  /** PSHUFB on MMX. */
  public static long shuffleBytes(long a, long b) {
    long result = 0;
    for (int lane = 0; lane < 64; lane += 8) {
      int index = (int) (b >>> lane);
      if ((index & 0x80) == 0) {
        result |= (a >>> ((index & 7) << 3) & 0xFF) << lane;
      }
    }
    return result;
  }

  /** PSHUFB on XMM: one half of the result, chosen by that half of the source. */
  public static long shuffleBytes(long aLow, long aHigh, long bHalf) {
    long result = 0;
    for (int lane = 0; lane < 64; lane += 8) {
      int index = (int) (bHalf >>> lane);
      if ((index & 0x80) == 0) {
        long half = (index & 8) == 0 ? aLow : aHigh;
        result |= (half >>> ((index & 7) << 3) & 0xFF) << lane;
      }
    }
    return result;
  }

  /** PSHUFW; also the shuffled half of PSHUFLW and PSHUFHW. */
  public static long shuffleWords(long b, int order) {
    return (b >>> ((order & 3) << 4) & 0xFFFF)
        | (b >>> ((order & 12) << 2) & 0xFFFF) << 16
        | (b >>> (order & 48) & 0xFFFF) << 32
        | b >>> ((order & 192) >> 2) << 48;
  }

  private static long doubleword(long low, long high, int index) {
    long half = (index & 2) == 0 ? low : high;
    return half >>> ((index & 1) << 5) & 0xFFFFFFFFL;
  }

  /** PSHUFD (and the low half of SHUFPS), from the two low index pairs of {@code order}. */
  public static long shuffleDoublewordsLow(long low, long high, int order) {
    return doubleword(low, high, order) | doubleword(low, high, order >> 2) << 32;
  }

  /** PSHUFD (and, from the source, the high half of SHUFPS), from the two high index pairs. */
  public static long shuffleDoublewordsHigh(long low, long high, int order) {
    return doubleword(low, high, order >> 4) | doubleword(low, high, order >> 6) << 32;
  }

  // ---- extension (SSE4.1)
  // -------------------------------------------------------------------------
  // Each extends the low bits of its argument to 64 bits; the high half shifts the source first.

  /** PMOVZXBW from the low four bytes. */
  public static long zeroExtendBytesToWords(long source) {
    return spreadBytes(source);
  }

  /** PMOVZXBD from the low two bytes. */
  public static long zeroExtendBytesToDoublewords(long source) {
    return (source & 0xFF) | (source & 0xFF00) << 24;
  }

  /** PMOVZXWD from the low two words. */
  public static long zeroExtendWordsToDoublewords(long source) {
    return spreadWords(source);
  }

  /** PMOVSXBW from the low four bytes. */
  public static long signExtendBytesToWords(long source) {
    return PackedShifts.shiftRightArithmeticWords(spreadBytes(source) << 8, 8);
  }

  /** PMOVSXBD from the low two bytes. */
  public static long signExtendBytesToDoublewords(long source) {
    return ((byte) source & 0xFFFFFFFFL) | (long) (byte) (source >> 8) << 32;
  }

  /** PMOVSXWD from the low two words. */
  public static long signExtendWordsToDoublewords(long source) {
    return ((short) source & 0xFFFFFFFFL) | (long) (short) (source >> 16) << 32;
  }

  // ---- blends by an immediate
  // ---------------------------------------------------------------------

  /** PBLENDW on one half: its words are chosen by the low four bits of {@code selection}. */
  public static long blendWords(long a, long b, int selection) {
    long bits =
        (selection & 1) | (selection & 2) << 15 | (selection & 4L) << 30 | (selection & 8L) << 45;
    long mask = bits * 0xFFFF;
    return (a & ~mask) | (b & mask);
  }

  /** BLENDPS on one half: its doublewords are chosen by the low two bits of {@code selection}. */
  public static long blendDoublewords(long a, long b, int selection) {
    long mask = ((selection & 1) | (selection & 2L) << 31) * 0xFFFFFFFFL;
    return (a & ~mask) | (b & mask);
  }

  // ---- insertion and masks
  // ------------------------------------------------------------------------

  /** PINSRB, PINSRW, PINSRD into a quadword: {@code lane} counts elements of {@code bits} bits. */
  public static long insert(long a, long element, int lane, int bits) {
    long mask = bits == 64 ? -1 : (1L << bits) - 1;
    int shift = lane * bits;
    return (a & ~(mask << shift)) | (element & mask) << shift;
  }

  /** PMOVMSKB on one half: the top bits of its eight bytes. */
  public static int signsOfBytes(long b) {
    // The multiplication gathers bits 7, 15, ... 63 into the top byte without two terms meeting.
    return (int) ((b >>> 7 & 0x0101010101010101L) * 0x0102040810204080L >>> 56);
  }

  /** MOVMSKPS on one half: the signs of its two doublewords. */
  public static int signsOfDoublewords(long b) {
    return (int) (b >>> 31 & 1) | (int) (b >>> 62 & 2);
  }

  /** INSERTPS, low half; {@code element} is the doubleword already chosen from the source. */
  public static long insertSingleLow(long aLow, int element, int immediate) {
    return insertedSingle(aLow, element, immediate >> 4 & 3, immediate);
  }

  /** INSERTPS, high half. */
  public static long insertSingleHigh(long aHigh, int element, int immediate) {
    return insertedSingle(aHigh, element, (immediate >> 4 & 3) - 2, immediate >> 2);
  }

  private static long insertedSingle(long half, int element, int lane, int zeros) {
    long result = half;
    if (lane == 0) {
      result = (result & 0xFFFFFFFF00000000L) | (element & 0xFFFFFFFFL);
    } else if (lane == 1) {
      result = (result & 0xFFFFFFFFL) | (long) element << 32;
    }
    if ((zeros & 1) != 0) {
      result &= 0xFFFFFFFF00000000L;
    }
    if ((zeros & 2) != 0) {
      result &= 0xFFFFFFFFL;
    }
    return result;
  }

  // ---- sums over windows (SSE4.1)
  // -----------------------------------------------------------------

  /**
   * MPSADBW, low half: four sums for windows of {@code a} at bytes 0 to 3 past the chosen offset.
   */
  public static long windowDifferencesLow(
      long aLow, long aHigh, long bLow, long bHigh, int immediate) {
    return windowDifferences(aLow, aHigh, bLow, bHigh, immediate, 0);
  }

  /** MPSADBW, high half: windows at bytes 4 to 7 past the chosen offset. */
  public static long windowDifferencesHigh(
      long aLow, long aHigh, long bLow, long bHigh, int immediate) {
    return windowDifferences(aLow, aHigh, bLow, bHigh, immediate, 4);
  }

  private static long windowDifferences(
      long aLow, long aHigh, long bLow, long bHigh, int immediate, int first) {
    long half = (immediate & 2) == 0 ? bLow : bHigh;
    long block = half >>> ((immediate & 1) << 5) & 0xFFFFFFFFL;
    int offset = (immediate & 4) + first;
    long result = 0;
    for (int window = 0; window < 4; window++) {
      long bytes = PackedShifts.shiftRightBytesLow(aLow, aHigh, offset + window) & 0xFFFFFFFFL;
      result |= PackedArithmetic.sumAbsoluteDifferences(bytes, block) << (window << 4);
    }
    return result;
  }

  /**
   * PHMINPOSUW: the least word in bits 0-15 and its lowest index in bits 16-18. The high half is 0.
   */
  public static long minimumPosition(long low, long high) {
    int minimum = 0x10000;
    int position = 0;
    for (int lane = 0; lane < 8; lane++) {
      int word = (char) ((lane < 4 ? low : high) >>> ((lane & 3) << 4));
      if (word < minimum) {
        minimum = word;
        position = lane;
      }
    }
    return minimum | position << 16;
  }
}
