package io.anillo.vmm.x86.execute.simd;

/**
 * SSE arithmetic on one single-precision value, or on two side by side (Intel SDM vol. 1 §11.5,
 * vol. 2). Values are their bits; {@code a} is the destination's old value and {@code b} the
 * source. Exceptions go to the {@link SseControl}; the caller commits them.
 *
 * <p>Hot class: where the result is a normal number or zero and so are the operands, one Java
 * operation gives it, provided that MXCSR's inexact flag cannot change (set already, or the result
 * is exact). Anything else, NaNs above all since C2 may commute their operands, is left to {@link
 * ExactArithmetic}.
 */
public final class SseSingle {
  private static final int FORMAT = ExactArithmetic.SINGLE;
  private static final int FRACTION = (1 << 23) - 1;
  private static final int IMPLICIT = FRACTION + 1;

  /** The least normal number and infinity, without room for a sign: shifted left by one. */
  private static final int TWICE_LEAST_NORMAL = IMPLICIT << 1;

  private static final int TWICE_INFINITY = 0xFF << 24;

  private SseSingle() {}

  private static float value(int bits) {
    return Float.intBitsToFloat(bits);
  }

  private static int bits(float value) {
    return Float.floatToRawIntBits(value);
  }

  /** Normal, zero, infinite or NaN. */
  private static boolean notDenormal(int bits) {
    return Integer.compareUnsigned((bits << 1) - 1, TWICE_LEAST_NORMAL - 1) >= 0;
  }

  /**
   * Finite, and greater in magnitude than the least normal number or else zero. The least normal
   * number itself may be what rounding made of a smaller one, which is an underflow.
   */
  private static boolean settled(int bits) {
    int twice = bits << 1;
    return Integer.compareUnsigned(
                twice - (TWICE_LEAST_NORMAL + 1), TWICE_INFINITY - (TWICE_LEAST_NORMAL + 1))
            < 0
        || twice == 0;
  }

  // ---- arithmetic
  // ---------------------------------------------------------------------------------

  public static int add(int a, int b, SseControl control) {
    int sum = bits(value(a) + value(b));
    if (control.plainAndInexact() && settled(sum) && notDenormal(a) && notDenormal(b)) {
      return sum;
    }
    return addCarefully(a, b, sum, control);
  }

  private static int addCarefully(int a, int b, int sum, SseControl control) {
    if (control.plain()
        && settled(sum)
        && notDenormal(a)
        && notDenormal(b)
        && isExactSum(value(a), value(b), value(sum))) {
      return sum;
    }
    return (int) ExactArithmetic.add(wide(a), wide(b), FORMAT, control);
  }

  /**
   * Knuth's two-sum: whether rounding lost nothing. Overflow inside it gives NaN, which says no.
   */
  private static boolean isExactSum(float a, float b, float sum) {
    float bPart = sum - a;
    return (a - (sum - bPart)) + (b - bPart) == 0;
  }

  public static int subtract(int a, int b, SseControl control) {
    int difference = bits(value(a) - value(b));
    if (control.plainAndInexact() && settled(difference) && notDenormal(a) && notDenormal(b)) {
      return difference;
    }
    return subtractCarefully(a, b, difference, control);
  }

  private static int subtractCarefully(int a, int b, int difference, SseControl control) {
    if (control.plain()
        && settled(difference)
        && notDenormal(a)
        && notDenormal(b)
        && isExactSum(value(a), -value(b), value(difference))) {
      return difference;
    }
    return (int) ExactArithmetic.subtract(wide(a), wide(b), FORMAT, control);
  }

  public static int multiply(int a, int b, SseControl control) {
    int product = bits(value(a) * value(b));
    if (settled(product)
        && notDenormal(a)
        && notDenormal(b)
        && (product << 1 != 0 || isZero(a, b))) {
      if (control.plainAndInexact() || (control.plain() && isExactProduct(a, b, product))) {
        return product;
      }
    }
    return (int) ExactArithmetic.multiply(wide(a), wide(b), FORMAT, control);
  }

  private static boolean isZero(int a, int b) {
    return a << 1 == 0 || b << 1 == 0;
  }

  private static long wide(int bits) {
    return bits & 0xFFFFFFFFL;
  }

  /** A product of two singles is always a double. */
  private static boolean isExactProduct(int a, int b, int product) {
    return (double) value(a) * value(b) == value(product);
  }

  public static int divide(int a, int b, SseControl control) {
    int quotient = bits(value(a) / value(b));
    if (settled(quotient) && notDenormal(a) && notDenormal(b) && quotient << 1 != 0) {
      if (control.plainAndInexact() || (control.plain() && isExactQuotient(a, b, quotient))) {
        return quotient;
      }
    }
    return (int) ExactArithmetic.divide(wide(a), wide(b), FORMAT, control);
  }

  private static boolean isExactQuotient(int a, int b, int quotient) {
    return (double) value(quotient) * value(b) == value(a);
  }

  /** SQRTSS of {@code b}. */
  public static int squareRoot(int b, SseControl control) {
    int root = bits((float) Math.sqrt(value(b)));
    if (settled(root) && notDenormal(b)) {
      if (control.plainAndInexact() || (control.plain() && isExactRoot(b, root))) {
        return root;
      }
    }
    return (int) ExactArithmetic.squareRoot(wide(b), FORMAT, control);
  }

  private static boolean isExactRoot(int b, int root) {
    return (double) value(root) * value(root) == value(b);
  }

  // ---- minimum, maximum, comparison
  // ---------------------------------------------------------------

  /** MAXSS: {@code b} if either is a NaN or both are zeros. */
  public static int maximum(int a, int b, SseControl control) {
    int left = compared(a, b, true, control);
    int right = daz(b, control);
    return value(left) > value(right) ? left : right;
  }

  /** MINSS: {@code b} if either is a NaN or both are zeros. */
  public static int minimum(int a, int b, SseControl control) {
    int left = compared(a, b, true, control);
    int right = daz(b, control);
    return value(left) < value(right) ? left : right;
  }

  private static int daz(int operand, SseControl control) {
    return notDenormal(operand) || !control.denormalsAreZeros()
        ? operand
        : operand & Integer.MIN_VALUE;
  }

  /** {@code a} as comparisons see it, once they have raised what the two operands call for. */
  private static int compared(int a, int b, boolean anyNanInvalid, SseControl control) {
    float left = value(a);
    float right = value(b);
    if (Float.isNaN(left) || Float.isNaN(right)) {
      if (anyNanInvalid
          || ExactArithmetic.isSignalling(wide(a), FORMAT)
          || ExactArithmetic.isSignalling(wide(b), FORMAT)) {
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
   * CMPSS: all ones if the predicate holds, else zero.
   *
   * @param predicate 0 to 7: equal, less, less or equal, unordered, and their negations
   */
  public static int compare(int a, int b, int predicate, SseControl control) {
    // Less and less-or-equal, negated or not, are invalid for quiet NaNs too.
    int kind = predicate & 3;
    float left = value(compared(a, b, kind == 1 || kind == 2, control));
    float right = value(daz(b, control));
    boolean holds =
        switch (kind) {
          case 0 -> left == right;
          case 1 -> left < right;
          case 2 -> left <= right;
          default -> Float.isNaN(left) || Float.isNaN(right);
        };
    return holds == ((predicate & 4) == 0) ? -1 : 0;
  }

  /** UCOMISS: ZF, PF and CF; the other arithmetic flags are clear. */
  public static int compareUnordered(int a, int b, SseControl control) {
    return comparisonFlags(value(compared(a, b, false, control)), value(daz(b, control)));
  }

  /** COMISS: as {@link #compareUnordered}, but invalid for quiet NaNs too. */
  public static int compareOrdered(int a, int b, SseControl control) {
    return comparisonFlags(value(compared(a, b, true, control)), value(daz(b, control)));
  }

  private static int comparisonFlags(float left, float right) {
    if (left > right) {
      return 0;
    }
    if (left < right) {
      return 0x01;
    }
    return left == right ? 0x40 : 0x45;
  }

  // ---- two lanes: half of a packed operand
  // --------------------------------------------------------

  /** Two lanes in one {@code long}. */
  static long pair(int low, int high) {
    return (low & 0xFFFFFFFFL) | (long) high << 32;
  }

  public static long addPair(long a, long b, SseControl control) {
    int low = add((int) a, (int) b, control);
    return pair(low, add((int) (a >>> 32), (int) (b >>> 32), control));
  }

  public static long subtractPair(long a, long b, SseControl control) {
    int low = subtract((int) a, (int) b, control);
    return pair(low, subtract((int) (a >>> 32), (int) (b >>> 32), control));
  }

  public static long multiplyPair(long a, long b, SseControl control) {
    int low = multiply((int) a, (int) b, control);
    return pair(low, multiply((int) (a >>> 32), (int) (b >>> 32), control));
  }

  public static long dividePair(long a, long b, SseControl control) {
    int low = divide((int) a, (int) b, control);
    return pair(low, divide((int) (a >>> 32), (int) (b >>> 32), control));
  }

  public static long minimumPair(long a, long b, SseControl control) {
    int low = minimum((int) a, (int) b, control);
    return pair(low, minimum((int) (a >>> 32), (int) (b >>> 32), control));
  }

  public static long maximumPair(long a, long b, SseControl control) {
    int low = maximum((int) a, (int) b, control);
    return pair(low, maximum((int) (a >>> 32), (int) (b >>> 32), control));
  }

  public static long squareRootPair(long b, SseControl control) {
    int low = squareRoot((int) b, control);
    return pair(low, squareRoot((int) (b >>> 32), control));
  }

  public static long comparePair(long a, long b, int predicate, SseControl control) {
    int low = compare((int) a, (int) b, predicate, control);
    return pair(low, compare((int) (a >>> 32), (int) (b >>> 32), predicate, control));
  }
}
