package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.x86.execute.fpu.Float80.BIAS;
import static io.anillo.vmm.x86.execute.fpu.Float80.EXPONENT;
import static io.anillo.vmm.x86.execute.fpu.Float80.INTEGER_BIT;
import static io.anillo.vmm.x86.execute.fpu.Float80.SIGN;

/** Rounding to integers, scaling by powers of two, taking numbers apart, and remainders. */
public final class Float80Scaling {
  private Float80Scaling() {}

  /** FRNDINT: the nearest integer as the rounding control says. */
  public static void roundToInteger(Float80Context context, int signExponent, long significand) {
    if (context.propagate(signExponent, significand)) {
      return;
    }
    int exponent = signExponent & EXPONENT;
    if (Float80.isZero(signExponent, significand) || exponent >= BIAS + 63) {
      context.set(signExponent, significand);
      return;
    }
    if (exponent == 0 && context.denormal()) {
      return;
    }
    int sign = signExponent & SIGN;
    int shift = BIAS + 63 - exponent;
    long magnitude = shift < 64 ? significand >>> shift : 0;
    long rest = shift < 64 ? significand << -shift : shift == 64 ? significand : 1;
    if (rest == 0) {
      context.set(signExponent, significand);
      return;
    }
    context.exceptions |= Float80Context.PRECISION;
    if (context.roundsUp(sign, magnitude & 1, rest)) {
      context.exceptions |= Float80Context.C1;
      magnitude++;
    }
    if (magnitude == 0) {
      context.set(sign, 0);
    } else {
      int zeros = Long.numberOfLeadingZeros(magnitude);
      context.set(sign | BIAS + 63 - zeros, magnitude << zeros);
    }
  }

  /** FSCALE: a · 2^trunc(b). */
  public static void scale(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand) {
    if (context.propagate(aSignExponent, aSignificand, bSignExponent, bSignificand)) {
      return;
    }
    int sign = aSignExponent & SIGN;
    boolean aInfinite = Float80.isInfinity(aSignExponent, aSignificand);
    boolean negative = (bSignExponent & SIGN) != 0;
    if (Float80.isInfinity(bSignExponent, bSignificand)) {
      if (negative ? aInfinite : aSignificand == 0) {
        context.invalid();
        return;
      }
      if (Float80.isDenormal(aSignExponent, aSignificand) && context.denormal()) {
        return;
      }
      if (negative) {
        context.set(sign, 0);
      } else {
        context.set(sign | EXPONENT, INTEGER_BIT);
      }
      return;
    }
    if ((Float80.isDenormal(aSignExponent, aSignificand)
            || Float80.isDenormal(bSignExponent, bSignificand))
        && context.denormal()) {
      return;
    }
    if (aInfinite || aSignificand == 0) {
      context.set(aSignExponent, aSignificand);
      return;
    }
    int places = bSignExponent & EXPONENT;
    int amount =
        places < BIAS
            ? 0
            : places > BIAS + 17 ? 1 << 17 : (int) (bSignificand >>> (BIAS + 63 - places));
    int shift = Long.numberOfLeadingZeros(aSignificand);
    int exponent = Math.max(aSignExponent & EXPONENT, 1) - shift;
    context.round(sign, exponent + (negative ? -amount : amount), aSignificand << shift, 0, 64);
  }

  /**
   * FXTRACT: the significand, between 1 and 2 with the number's sign, as the result; the exponent,
   * unbiased, as the second result.
   */
  public static void extract(Float80Context context, int signExponent, long significand) {
    if (context.propagate(signExponent, significand)) {
      context.secondSignExponent = context.signExponent;
      context.secondSignificand = context.significand;
      return;
    }
    if (Float80.isInfinity(signExponent, significand)) {
      context.set(signExponent, significand);
      context.secondSignExponent = EXPONENT;
      context.secondSignificand = INTEGER_BIT;
      return;
    }
    if (significand == 0) {
      context.exceptions |= Float80Context.ZERO_DIVIDE;
      context.set(signExponent, 0);
      context.secondSignExponent = SIGN | EXPONENT;
      context.secondSignificand = INTEGER_BIT;
      return;
    }
    int exponent = signExponent & EXPONENT;
    if (exponent == 0 && context.denormal()) {
      return;
    }
    int shift = Long.numberOfLeadingZeros(significand);
    Float80Conversion.fromInteger(context, Math.max(exponent, 1) - shift - BIAS);
    context.secondSignExponent = context.signExponent;
    context.secondSignificand = context.significand;
    context.set((signExponent & SIGN) | BIAS, significand << shift);
  }

  /**
   * FPREM and FPREM1: the remainder of a / b, exact. The three lowest bits of the quotient go to
   * C0, C3 and C1; C2 says that only a part of the reduction was done, because the exponents differ
   * by 64 or more.
   *
   * @param nearest whether the quotient is rounded to the nearest integer (FPREM1) instead of
   *     toward zero (FPREM)
   */
  public static void remainder(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand,
      boolean nearest) {
    if (context.propagate(aSignExponent, aSignificand, bSignExponent, bSignificand)) {
      return;
    }
    if (Float80.isInfinity(aSignExponent, aSignificand)
        || Float80.isZero(bSignExponent, bSignificand)) {
      context.invalid();
      return;
    }
    if ((Float80.isDenormal(aSignExponent, aSignificand)
            || Float80.isDenormal(bSignExponent, bSignificand))
        && context.denormal()) {
      return;
    }
    context.reduced = true;
    if (aSignificand == 0) {
      context.set(aSignExponent, aSignificand);
      return;
    }
    int sign = aSignExponent & SIGN;
    int aShift = Long.numberOfLeadingZeros(aSignificand);
    int aExponent = Math.max(aSignExponent & EXPONENT, 1) - aShift;
    long a = aSignificand << aShift;
    if (Float80.isInfinity(bSignExponent, bSignificand)) {
      context.round(sign, aExponent, a, 0, 64);
      return;
    }
    int bShift = Long.numberOfLeadingZeros(bSignificand);
    int bExponent = Math.max(bSignExponent & EXPONENT, 1) - bShift;
    long b = bSignificand << bShift;
    int distance = aExponent - bExponent;
    if (distance < (nearest ? -1 : 0)) {
      context.round(sign, aExponent, a, 0, 64);
      return;
    }
    if (distance < 0) {
      // |a| is from b/4 to b: the nearest quotient is 1 when |a| is above b/2, which is b's
      // significand here.
      if (Long.compareUnsigned(a, b) <= 0) {
        context.round(sign, aExponent, a, 0, 64);
        return;
      }
      context.conditions = Float80Comparison.C1;
      // b − a in units of half of b's last place: 2b − a.
      long rest = (b << 1) - a;
      int zeros = Long.numberOfLeadingZeros(rest);
      context.round(sign ^ SIGN, aExponent - zeros, rest << zeros, 0, 64);
      return;
    }
    boolean partial = distance >= 64;
    int step = partial ? 32 + (distance & 31) : distance;
    long first = 0;
    if (Long.compareUnsigned(a, b) >= 0) {
      a -= b;
      first = 1;
    }
    long low = a << step;
    long quotient = Float80Arithmetic.divide(step == 0 ? 0 : a >>> -step, low, b);
    long rest = low - quotient * b;
    quotient += first << step;
    int exponent = bExponent + distance - step;
    if (partial) {
      context.conditions = Float80Comparison.C2;
    } else {
      if (nearest) {
        int order = Long.compareUnsigned(rest, b - rest);
        if (order > 0 || (order == 0 && (quotient & 1) != 0)) {
          rest = b - rest;
          sign ^= SIGN;
          quotient++;
        }
      }
      context.conditions =
          (int) (quotient & 1) << 9 | (int) (quotient & 2) << 13 | (int) (quotient & 4) << 6;
    }
    if (rest == 0) {
      context.set(sign, 0);
      return;
    }
    int zeros = Long.numberOfLeadingZeros(rest);
    context.round(sign, exponent - zeros, rest << zeros, 0, 64);
  }
}
