package io.anillo.vmm.x86.execute.simd;

import static io.anillo.vmm.x86.execute.simd.PackedIntegerInstructions.wrongShape;

/** The instructions of shape {@link SimdOperation.Shape#SHUFFLE}, by operation. */
final class ShuffleInstructions {
  private ShuffleInstructions() {}

  /** Shuffles into an XMM register. The variable blends take their mask from XMM0. */
  static void execute(
      SimdOperation operation,
      long[] xmm,
      int destination,
      long bLow,
      long bHigh,
      int immediate,
      int form) {
    int at = destination << 1;
    long aLow = xmm[at];
    long aHigh = xmm[at + 1];
    long low;
    long high;
    switch (operation) {
      case SHUFPS -> {
        low = PackedShuffles.shuffleDoublewordsLow(aLow, aHigh, immediate);
        high = PackedShuffles.shuffleDoublewordsHigh(bLow, bHigh, immediate);
      }
      case SHUFPD -> {
        low = (immediate & 1) == 0 ? aLow : aHigh;
        high = (immediate & 2) == 0 ? bLow : bHigh;
      }
      case PSHUFD -> {
        low = PackedShuffles.shuffleDoublewordsLow(bLow, bHigh, immediate);
        high = PackedShuffles.shuffleDoublewordsHigh(bLow, bHigh, immediate);
      }
      case PSHUFLW -> {
        low = PackedShuffles.shuffleWords(bLow, immediate);
        high = bHigh;
      }
      case PSHUFHW -> {
        low = bLow;
        high = PackedShuffles.shuffleWords(bHigh, immediate);
      }
      case PSHUFB -> {
        low = PackedShuffles.shuffleBytes(aLow, aHigh, bLow);
        high = PackedShuffles.shuffleBytes(aLow, aHigh, bHigh);
      }
      case PALIGNR -> {
        low = PackedShifts.alignRightLow(aLow, aHigh, bLow, bHigh, immediate & 0xFF);
        high = PackedShifts.alignRightHigh(aLow, aHigh, bLow, bHigh, immediate & 0xFF);
      }
      case PSLLDQ -> {
        low = PackedShifts.shiftLeftBytesLow(aLow, aHigh, immediate & 0xFF);
        high = PackedShifts.shiftLeftBytesHigh(aLow, aHigh, immediate & 0xFF);
      }
      case PSRLDQ -> {
        low = PackedShifts.shiftRightBytesLow(aLow, aHigh, immediate & 0xFF);
        high = PackedShifts.shiftRightBytesHigh(aLow, aHigh, immediate & 0xFF);
      }
      case MPSADBW -> {
        low = PackedShuffles.windowDifferencesLow(aLow, aHigh, bLow, bHigh, immediate);
        high = PackedShuffles.windowDifferencesHigh(aLow, aHigh, bLow, bHigh, immediate);
      }
      case PHMINPOSUW -> {
        low = PackedShuffles.minimumPosition(bLow, bHigh);
        high = 0;
      }
      case PBLENDW -> {
        low = PackedShuffles.blendWords(aLow, bLow, immediate);
        high = PackedShuffles.blendWords(aHigh, bHigh, immediate >> 4);
      }
      case BLENDPS -> {
        low = PackedShuffles.blendDoublewords(aLow, bLow, immediate);
        high = PackedShuffles.blendDoublewords(aHigh, bHigh, immediate >> 2);
      }
      case BLENDPD -> {
        low = (immediate & 1) == 0 ? aLow : bLow;
        high = (immediate & 2) == 0 ? aHigh : bHigh;
      }
      case PBLENDVB -> {
        low = PackedArithmetic.blendBytes(aLow, bLow, xmm[0]);
        high = PackedArithmetic.blendBytes(aHigh, bHigh, xmm[1]);
      }
      case BLENDVPS -> {
        low = PackedArithmetic.blendDoublewords(aLow, bLow, xmm[0]);
        high = PackedArithmetic.blendDoublewords(aHigh, bHigh, xmm[1]);
      }
      case BLENDVPD -> {
        low = PackedArithmetic.blendQuadwords(aLow, bLow, xmm[0]);
        high = PackedArithmetic.blendQuadwords(aHigh, bHigh, xmm[1]);
      }
      case INSERTPS -> {
        // A register's element is chosen by the immediate's top bits; memory has only the one.
        int chosen = (form & SimdUnit.FORM_MEMORY) != 0 ? 0 : immediate >> 6 & 3;
        long half = (chosen & 2) == 0 ? bLow : bHigh;
        int element = (int) (half >>> ((chosen & 1) << 5));
        low = PackedShuffles.insertSingleLow(aLow, element, immediate);
        high = PackedShuffles.insertSingleHigh(aHigh, element, immediate);
      }
      case PINSRB, PINSRW, PINSRD -> {
        int bits = insertedBits(operation, form);
        int lanes = 64 / bits;
        int lane = immediate & (2 * lanes - 1);
        low = lane < lanes ? PackedShuffles.insert(aLow, bLow, lane, bits) : aLow;
        high = lane < lanes ? aHigh : PackedShuffles.insert(aHigh, bLow, lane - lanes, bits);
      }
      default -> throw wrongShape(operation);
    }
    xmm[at] = low;
    xmm[at + 1] = high;
  }

  private static int insertedBits(SimdOperation operation, int form) {
    if (operation == SimdOperation.PINSRD) {
      return (form & SimdUnit.FORM_WIDE) != 0 ? 64 : 32;
    }
    return operation == SimdOperation.PINSRW ? 16 : 8;
  }

  /** Shuffles into an MMX register. */
  static long mmx(SimdOperation operation, long a, long b, int immediate) {
    return switch (operation) {
      case PSHUFW -> PackedShuffles.shuffleWords(b, immediate);
      case PSHUFB -> PackedShuffles.shuffleBytes(a, b);
      case PALIGNR -> PackedShifts.alignRight(a, b, immediate & 0xFF);
      case PINSRW -> PackedShuffles.insert(a, b, immediate & 3, 16);
      default -> throw wrongShape(operation);
    };
  }
}
