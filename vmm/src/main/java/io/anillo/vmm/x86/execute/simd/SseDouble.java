package io.anillo.vmm.x86.execute.simd;

/**
 * SSE arithmetic on one double-precision value (Intel SDM vol. 1 §11.5, vol. 2). Values are their
 * bits; {@code a} is the destination's old value and {@code b} the source. Exceptions go to the
 * {@link SseControl}; the caller commits them.
 *
 * <p>Hot class: where the result is a normal number or zero and so are the operands, one Java
 * operation gives it, provided that MXCSR's inexact flag cannot change (set already, or the result
 * is exact). Anything else, NaNs above all since C2 may commute their operands, is left to {@link
 * ExactArithmetic}.
 */
public final class SseDouble {
  private static final int FORMAT = ExactArithmetic.DOUBLE;
  private static final long FRACTION = (1L << 52) - 1;
  private static final long IMPLICIT = FRACTION + 1;

  /** The least normal number and infinity, without room for a sign: shifted left by one. */
  private static final long TWICE_LEAST_NORMAL = IMPLICIT << 1;

  private static final long TWICE_INFINITY = 0x7FFL << 53;

  private SseDouble() {}

  private static double value(long bits) {
    return Double.longBitsToDouble(bits);
  }

  private static long bits(double value) {
    return Double.doubleToRawLongBits(value);
  }

  /** Normal, zero, infinite or NaN. */
  private static boolean notDenormal(long bits) {
    return Long.compareUnsigned((bits << 1) - 1, TWICE_LEAST_NORMAL - 1) >= 0;
  }

  /**
   * Finite, and greater in magnitude than the least normal number or else zero. The least normal
   * number itself may be what rounding made of a smaller one, which is an underflow.
   */
  private static boolean settled(long bits) {
    long twice = bits << 1;
    return Long.compareUnsigned(
                twice - (TWICE_LEAST_NORMAL + 1), TWICE_INFINITY - (TWICE_LEAST_NORMAL + 1))
            < 0
        || twice == 0;
  }

  // ---- arithmetic
  // ---------------------------------------------------------------------------------

  public static long add(long a, long b, SseControl control) {
    long sum = bits(value(a) + value(b));
    if (control.plainAndInexact() && settled(sum) && notDenormal(a) && notDenormal(b)) {
      return sum;
    }
    return addCarefully(a, b, sum, control);
  }

  private static long addCarefully(long a, long b, long sum, SseControl control) {
    if (control.plain()
        && settled(sum)
        && notDenormal(a)
        && notDenormal(b)
        && isExactSum(value(a), value(b), value(sum))) {
      return sum;
    }
    return ExactArithmetic.add(a, b, FORMAT, control);
  }

  /**
   * Knuth's two-sum: whether rounding lost nothing. Overflow inside it gives NaN, which says no.
   */
  private static boolean isExactSum(double a, double b, double sum) {
    double bPart = sum - a;
    return (a - (sum - bPart)) + (b - bPart) == 0;
  }

  public static long subtract(long a, long b, SseControl control) {
    long difference = bits(value(a) - value(b));
    if (control.plainAndInexact() && settled(difference) && notDenormal(a) && notDenormal(b)) {
      return difference;
    }
    return subtractCarefully(a, b, difference, control);
  }

  private static long subtractCarefully(long a, long b, long difference, SseControl control) {
    if (control.plain()
        && settled(difference)
        && notDenormal(a)
        && notDenormal(b)
        && isExactSum(value(a), -value(b), value(difference))) {
      return difference;
    }
    return ExactArithmetic.subtract(a, b, FORMAT, control);
  }

  public static long multiply(long a, long b, SseControl control) {
    long product = bits(value(a) * value(b));
    if (settled(product)
        && notDenormal(a)
        && notDenormal(b)
        && (product << 1 != 0 || isZero(a, b))) {
      if (control.plainAndInexact() || (control.plain() && isExactProduct(a, b, product))) {
        return product;
      }
    }
    return ExactArithmetic.multiply(a, b, FORMAT, control);
  }

  private static boolean isZero(long a, long b) {
    return a << 1 == 0 || b << 1 == 0;
  }

  private static long significand(long bits) {
    return (bits & FRACTION) | IMPLICIT;
  }

  private static int field(long bits) {
    return (int) (bits >>> 52) & 0x7FF;
  }

  /** Whether the significands are so short that their product fits; some exact ones are missed. */
  private static boolean isExactProduct(long a, long b, long product) {
    return product << 1 == 0
        || Long.numberOfTrailingZeros(significand(a)) + Long.numberOfTrailingZeros(significand(b))
            >= 53;
  }

  public static long divide(long a, long b, SseControl control) {
    long quotient = bits(value(a) / value(b));
    if (settled(quotient) && notDenormal(a) && notDenormal(b) && quotient << 1 != 0) {
      if (control.plainAndInexact() || (control.plain() && isExactQuotient(a, b, quotient))) {
        return quotient;
      }
    }
    return ExactArithmetic.divide(a, b, FORMAT, control);
  }

  /** Whether nothing remains; a remainder would fit 64 bits, so that wrapping cannot hide it. */
  private static boolean isExactQuotient(long a, long b, long quotient) {
    int shift = 52 + field(a) - field(b) - field(quotient) + 1023;
    return significand(quotient) * significand(b) == significand(a) << shift;
  }

  /** SQRTSD of {@code b}. */
  public static long squareRoot(long b, SseControl control) {
    long root = bits(Math.sqrt(value(b)));
    if (settled(root) && notDenormal(b)) {
      if (control.plainAndInexact() || (control.plain() && isExactRoot(b, root))) {
        return root;
      }
    }
    return ExactArithmetic.squareRoot(b, FORMAT, control);
  }

  private static boolean isExactRoot(long b, long root) {
    if (root << 1 == 0) {
      return true;
    }
    int shift = 52 + field(b) - 2 * field(root) + 1023;
    return significand(root) * significand(root) == significand(b) << shift;
  }

  // ---- minimum, maximum, comparison
  // ---------------------------------------------------------------

  /** MAXSD: {@code b} if either is a NaN or both are zeros. */
  public static long maximum(long a, long b, SseControl control) {
    long left = compared(a, b, true, control);
    long right = daz(b, control);
    return value(left) > value(right) ? left : right;
  }

  /** MINSD: {@code b} if either is a NaN or both are zeros. */
  public static long minimum(long a, long b, SseControl control) {
    long left = compared(a, b, true, control);
    long right = daz(b, control);
    return value(left) < value(right) ? left : right;
  }

  private static long daz(long operand, SseControl control) {
    return notDenormal(operand) || !control.denormalsAreZeros()
        ? operand
        : operand & Long.MIN_VALUE;
  }

  /** {@code a} as comparisons see it, once they have raised what the two operands call for. */
  private static long compared(long a, long b, boolean anyNanInvalid, SseControl control) {
    double left = value(a);
    double right = value(b);
    if (Double.isNaN(left) || Double.isNaN(right)) {
      if (anyNanInvalid
          || ExactArithmetic.isSignalling(a, FORMAT)
          || ExactArithmetic.isSignalling(b, FORMAT)) {
        control.raise(SseControl.INVALID);
      }
      return a;
    }
    if (notDenormal(a) && notDenormal(b)) {
      return a;
    }
    if (control.denormalsAreZeros()) {
      return daz(a, control);
    }
    control.raise(SseControl.DENORMAL);
    return a;
  }

  /**
   * CMPSD: all ones if the predicate holds, else zero.
   *
   * @param predicate 0 to 7: equal, less, less or equal, unordered, and their negations
   */
  public static long compare(long a, long b, int predicate, SseControl control) {
    // Less and less-or-equal, negated or not, are invalid for quiet NaNs too.
    int kind = predicate & 3;
    double left = value(compared(a, b, kind == 1 || kind == 2, control));
    double right = value(daz(b, control));
    boolean holds =
        switch (kind) {
          case 0 -> left == right;
          case 1 -> left < right;
          case 2 -> left <= right;
          default -> Double.isNaN(left) || Double.isNaN(right);
        };
    return holds == ((predicate & 4) == 0) ? -1 : 0;
  }

  /** UCOMISD: ZF, PF and CF; the other arithmetic flags are clear. */
  public static int compareUnordered(long a, long b, SseControl control) {
    return comparisonFlags(value(compared(a, b, false, control)), value(daz(b, control)));
  }

  /** COMISD: as {@link #compareUnordered}, but invalid for quiet NaNs too. */
  public static int compareOrdered(long a, long b, SseControl control) {
    return comparisonFlags(value(compared(a, b, true, control)), value(daz(b, control)));
  }

  private static int comparisonFlags(double left, double right) {
    if (left > right) {
      return 0;
    }
    if (left < right) {
      return 0x01;
    }
    return left == right ? 0x40 : 0x45;
  }
}
