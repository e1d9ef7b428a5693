package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.x86.execute.fpu.Float80.BIAS;
import static io.anillo.vmm.x86.execute.fpu.Float80.EXPONENT;
import static io.anillo.vmm.x86.execute.fpu.Float80.INTEGER_BIT;
import static io.anillo.vmm.x86.execute.fpu.Float80.QUIET_BIT;
import static io.anillo.vmm.x86.execute.fpu.Float80.SIGN;

/**
 * Conversion between double-extended numbers and the other formats of memory (Intel SDM vol. 1
 * §8.2).
 */
public final class Float80Conversion {
  /** The largest magnitude that packed BCD holds: 18 nines. */
  private static final long PACKED_MAXIMUM = 999_999_999_999_999_999L;

  private Float80Conversion() {}

  /** A single-precision number; denormals and signaling NaNs raise exceptions. */
  public static void fromFloat32(Float80Context context, int bits) {
    int exponent = bits >>> 23 & 0xFF;
    long fraction = (bits & 0x7F_FFFFL) << 40;
    if (exponent != 0 && exponent != 0xFF) {
      context.set((bits >>> 16 & SIGN) | exponent - 127 + BIAS, fraction | INTEGER_BIT);
    } else {
      fromSpecial(context, bits >>> 16 & SIGN, exponent != 0, fraction, 127);
    }
  }

  /** A double-precision number; denormals and signaling NaNs raise exceptions. */
  public static void fromFloat64(Float80Context context, long bits) {
    int exponent = (int) (bits >>> 52) & 0x7FF;
    long fraction = bits << 11 & Long.MAX_VALUE;
    if (exponent != 0 && exponent != 0x7FF) {
      context.set(((int) (bits >>> 48) & SIGN) | exponent - 1023 + BIAS, fraction | INTEGER_BIT);
    } else {
      fromSpecial(context, (int) (bits >>> 48) & SIGN, exponent != 0, fraction, 1023);
    }
  }

  /** Zeros, denormals, infinities and NaNs of the narrow formats; the fraction starts at bit 62. */
  private static void fromSpecial(
      Float80Context context, int sign, boolean largest, long fraction, int bias) {
    if (largest) {
      if (fraction == 0) {
        context.set(sign | EXPONENT, INTEGER_BIT);
        return;
      }
      if ((fraction & QUIET_BIT) == 0) {
        context.exceptions |= Float80Context.INVALID;
      }
      context.set(sign | EXPONENT, INTEGER_BIT | QUIET_BIT | fraction);
    } else if (fraction == 0) {
      context.set(sign, 0);
    } else {
      context.exceptions |= Float80Context.DENORMAL;
      int shift = Long.numberOfLeadingZeros(fraction);
      context.set(sign | 1 - bias + BIAS - shift, fraction << shift);
    }
  }

  /** A signed integer, always exact. */
  public static void fromInteger(Float80Context context, long value) {
    if (value == 0) {
      context.set(0, 0);
      return;
    }
    long magnitude = Math.abs(value);
    int shift = Long.numberOfLeadingZeros(magnitude);
    context.set((value < 0 ? SIGN : 0) | BIAS + 63 - shift, magnitude << shift);
  }

  /** Rounds to single precision and returns the bits; they mean nothing when a store is aborted. */
  public static int toFloat32(Float80Context context, int signExponent, long significand) {
    long bits = narrow(context, signExponent, significand, 24, 127);
    return (int) bits;
  }

  /** Rounds to double precision and returns the bits; they mean nothing when a store is aborted. */
  public static long toFloat64(Float80Context context, int signExponent, long significand) {
    return narrow(context, signExponent, significand, 53, 1023);
  }

  private static long narrow(
      Float80Context context, int signExponent, long significand, int precision, int bias) {
    int fractionBits = precision - 1;
    int largest = 2 * bias + 1;
    long sign = (signExponent & SIGN) != 0 ? 1L << (precision == 24 ? 31 : 63) : 0;
    int discarded = 64 - precision;
    if (!Float80.isNormal(signExponent, significand)) {
      if (significand == 0 && (signExponent & EXPONENT) == 0) {
        return sign;
      }
      if (Float80.isInfinity(signExponent, significand)) {
        return sign | (long) largest << fractionBits;
      }
      if (context.propagate(signExponent, significand)) {
        long resultSign =
            (context.signExponent & SIGN) != 0 ? 1L << (precision == 24 ? 31 : 63) : 0;
        return resultSign
            | (long) largest << fractionBits
            | (context.significand & Long.MAX_VALUE) >>> discarded;
      }
    }
    int exponent = (signExponent & EXPONENT) - BIAS + bias;
    long unit = 1L << discarded;
    long kept = significand & -unit;
    long rest = significand << precision;
    if (exponent <= 0) {
      boolean tiny =
          exponent < 0 || kept != -unit || !context.roundsUp(signExponent & SIGN, 1, rest);
      if (tiny && (context.control & Float80Context.UNDERFLOW) == 0) {
        context.exceptions |= Float80Context.UNDERFLOW;
        return 0;
      }
      int shift = 1 - exponent;
      long shifted = shift < 64 ? significand >>> shift : 0;
      boolean lost = shift >= 64 || significand << -shift != 0;
      kept = shifted & -unit;
      rest = shifted << precision | (lost ? 1 : 0);
      if (tiny && rest != 0) {
        context.exceptions |= Float80Context.UNDERFLOW;
      }
      exponent = 1;
    }
    if (rest != 0) {
      context.exceptions |= Float80Context.PRECISION;
      if (context.roundsUp(signExponent & SIGN, kept & unit, rest)) {
        context.exceptions |= Float80Context.C1;
        kept += unit;
        if (kept == 0) {
          kept = INTEGER_BIT;
          exponent++;
        }
      }
    }
    if (exponent >= largest) {
      context.exceptions |= Float80Context.OVERFLOW;
      if ((context.control & Float80Context.OVERFLOW) == 0) {
        // Nothing is stored, so nothing was inexact.
        context.exceptions &= ~(Float80Context.PRECISION | Float80Context.C1);
        return 0;
      }
      context.exceptions |= Float80Context.PRECISION;
      if (context.roundsUp(signExponent & SIGN, 1, -1)) {
        context.exceptions |= Float80Context.C1;
        return sign | (long) largest << fractionBits;
      }
      context.exceptions &= ~Float80Context.C1;
      return sign | ((long) largest << fractionBits) - 1;
    }
    // The integer bit adds one to the exponent field; a denormal has none.
    return sign | ((long) (exponent - 1) << fractionBits) + (kept >>> discarded);
  }

  /**
   * Rounds to a signed integer of 16, 32 or 64 bits; out of range, the integer indefinite and an
   * invalid operation.
   *
   * @param truncate whether to round toward zero whatever the control word says (FISTTP)
   */
  public static long toInteger(
      Float80Context context, int signExponent, long significand, int sizeBits, boolean truncate) {
    long indefinite = -1L << (sizeBits - 1);
    int shift = BIAS + 63 - (signExponent & EXPONENT);
    if (shift < 0 || Float80.isUnsupported(signExponent, significand)) {
      context.exceptions |= Float80Context.INVALID;
      return indefinite;
    }
    long magnitude;
    long rest;
    if (shift == 0) {
      magnitude = significand;
      rest = 0;
    } else if (shift < 64) {
      magnitude = significand >>> shift;
      rest = significand << -shift;
    } else {
      magnitude = 0;
      rest = shift == 64 ? significand : significand != 0 ? 1 : 0;
    }
    int sign = signExponent & SIGN;
    boolean up = !truncate && context.roundsUp(sign, magnitude & 1, rest);
    if (up) {
      magnitude++;
    }
    long limit = -indefinite;
    int order = Long.compareUnsigned(magnitude, limit);
    if (order > 0 || (order == 0 && sign == 0)) {
      context.exceptions |= Float80Context.INVALID;
      return indefinite;
    }
    if (rest != 0) {
      context.exceptions |= Float80Context.PRECISION | (up ? Float80Context.C1 : 0);
    }
    return sign != 0 ? -magnitude : magnitude;
  }

  /**
   * A packed decimal of 18 digits, two in a byte, its sign in the top bit of the tenth byte.
   *
   * @param low the first eight bytes
   * @param high the last two
   */
  public static void fromPacked(Float80Context context, long low, int high) {
    long value = 0;
    for (int shift = 4; shift >= 0; shift -= 4) {
      value = value * 10 + (high >>> shift & 0xF);
    }
    for (int shift = 60; shift >= 0; shift -= 4) {
      value = value * 10 + (low >>> shift & 0xF);
    }
    fromInteger(context, value);
    context.signExponent |= high & SIGN;
  }

  /**
   * Rounds to an integer and packs it into decimal: the first eight bytes in {@link
   * Float80Context#significand}, the last two in {@link Float80Context#signExponent}.
   */
  public static void toPacked(Float80Context context, int signExponent, long significand) {
    long value = toInteger(context, signExponent, significand, 64, false);
    long magnitude = Math.abs(value);
    if ((context.exceptions & Float80Context.INVALID) != 0
        || Long.compareUnsigned(magnitude, PACKED_MAXIMUM) > 0) {
      context.exceptions =
          (context.exceptions & ~(Float80Context.PRECISION | Float80Context.C1))
              | Float80Context.INVALID;
      context.set(0xFFFF, Float80.INDEFINITE_SIGNIFICAND);
      return;
    }
    long low = 0;
    for (int shift = 0; shift < 64; shift += 4) {
      low |= magnitude % 10 << shift;
      magnitude /= 10;
    }
    int high = (int) (magnitude % 10 | (magnitude / 10) << 4);
    context.set((signExponent & SIGN) | high, low);
  }
}
