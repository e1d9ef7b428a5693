package io.anillo.vmm.x86.execute.simd;

import static io.anillo.vmm.x86.execute.simd.SseControl.DENORMAL;
import static io.anillo.vmm.x86.execute.simd.SseControl.DIVIDE_BY_ZERO;
import static io.anillo.vmm.x86.execute.simd.SseControl.DOWN;
import static io.anillo.vmm.x86.execute.simd.SseControl.INEXACT;
import static io.anillo.vmm.x86.execute.simd.SseControl.INVALID;
import static io.anillo.vmm.x86.execute.simd.SseControl.NEAREST;
import static io.anillo.vmm.x86.execute.simd.SseControl.OVERFLOW;
import static io.anillo.vmm.x86.execute.simd.SseControl.UNDERFLOW;
import static io.anillo.vmm.x86.execute.simd.SseControl.UP;

/**
 * Arithmetic in integers on IEEE 754 values, with every rounding mode, DAZ, FTZ and all exceptions
 * (Intel SDM vol. 1 §4.8, §4.9, appendix E). The slow path behind {@link SseDouble} and {@link
 * SseSingle}; both formats share it.
 *
 * <p>A value is its bits in a {@code long} (single: the low 32 bits, the others zero), and a format
 * is the width of its fraction: {@link #DOUBLE} or {@link #SINGLE}. A finite number not zero is
 * also written {@code significand * 2^(exponent - 62)}, its significand having bit 62 as its
 * highest.
 */
final class ExactArithmetic {
  static final int DOUBLE = 52, SINGLE = 23;

  /** The highest bit of a normalized significand. */
  private static final int TOP = 62;

  private ExactArithmetic() {}

  // ---- fields of a format
  // -------------------------------------------------------------------------

  static long signBit(int format) {
    return format == DOUBLE ? 1L << 63 : 1L << 31;
  }

  /** The exponent field when all its bits are set. */
  private static int maximumExponent(int format) {
    return format == DOUBLE ? 2047 : 255;
  }

  private static int bias(int format) {
    return format == DOUBLE ? 1023 : 127;
  }

  static long infinity(int format) {
    return (long) maximumExponent(format) << format;
  }

  static long magnitude(long value, int format) {
    return value & ~signBit(format);
  }

  private static long quietBit(int format) {
    return 1L << (format - 1);
  }

  /** The QNaN that invalid operations give: negative, no payload. */
  static long defaultNan(int format) {
    return signBit(format) | infinity(format) | quietBit(format);
  }

  static boolean isNan(long value, int format) {
    return magnitude(value, format) > infinity(format);
  }

  static boolean isSignalling(long value, int format) {
    return isNan(value, format) && (value & quietBit(format)) == 0;
  }

  static boolean isDenormal(long value, int format) {
    long magnitude = magnitude(value, format);
    return magnitude != 0 && magnitude < 1L << format;
  }

  static boolean isZero(long value, int format) {
    return magnitude(value, format) == 0;
  }

  private static boolean isInfinite(long value, int format) {
    return magnitude(value, format) == infinity(format);
  }

  private static boolean isNegative(long value, int format) {
    return (value & signBit(format)) != 0;
  }

  /** The value as operations see it: a denormal is a zero of its sign while DAZ is set. */
  static long read(long value, int format, SseControl control) {
    return control.denormalsAreZeros() && isDenormal(value, format)
        ? value & signBit(format)
        : value;
  }

  /** The NaN that an operation on one or two NaNs gives: the first of them, made quiet. */
  static long propagate(long a, long b, int format, SseControl control) {
    if (isSignalling(a, format) || isSignalling(b, format)) {
      control.raise(INVALID);
    }
    return (isNan(a, format) ? a : b) | quietBit(format);
  }

  static long quiet(long nan, int format, SseControl control) {
    return propagate(nan, nan, format, control);
  }

  private static long invalid(int format, SseControl control) {
    control.raise(INVALID);
    return defaultNan(format);
  }

  private static void noteDenormals(long a, long b, int format, SseControl control) {
    if (isDenormal(a, format) || isDenormal(b, format)) {
      control.raise(DENORMAL);
    }
  }

  /** The normalized significand of a finite value that is not zero. */
  static long significand(long value, int format) {
    long magnitude = magnitude(value, format);
    long fraction = magnitude & ((1L << format) - 1);
    return magnitude >= 1L << format
        ? (fraction | 1L << format) << (TOP - format)
        : fraction << (Long.numberOfLeadingZeros(fraction) - 1);
  }

  /** The exponent that goes with {@link #significand}. */
  static int exponent(long value, int format) {
    long magnitude = magnitude(value, format);
    int field = (int) (magnitude >>> format);
    return field != 0
        ? field - bias(format)
        : 1 - bias(format) - (format - 63 + Long.numberOfLeadingZeros(magnitude));
  }

  // ---- rounding
  // -----------------------------------------------------------------------------------

  /**
   * What to add so that cutting off the bits under {@code half * 2} rounds; ties are mended after.
   */
  static long increment(boolean negative, long half, int rounding) {
    if (rounding == NEAREST) {
      return half;
    }
    boolean away = rounding == (negative ? DOWN : UP);
    return away ? (half << 1) - 1 : 0;
  }

  /** A right shift that keeps the lowest bit set when it loses any bit that is. */
  static long shiftSticky(long value, int count) {
    if (count >= 63) {
      return value != 0 ? 1 : 0;
    }
    return value >>> count | ((value & ((1L << count) - 1)) != 0 ? 1 : 0);
  }

  /**
   * Rounds {@code significand * 2^(exponent - 62)} to the format. The significand is normalized;
   * its lowest bit also stands for whatever was lost below it.
   */
  static long round(
      boolean negative, int exponent, long significand, int format, SseControl control) {
    long sign = negative ? signBit(format) : 0;
    int rounding = control.rounding();
    int dropped = TOP - format;
    long half = 1L << (dropped - 1);
    long tail = (half << 1) - 1;
    long increment = increment(negative, half, rounding);
    int field = exponent + bias(format);
    boolean carries = significand + increment < 0;
    boolean tiny = field < 0 || (field == 0 && !carries);
    int raised = 0;
    if (field <= 0) {
      if (tiny && control.flushes()) {
        control.raise(UNDERFLOW | INEXACT);
        return sign;
      }
      if (tiny && !control.underflowMasked()) {
        raised = (significand & tail) != 0 ? UNDERFLOW | INEXACT : UNDERFLOW;
        control.raise(raised);
        return sign;
      }
      significand = shiftSticky(significand, 1 - field);
      field = 1;
    }
    boolean inexact = (significand & tail) != 0;
    long rounded = (significand + increment) >>> dropped;
    if (rounding == NEAREST && (significand & tail) == half) {
      rounded &= ~1L;
    }
    // A significand without its highest bit is a denormal's, which the exponent field 0 says; and a
    // carry out of the significand moves into the exponent field by itself.
    long magnitude = ((long) (field - 1) << format) + rounded;
    if (field >= maximumExponent(format) || magnitude >= infinity(format)) {
      boolean toInfinity = rounding == NEAREST || rounding == (negative ? DOWN : UP);
      magnitude = toInfinity ? infinity(format) : infinity(format) - 1;
      raised = inexact || control.overflowMasked() ? OVERFLOW | INEXACT : OVERFLOW;
    } else if (inexact) {
      raised = tiny ? UNDERFLOW | INEXACT : INEXACT;
    }
    if (raised != 0) {
      control.raise(raised);
    }
    return sign | magnitude;
  }

  // ---- operations
  // ---------------------------------------------------------------------------------

  static long add(long first, long second, int format, SseControl control) {
    long a = read(first, format, control);
    long b = read(second, format, control);
    if (isNan(a, format) || isNan(b, format)) {
      return propagate(a, b, format, control);
    }
    if (isInfinite(a, format) && isInfinite(b, format) && a != b) {
      return invalid(format, control);
    }
    noteDenormals(a, b, format, control);
    if (isInfinite(a, format)) {
      return a;
    }
    if (isInfinite(b, format)) {
      return b;
    }
    return addFinite(a, b, format, control);
  }

  private static long addFinite(long a, long b, int format, SseControl control) {
    boolean aNegative = isNegative(a, format);
    boolean bNegative = isNegative(b, format);
    if (isZero(a, format) && isZero(b, format)) {
      return aNegative == bNegative ? a : zeroOfDifference(format, control);
    }
    if (isZero(a, format) || isZero(b, format)) {
      long value = isZero(a, format) ? b : a;
      return round(
          isNegative(value, format),
          exponent(value, format),
          significand(value, format),
          format,
          control);
    }
    // The greater magnitude first, one bit below the top to leave room for a carry.
    boolean swap = magnitude(a, format) < magnitude(b, format);
    long greater = swap ? b : a;
    long lesser = swap ? a : b;
    int exponent = exponent(greater, format);
    long significand = significand(greater, format) >>> 1;
    long addend =
        shiftSticky(significand(lesser, format) >>> 1, exponent - exponent(lesser, format));
    long sum = aNegative == bNegative ? significand + addend : significand - addend;
    if (sum == 0) {
      return zeroOfDifference(format, control);
    }
    int shift = Long.numberOfLeadingZeros(sum) - 1;
    return round(isNegative(greater, format), exponent + 1 - shift, sum << shift, format, control);
  }

  /** The zero that a sum of opposite numbers is. */
  private static long zeroOfDifference(int format, SseControl control) {
    return control.rounding() == DOWN ? signBit(format) : 0;
  }

  static long subtract(long a, long b, int format, SseControl control) {
    // A NaN keeps its sign in a subtraction.
    return add(a, isNan(b, format) ? b : b ^ signBit(format), format, control);
  }

  static long multiply(long first, long second, int format, SseControl control) {
    long a = read(first, format, control);
    long b = read(second, format, control);
    if (isNan(a, format) || isNan(b, format)) {
      return propagate(a, b, format, control);
    }
    boolean infinite = isInfinite(a, format) || isInfinite(b, format);
    boolean zero = isZero(a, format) || isZero(b, format);
    if (infinite && zero) {
      return invalid(format, control);
    }
    noteDenormals(a, b, format, control);
    long sign = (a ^ b) & signBit(format);
    if (infinite) {
      return sign | infinity(format);
    }
    if (zero) {
      return sign;
    }
    long aSignificand = significand(a, format);
    long bSignificand = significand(b, format);
    long high = Math.multiplyHigh(aSignificand, bSignificand);
    long low = aSignificand * bSignificand;
    int exponent = exponent(a, format) + exponent(b, format);
    // The product has bit 124 or 125 as its highest.
    int shift = Long.numberOfLeadingZeros(high) - 1;
    long significand = high << shift | low >>> (64 - shift) | (low << shift != 0 ? 1 : 0);
    return round(sign != 0, exponent + 2 - shift, significand, format, control);
  }

  static long divide(long first, long second, int format, SseControl control) {
    long a = read(first, format, control);
    long b = read(second, format, control);
    if (isNan(a, format) || isNan(b, format)) {
      return propagate(a, b, format, control);
    }
    boolean bothInfinite = isInfinite(a, format) && isInfinite(b, format);
    boolean bothZero = isZero(a, format) && isZero(b, format);
    if (bothInfinite || bothZero) {
      return invalid(format, control);
    }
    long sign = (a ^ b) & signBit(format);
    if (isZero(b, format) && !isInfinite(a, format)) {
      control.raise(DIVIDE_BY_ZERO);
      return sign | infinity(format);
    }
    noteDenormals(a, b, format, control);
    if (isInfinite(a, format)) {
      return sign | infinity(format);
    }
    if (isZero(a, format) || isInfinite(b, format)) {
      return sign;
    }
    // Java's quotient of the significands is the nearest 53-bit number, never halfway between two;
    // the sign of what remains, which fits 64 bits however they wrap, says on which side it lies.
    long dividend = significand(a, format) >>> 10;
    long divisor = significand(b, format) >>> 10;
    int scale = dividend >= divisor ? 52 : 53;
    long quotient = (long) ((double) dividend / (double) divisor * (double) (1L << scale));
    long remainder = (dividend << scale) - quotient * divisor;
    int exponent = exponent(a, format) - exponent(b, format) + 52 - scale;
    long significand = (quotient << 10) + Long.signum(remainder);
    return round(sign != 0, exponent, significand, format, control);
  }

  static long squareRoot(long operand, int format, SseControl control) {
    long a = read(operand, format, control);
    if (isNan(a, format)) {
      return quiet(a, format, control);
    }
    if (isZero(a, format)) {
      return a;
    }
    if (isNegative(a, format)) {
      return invalid(format, control);
    }
    noteDenormals(a, a, format, control);
    if (isInfinite(a, format)) {
      return a;
    }
    int exponent = exponent(a, format);
    long radicand = significand(a, format) >>> 10;
    if ((exponent & 1) != 0) {
      radicand <<= 1;
      exponent--;
    }
    // As in a division: the nearest root, then the side on which the true one lies.
    long root = (long) (Math.sqrt((double) radicand) * (double) (1L << 26));
    long remainder = (radicand << 52) - root * root;
    return round(false, exponent >> 1, (root << 10) + Long.signum(remainder), format, control);
  }

  // ---- between formats
  // ----------------------------------------------------------------------------

  static long toSingle(long operand, SseControl control) {
    long a = read(operand, DOUBLE, control);
    long sign = a >>> 32 & 0x80000000L;
    if (isNan(a, DOUBLE)) {
      return sign | infinity(SINGLE) | quiet(a, DOUBLE, control) >>> 29 & 0x7FFFFFL;
    }
    noteDenormals(a, a, DOUBLE, control);
    if (isInfinite(a, DOUBLE)) {
      return sign | infinity(SINGLE);
    }
    if (isZero(a, DOUBLE)) {
      return sign;
    }
    return round(sign != 0, exponent(a, DOUBLE), significand(a, DOUBLE), SINGLE, control);
  }

  static long toDouble(long operand, SseControl control) {
    long a = read(operand, SINGLE, control);
    long sign = (a & 0x80000000L) << 32;
    if (isNan(a, SINGLE)) {
      return sign | infinity(DOUBLE) | (quiet(a, SINGLE, control) & 0x7FFFFFL) << 29;
    }
    noteDenormals(a, a, SINGLE, control);
    if (isInfinite(a, SINGLE)) {
      return sign | infinity(DOUBLE);
    }
    if (isZero(a, SINGLE)) {
      return sign;
    }
    // Every single is a double; its exponent is far from the limits.
    long fraction = significand(a, SINGLE) >>> 10 & ((1L << 52) - 1);
    return sign | (long) (exponent(a, SINGLE) + 1023) << 52 | fraction;
  }

  static long fromInteger(long value, int format, SseControl control) {
    if (value == 0) {
      return 0;
    }
    long magnitude = Math.abs(value);
    // The magnitude of the least integer has bit 63 as its highest; it loses only a zero.
    int shift = Long.numberOfLeadingZeros(magnitude) - 1;
    long significand = shift < 0 ? magnitude >>> 1 : magnitude << shift;
    return round(value < 0, TOP - shift, significand, format, control);
  }

  // ---- to integers
  // --------------------------------------------------------------------------------

  /**
   * Converts to a signed integer of 32 or 64 bits; what does not fit gives the least integer and is
   * invalid. Denormals raise nothing of their own here.
   */
  static long toInteger(long operand, int format, int bits, int rounding, SseControl control) {
    long a = read(operand, format, control);
    long indefinite = -1L << (bits - 1);
    if (isZero(a, format)) {
      return 0;
    }
    boolean negative = isNegative(a, format);
    int exponent = exponent(a, format);
    long significand = significand(a, format);
    if (exponent >= 63) {
      // Infinities and NaNs have greater exponents than any number.
      boolean least = bits == 64 && negative && exponent == 63 && significand == 1L << TOP;
      if (!least) {
        control.raise(INVALID);
      }
      return indefinite;
    }
    // A wide significand is exact above the point as soon as the exponent reaches its width.
    long magnitude;
    boolean inexact;
    if (exponent >= format) {
      magnitude = significand >>> (TOP - exponent);
      inexact = false;
    } else {
      magnitude = roundedMagnitude(negative, exponent, significand, rounding);
      inexact = exponent < 0 || (significand & ((1L << (TOP - exponent)) - 1)) != 0;
    }
    long result = negative ? -magnitude : magnitude;
    if (bits == 32 && result != (int) result) {
      control.raise(INVALID);
      return indefinite;
    }
    if (inexact) {
      control.raise(INEXACT);
    }
    return result;
  }

  /** The magnitude rounded to an integer; the exponent is at most 60. */
  private static long roundedMagnitude(
      boolean negative, int exponent, long significand, int rounding) {
    // Aligned so that the point lies above bit 1: one bit for the half, one for all below it.
    long aligned = shiftSticky(significand, TOP - 2 - exponent);
    long magnitude = (aligned + increment(negative, 2, rounding)) >>> 2;
    if (rounding == NEAREST && (aligned & 3) == 2) {
      magnitude &= ~1L;
    }
    return magnitude;
  }

  /** Rounds to an integer in the same format; {@code quietly} leaves INEXACT alone. */
  static long roundToIntegral(
      long operand, int format, int rounding, boolean quietly, SseControl control) {
    long a = read(operand, format, control);
    if (isNan(a, format)) {
      return quiet(a, format, control);
    }
    if (isZero(a, format) || isInfinite(a, format) || exponent(a, format) >= format) {
      return a;
    }
    boolean negative = isNegative(a, format);
    long sign = a & signBit(format);
    int exponent = exponent(a, format);
    long significand = significand(a, format);
    long magnitude = roundedMagnitude(negative, exponent, significand, rounding);
    boolean inexact = exponent < 0 || (significand & ((1L << (TOP - exponent)) - 1)) != 0;
    if (inexact && !quietly) {
      control.raise(INEXACT);
    }
    if (magnitude == 0) {
      return sign;
    }
    int top = 63 - Long.numberOfLeadingZeros(magnitude);
    long fraction = magnitude << (format - top) & ((1L << format) - 1);
    return sign | (long) (top + bias(format)) << format | fraction;
  }
}
