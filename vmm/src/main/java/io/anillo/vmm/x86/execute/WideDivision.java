package io.anillo.vmm.x86.execute;

/** Division of 128 bits by 64, as DIV and IDIV with a 64-bit operand do it; pure functions. */
public final class WideDivision {
  private WideDivision() {}

  /**
   * Whether the unsigned quotient of {@code high:anything} by the divisor fits 64 bits; false for a
   * divisor of 0.
   */
  public static boolean unsignedFits(long high, long divisor) {
    return Long.compareUnsigned(high, divisor) < 0;
  }

  /** The unsigned quotient; meaningful only where it fits. */
  public static long unsignedQuotient(long high, long low, long divisor) {
    if (high == 0) {
      return Long.divideUnsigned(low, divisor);
    }
    // Knuth's algorithm D with two 32-bit digits (TAOCP vol. 2, 4.3.1).
    int shift = Long.numberOfLeadingZeros(divisor);
    long d = divisor << shift;
    long dHigh = d >>> 32;
    long dLow = d & 0xFFFF_FFFFL;
    long top = shift == 0 ? high : high << shift | low >>> 64 - shift;
    long rest = low << shift;
    long q1 = digit(top, rest >>> 32, d, dHigh, dLow);
    long remainder = (top << 32 | rest >>> 32) - q1 * d;
    long q0 = digit(remainder, rest & 0xFFFF_FFFFL, d, dHigh, dLow);
    return (q1 << 32) + q0;
  }

  private static long digit(long top, long next, long divisor, long divisorHigh, long divisorLow) {
    long q = Long.divideUnsigned(top, divisorHigh);
    long r = top - q * divisorHigh;
    while (q >>> 32 != 0 || Long.compareUnsigned(q * divisorLow, r << 32 | next) > 0) {
      q--;
      r += divisorHigh;
      if (r >>> 32 != 0) {
        break;
      }
    }
    return q;
  }

  /** Whether the signed quotient fits 64 bits; false for a divisor of 0. */
  public static boolean signedFits(long high, long low, long divisor) {
    if (divisor == 0) {
      return false;
    }
    boolean negative = high < 0;
    long absoluteHigh = negative ? (low == 0 ? -high : ~high) : high;
    long absoluteLow = negative ? -low : low;
    long absoluteDivisor = divisor < 0 ? -divisor : divisor;
    if (!unsignedFits(absoluteHigh, absoluteDivisor)) {
      return false;
    }
    long quotient = unsignedQuotient(absoluteHigh, absoluteLow, absoluteDivisor);
    return quotient >= 0 || (negative != divisor < 0 && quotient == Long.MIN_VALUE);
  }

  /** The signed quotient, rounded towards zero; meaningful only where it fits. */
  public static long signedQuotient(long high, long low, long divisor) {
    boolean negative = high < 0;
    long absoluteHigh = negative ? (low == 0 ? -high : ~high) : high;
    long absoluteLow = negative ? -low : low;
    long quotient = unsignedQuotient(absoluteHigh, absoluteLow, divisor < 0 ? -divisor : divisor);
    return negative != divisor < 0 ? -quotient : quotient;
  }
}
