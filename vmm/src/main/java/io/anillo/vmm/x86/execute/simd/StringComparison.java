package io.anillo.vmm.x86.execute.simd;

import io.anillo.vmm.cpu.CpuState;

/**
 * The comparisons of PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (Intel SDM vol. 2 §4.1). The
 * first operand ({@code a}, the destination register) is the set, ranges or needle; the second
 * ({@code b}) is the string searched. {@code control} is the instruction's immediate.
 */
public final class StringComparison {
  private static final int WORDS = 1,
      SIGNED = 2,
      POLARITY_NEGATIVE = 1 << 4,
      POLARITY_MASKED = 1 << 5;
  private static final int MOST_SIGNIFICANT_OR_LANES = 1 << 6;

  private StringComparison() {}

  private static int elements(int control) {
    return (control & WORDS) != 0 ? 8 : 16;
  }

  private static int element(long low, long high, int index, int control) {
    if ((control & WORDS) != 0) {
      long half = (index & 4) == 0 ? low : high;
      int shift = (index & 3) << 4;
      return (control & SIGNED) != 0 ? (short) (half >>> shift) : (char) (half >>> shift);
    }
    long half = (index & 8) == 0 ? low : high;
    int shift = (index & 7) << 3;
    return (control & SIGNED) != 0 ? (byte) (half >>> shift) : (int) (half >>> shift & 0xFF);
  }

  /** The number of elements before the first that is zero. */
  public static int implicitLength(long low, long high, int control) {
    int index = 0;
    while (index < elements(control) && element(low, high, index, control) != 0) {
      index++;
    }
    return index;
  }

  /** The number of valid elements that a length register says: its magnitude, at most all. */
  public static int explicitLength(long register, int control) {
    int all = elements(control);
    return register > all || register < -all ? all : (int) Math.abs(register);
  }

  /** IntRes2: one bit for each element of the second operand. */
  public static int matches(
      long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength, int control) {
    int count = elements(control);
    int result =
        switch (control >> 2 & 3) {
          case 0 -> equalAny(aLow, aHigh, aLength, bLow, bHigh, bLength, control);
          case 1 -> inRanges(aLow, aHigh, aLength, bLow, bHigh, bLength, control);
          case 2 -> equalEach(aLow, aHigh, aLength, bLow, bHigh, bLength, control);
          default -> equalOrdered(aLow, aHigh, aLength, bLow, bHigh, bLength, control);
        };
    if ((control & POLARITY_NEGATIVE) != 0) {
      int inverted = (control & POLARITY_MASKED) != 0 ? bLength : count;
      result ^= (1 << inverted) - 1;
    }
    return result;
  }

  private static int equalAny(
      long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength, int control) {
    int result = 0;
    for (int j = 0; j < bLength; j++) {
      int sought = element(bLow, bHigh, j, control);
      for (int i = 0; i < aLength; i++) {
        if (element(aLow, aHigh, i, control) == sought) {
          result |= 1 << j;
          break;
        }
      }
    }
    return result;
  }

  private static int inRanges(
      long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength, int control) {
    int result = 0;
    for (int j = 0; j < bLength; j++) {
      int sought = element(bLow, bHigh, j, control);
      // A range whose upper bound is not valid does not count.
      for (int i = 0; i + 1 < aLength; i += 2) {
        if (element(aLow, aHigh, i, control) <= sought
            && sought <= element(aLow, aHigh, i + 1, control)) {
          result |= 1 << j;
          break;
        }
      }
    }
    return result;
  }

  private static int equalEach(
      long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength, int control) {
    int result = 0;
    for (int j = 0; j < elements(control); j++) {
      boolean aValid = j < aLength;
      boolean bValid = j < bLength;
      boolean equal =
          aValid && bValid
              ? element(aLow, aHigh, j, control) == element(bLow, bHigh, j, control)
              : aValid == bValid;
      if (equal) {
        result |= 1 << j;
      }
    }
    return result;
  }

  private static int equalOrdered(
      long aLow, long aHigh, int aLength, long bLow, long bHigh, int bLength, int control) {
    int count = elements(control);
    int result = 0;
    for (int j = 0; j < count; j++) {
      boolean equal = true;
      for (int i = 0; equal && i < aLength && i + j < count; i++) {
        equal =
            i + j < bLength
                && element(aLow, aHigh, i, control) == element(bLow, bHigh, i + j, control);
      }
      if (equal) {
        result |= 1 << j;
      }
    }
    return result;
  }

  /** The index that PCMPxSTRI leaves in ECX. */
  public static int index(int matches, int control) {
    if (matches == 0) {
      return elements(control);
    }
    return (control & MOST_SIGNIFICANT_OR_LANES) != 0
        ? 31 - Integer.numberOfLeadingZeros(matches)
        : Integer.numberOfTrailingZeros(matches);
  }

  /** The low half of the mask that PCMPxSTRM leaves in XMM0. */
  public static long maskLow(int matches, int control) {
    if ((control & MOST_SIGNIFICANT_OR_LANES) == 0) {
      return matches;
    }
    return (control & WORDS) != 0 ? wordLanes(matches) : byteLanes(matches);
  }

  /** The high half of the mask that PCMPxSTRM leaves in XMM0. */
  public static long maskHigh(int matches, int control) {
    if ((control & MOST_SIGNIFICANT_OR_LANES) == 0) {
      return 0;
    }
    return (control & WORDS) != 0 ? wordLanes(matches >> 4) : byteLanes(matches >> 8);
  }

  private static long wordLanes(int bits) {
    long result = 0;
    for (int lane = 0; lane < 4; lane++) {
      if ((bits >> lane & 1) != 0) {
        result |= 0xFFFFL << (lane << 4);
      }
    }
    return result;
  }

  private static long byteLanes(int bits) {
    long result = 0;
    for (int lane = 0; lane < 8; lane++) {
      if ((bits >> lane & 1) != 0) {
        result |= 0xFFL << (lane << 3);
      }
    }
    return result;
  }

  /** The arithmetic flags that all four instructions leave. */
  public static int flags(int matches, int aLength, int bLength, int control) {
    int count = elements(control);
    return (matches != 0 ? CpuState.CF : 0)
        | (bLength < count ? CpuState.ZF : 0)
        | (aLength < count ? CpuState.SF : 0)
        | ((matches & 1) != 0 ? CpuState.OF : 0);
  }
}
