package io.anillo.vmm.x86.execute.simd;

import static io.anillo.vmm.x86.execute.simd.ExactArithmetic.DOUBLE;
import static io.anillo.vmm.x86.execute.simd.ExactArithmetic.SINGLE;

/**
 * Conversions between integers, singles and doubles, rounding to integers, and the approximations
 * (Intel SDM vol. 2, CVTSI2SD and following, ROUNDSD, RCPSS, RSQRTSS). Floating-point values are
 * their bits.
 */
public final class SseConversions {
  private SseConversions() {}

  // ---- integers to floating point
  // -----------------------------------------------------------------

  /**
   * CVTSI2SD of a 64-bit integer; CVTDQ2PD and 32-bit sources are sign-extended, and always exact.
   */
  public static long integerToDouble(long integer, SseControl control) {
    double value = (double) integer;
    if (Math.abs(integer) <= 1L << 53 && integer != Long.MIN_VALUE) {
      return Double.doubleToRawLongBits(value);
    }
    return ExactArithmetic.fromInteger(integer, DOUBLE, control);
  }

  /** CVTSI2SS of a 64-bit integer; 32-bit sources are sign-extended. */
  public static int integerToSingle(long integer, SseControl control) {
    if (integer >= -(1L << 24) && integer <= 1L << 24) {
      return Float.floatToRawIntBits((float) integer);
    }
    return (int) ExactArithmetic.fromInteger(integer, SINGLE, control);
  }

  // ---- floating point to integers
  // -----------------------------------------------------------------

  private static boolean fits(double value, int bits) {
    double limit = bits == 32 ? 0x1p31 : 0x1p63;
    return value < limit && value > -limit;
  }

  /** CVTTSD2SI: truncates to {@code bits} (32 or 64) bits, sign-extended. */
  public static long truncateDouble(long a, int bits, SseControl control) {
    double value = Double.longBitsToDouble(a);
    if (fits(value, bits) && control.plainAndInexact()) {
      return (long) value;
    }
    return ExactArithmetic.toInteger(a, DOUBLE, bits, SseControl.TRUNCATE, control);
  }

  /** CVTTSS2SI. */
  public static long truncateSingle(int a, int bits, SseControl control) {
    float value = Float.intBitsToFloat(a);
    if (fits(value, bits) && control.plainAndInexact()) {
      return (long) value;
    }
    return ExactArithmetic.toInteger(a & 0xFFFFFFFFL, SINGLE, bits, SseControl.TRUNCATE, control);
  }

  /** CVTSD2SI: rounds as MXCSR says to {@code bits} (32 or 64) bits, sign-extended. */
  public static long roundDouble(long a, int bits, SseControl control) {
    return ExactArithmetic.toInteger(a, DOUBLE, bits, control.rounding(), control);
  }

  /** CVTSS2SI. */
  public static long roundSingle(int a, int bits, SseControl control) {
    return ExactArithmetic.toInteger(a & 0xFFFFFFFFL, SINGLE, bits, control.rounding(), control);
  }

  // ---- between the formats
  // ------------------------------------------------------------------------

  /** CVTSS2SD. */
  public static long singleToDouble(int a, SseControl control) {
    int magnitude = a & 0x7FFFFFFF;
    if (magnitude >= 0x00800000 && magnitude < 0x7F800000) {
      return Double.doubleToRawLongBits(Float.intBitsToFloat(a));
    }
    return ExactArithmetic.toDouble(a & 0xFFFFFFFFL, control);
  }

  /** CVTSD2SS. */
  public static int doubleToSingle(long a, SseControl control) {
    double value = Double.longBitsToDouble(a);
    int result = Float.floatToRawIntBits((float) value);
    int magnitude = result & 0x7FFFFFFF;
    if (magnitude > 0x00800000
        && magnitude < 0x7F800000
        && (control.plainAndInexact() || (control.plain() && (float) value == value))) {
      return result;
    }
    return (int) ExactArithmetic.toSingle(a, control);
  }

  // ---- rounding to integers in place
  // --------------------------------------------------------------

  /** ROUNDSD. Bits 0-1 of the immediate are the rounding, bit 2 takes MXCSR's, bit 3 is quiet. */
  public static long roundToIntegralDouble(long a, int immediate, SseControl control) {
    return ExactArithmetic.roundToIntegral(
        a, DOUBLE, rounding(immediate, control), (immediate & 8) != 0, control);
  }

  /** ROUNDSS. */
  public static int roundToIntegralSingle(int a, int immediate, SseControl control) {
    return (int)
        ExactArithmetic.roundToIntegral(
            a & 0xFFFFFFFFL, SINGLE, rounding(immediate, control), (immediate & 8) != 0, control);
  }

  private static int rounding(int immediate, SseControl control) {
    return (immediate & 4) != 0 ? control.rounding() : immediate & 3;
  }

  // ---- approximations
  // -----------------------------------------------------------------------------
  // Both are the correctly rounded value, well inside the permitted relative error of 1.5 * 2^-12.
  // Neither raises exceptions nor looks at MXCSR; denormals count as zeros, tiny results become
  // zeros.

  /** RCPSS. */
  public static int reciprocal(int a) {
    int magnitude = a & 0x7FFFFFFF;
    int sign = a & 0x80000000;
    if (magnitude > 0x7F800000) {
      return a | 0x00400000;
    }
    if (magnitude < 0x00800000) {
      return sign | 0x7F800000;
    }
    int result = Float.floatToRawIntBits(1.0f / Float.intBitsToFloat(a));
    // An approximation from below takes the least normal number for tiny, too.
    return (result & 0x7FFFFFFF) <= 0x00800000 ? sign : result;
  }

  /** RSQRTSS. */
  public static int reciprocalSquareRoot(int a) {
    int magnitude = a & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) {
      return a | 0x00400000;
    }
    if (magnitude < 0x00800000) {
      return (a & 0x80000000) | 0x7F800000;
    }
    if (a < 0) {
      return 0xFFC00000;
    }
    return Float.floatToRawIntBits((float) (1.0 / Math.sqrt(Float.intBitsToFloat(a))));
  }
}
