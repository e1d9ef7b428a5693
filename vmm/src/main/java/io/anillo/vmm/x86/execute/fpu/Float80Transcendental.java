package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.x86.execute.fpu.Float80.BIAS;
import static io.anillo.vmm.x86.execute.fpu.Float80.EXPONENT;
import static io.anillo.vmm.x86.execute.fpu.Float80.INTEGER_BIT;
import static io.anillo.vmm.x86.execute.fpu.Float80.SIGN;

/**
 * The transcendental functions (Intel SDM vol. 1 §8.3.7 to §8.3.10). One method throughout: the
 * argument is reduced exactly or in 128 bits, a power series is summed in 128-bit fixed point, and
 * the result is rounded once, so that it is the correctly rounded value but for cases too close to
 * a tie to tell. Trigonometric arguments are reduced by the 66-bit π that the manual names, as
 * processors do. Precision control has no say.
 *
 * <p>One instance for each processor, for its working numbers; nothing is allocated by a call.
 */
public final class Float80Transcendental {
  /** π/2 to 66 bits, its top bit in bit 127. */
  private static final long HALF_PI_HIGH = 0xC90FDAA22168C234L;

  private static final long HALF_PI_LOW = 0xC000000000000000L;

  private final WideFloat a = new WideFloat();
  private final WideFloat b = new WideFloat();
  private final WideFloat c = new WideFloat();
  private final WideFloat d = new WideFloat();
  private int quadrant;

  /** FLDPI. */
  public void pi(Float80Context context) {
    constant(context, TranscendentalConstants.PI);
  }

  /** FLDL2E. */
  public void log2E(Float80Context context) {
    constant(context, TranscendentalConstants.LOG2_E);
  }

  /** FLDL2T. */
  public void log2Ten(Float80Context context) {
    constant(context, TranscendentalConstants.LOG2_10);
  }

  /** FLDLG2. */
  public void log10Two(Float80Context context) {
    constant(context, TranscendentalConstants.LOG10_2);
  }

  /** FLDLN2. */
  public void lnTwo(Float80Context context) {
    constant(context, TranscendentalConstants.LN_2);
  }

  /** A constant rounded as the rounding control says; the precision exception is not raised. */
  private static void constant(Float80Context context, WideFloat value) {
    context.round(value.sign, value.exponent + BIAS, value.high, value.low, 64);
    context.exceptions = 0;
  }

  /** Rounds the result. Processors flag it as inexact even where it happens not to be. */
  private static void finish(Float80Context context, WideFloat value) {
    context.round(value.sign, value.exponent + BIAS, value.high, value.low, 64);
    context.exceptions |= Float80Context.PRECISION;
    if ((context.signExponent & EXPONENT) == 0) {
      context.exceptions |= Float80Context.UNDERFLOW;
    }
  }

  /** FSIN. */
  public void sine(Float80Context context, int signExponent, long significand) {
    if (trigonometricSpecial(context, signExponent, significand, false)) {
      return;
    }
    reduce(signExponent, significand);
    sine(context, signExponent & SIGN);
  }

  /** FCOS. */
  public void cosine(Float80Context context, int signExponent, long significand) {
    if (trigonometricSpecial(context, signExponent, significand, true)) {
      return;
    }
    reduce(signExponent, significand);
    cosine(context);
  }

  /** FSINCOS: the sine as the result, the cosine as the second result. */
  public void sineAndCosine(Float80Context context, int signExponent, long significand) {
    if (trigonometricSpecial(context, signExponent, significand, false)) {
      context.secondSignExponent = context.signExponent;
      context.secondSignificand = context.significand;
      if (Float80.isZero(signExponent, significand)) {
        context.secondSignExponent = BIAS;
        context.secondSignificand = INTEGER_BIT;
      }
      return;
    }
    reduce(signExponent, significand);
    sine(context, signExponent & SIGN);
    int sineSignExponent = context.signExponent;
    long sineSignificand = context.significand;
    int exceptions = context.exceptions;
    cosine(context);
    context.secondSignExponent = context.signExponent;
    context.secondSignificand = context.significand;
    // C1 tells of the sine's rounding.
    context.exceptions = (context.exceptions & ~Float80Context.C1) | exceptions;
    context.set(sineSignExponent, sineSignificand);
  }

  /** FPTAN, without the push of 1. */
  public void tangent(Float80Context context, int signExponent, long significand) {
    if (trigonometricSpecial(context, signExponent, significand, false)) {
      return;
    }
    reduce(signExponent, significand);
    // Of a tiny argument the sine is the argument here and only the cosine below 1: the tangent
    // lies above.
    c.polynomial(TranscendentalConstants.SINE, b, true).multiply(a);
    cosineOfReduced();
    if ((quadrant & 1) == 0) {
      c.divide(d);
      c.sign ^= signExponent & SIGN;
      c.low |= 1;
      finish(context, c);
    } else {
      d.divide(c);
      d.sign ^= ~signExponent & SIGN;
      finish(context, d);
    }
  }

  private boolean trigonometricSpecial(
      Float80Context context, int signExponent, long significand, boolean cosine) {
    if (context.propagate(signExponent, significand)) {
      return true;
    }
    int exponent = signExponent & EXPONENT;
    if (exponent == EXPONENT) {
      context.invalid();
      return true;
    }
    if (significand == 0) {
      if (cosine) {
        context.set(BIAS, INTEGER_BIT);
      } else {
        context.set(signExponent, 0);
      }
      return true;
    }
    if (exponent >= BIAS + 63) {
      context.conditions = Float80Comparison.C2;
      context.set(signExponent, significand);
      return true;
    }
    return exponent == 0 && context.denormal();
  }

  /**
   * Leaves in {@link #a} the argument's magnitude less a multiple of π/2, from −π/4 to π/4, in
   * {@link #b} its square, and in {@link #quadrant} the multiple's lowest bits.
   */
  private void reduce(int signExponent, long significand) {
    a.set(signExponent & EXPONENT, significand);
    quadrant = 0;
    if (a.exponent >= -1) {
      // In units of 2^-65 the argument is an integer below 2^128 and π/2 one of 66 bits. Both are
      // taken 2^62 times.
      int shift = a.exponent + 2 + 62;
      long n2;
      long n1;
      long n0;
      if (shift > 64) {
        n2 = significand >>> -shift;
        n1 = significand << shift;
        n0 = 0;
      } else {
        n2 = 0;
        n1 = significand >>> (64 - shift);
        n0 = shift == 64 ? 0 : significand << shift;
      }
      long quotient = a.digit(n2, n1, n0, HALF_PI_HIGH, HALF_PI_LOW);
      // The remainder, 2^-127 its unit. Above π/4 the next multiple is nearer.
      long half = HALF_PI_HIGH >>> 1;
      if (Long.compareUnsigned(a.high, half) > 0
          || (a.high == half && Long.compareUnsigned(a.low, HALF_PI_LOW >>> 1) > 0)) {
        long low = HALF_PI_LOW - a.low;
        a.high = HALF_PI_HIGH - a.high - (Long.compareUnsigned(HALF_PI_LOW, a.low) < 0 ? 1 : 0);
        a.low = low;
        a.sign ^= SIGN;
        quotient++;
      }
      a.exponent = 0;
      a.normalize();
      quadrant = (int) quotient & 3;
    }
    b.set(a).multiply(a);
  }

  private void sine(Float80Context context, int argumentSign) {
    if ((quadrant & 1) == 0) {
      sineOfReduced();
    } else {
      cosineOfReduced();
      c.set(d);
    }
    c.sign ^= argumentSign ^ (quadrant & 2) << 14;
    finish(context, c);
  }

  private void cosine(Float80Context context) {
    if ((quadrant & 1) == 0) {
      cosineOfReduced();
    } else {
      sineOfReduced();
      d.set(c);
      d.sign ^= SIGN;
    }
    d.sign ^= (quadrant & 2) << 14;
    finish(context, d);
  }

  /** c = sin a. */
  private void sineOfReduced() {
    c.polynomial(TranscendentalConstants.SINE, b, true);
    below(c);
    c.multiply(a);
  }

  /** d = cos a. */
  private void cosineOfReduced() {
    d.polynomial(TranscendentalConstants.COSINE, b, true);
    below(d);
  }

  /** A sum that is 1 only because its terms are too small to count is made less than 1. */
  private static void below(WideFloat value) {
    if (value.exponent == 0) {
      value.set(0, -1, -1L, -1L);
    }
  }

  /** F2XM1: 2^x − 1 for x from −1 to 1. */
  public void exponential(Float80Context context, int signExponent, long significand) {
    if (context.propagate(signExponent, significand)) {
      return;
    }
    int exponent = signExponent & EXPONENT;
    int sign = signExponent & SIGN;
    if (exponent == EXPONENT) {
      if (sign == 0) {
        context.set(signExponent, significand);
      } else {
        context.set(SIGN | BIAS, INTEGER_BIT);
      }
      return;
    }
    if (significand == 0) {
      context.set(signExponent, 0);
      return;
    }
    if (exponent == 0 && context.denormal()) {
      return;
    }
    if (exponent >= BIAS) {
      // Exact at 1 and −1; beyond, the manual leaves the result undefined and processors keep the
      // operand.
      context.exceptions |= Float80Context.PRECISION;
      if (exponent == BIAS && significand == INTEGER_BIT && sign != 0) {
        context.set(SIGN | BIAS - 1, INTEGER_BIT);
      } else {
        context.set(signExponent, significand);
      }
      return;
    }
    a.set(signExponent, significand).multiply(TranscendentalConstants.LN_2);
    b.polynomial(TranscendentalConstants.EXPONENTIAL, a, sign != 0).multiply(a);
    finish(context, b);
  }

  /** FPATAN: the angle of the point (x, y), from −π to π. */
  public void arctangent(
      Float80Context context,
      int ySignExponent,
      long ySignificand,
      int xSignExponent,
      long xSignificand) {
    if (context.propagate(ySignExponent, ySignificand, xSignExponent, xSignificand)) {
      return;
    }
    if ((Float80.isDenormal(ySignExponent, ySignificand)
            || Float80.isDenormal(xSignExponent, xSignificand))
        && context.denormal()) {
      return;
    }
    int sign = ySignExponent & SIGN;
    boolean left = (xSignExponent & SIGN) != 0;
    boolean xInfinite = (xSignExponent & EXPONENT) == EXPONENT;
    boolean yInfinite = (ySignExponent & EXPONENT) == EXPONENT;
    if (ySignificand == 0 || (xInfinite && !yInfinite)) {
      if (left) {
        c.set(TranscendentalConstants.PI);
        c.sign = sign;
        finish(context, c);
      } else {
        context.set(sign, 0);
      }
      return;
    }
    if (yInfinite || xSignificand == 0) {
      c.set(TranscendentalConstants.HALF_PI);
      if (xInfinite) {
        d.set(c);
        d.exponent--;
        d.sign = left ? 0 : SIGN;
        c.add(d);
      }
      c.sign = sign;
      finish(context, c);
      return;
    }
    a.set(ySignExponent & EXPONENT, ySignificand);
    b.set(xSignExponent & EXPONENT, xSignificand);
    int order =
        a.exponent != b.exponent
            ? Integer.compare(a.exponent, b.exponent)
            : Long.compareUnsigned(a.high, b.high);
    if (order > 0) {
      b.divide(a);
      a.set(b);
    } else {
      a.divide(b);
    }
    arctangentOfRatio();
    if (order > 0) {
      c.sign = SIGN;
      c.add(TranscendentalConstants.HALF_PI);
    }
    if (left) {
      c.sign = SIGN;
      c.add(TranscendentalConstants.PI);
    }
    c.sign = sign;
    finish(context, c);
  }

  /** c = arctan a, for a from above 0 to 1. */
  private void arctangentOfRatio() {
    // To the nearest step; a below 1/32 needs none.
    int step = a.exponent < -5 ? 0 : (int) (((a.high >>> (58 - a.exponent)) + 1) >> 1);
    if (step != 0) {
      // (a − k/16) / (1 + a · k/16)
      b.setInteger(step);
      b.exponent -= 4;
      c.set(a).multiply(b);
      d.setInteger(1).add(c);
      b.sign = SIGN;
      a.add(b);
      if (a.high == 0) {
        c.set(TranscendentalConstants.ARCTANGENTS[step]);
        return;
      }
      a.divide(d);
    }
    b.set(a).multiply(a);
    c.polynomial(TranscendentalConstants.ODD_RECIPROCALS_SHORT, b, true);
    below(c);
    c.multiply(a);
    c.add(TranscendentalConstants.ARCTANGENTS[step]);
  }

  /** FYL2X: y · log2 x. */
  public void logarithm(
      Float80Context context,
      int ySignExponent,
      long ySignificand,
      int xSignExponent,
      long xSignificand) {
    if (context.propagate(ySignExponent, ySignificand, xSignExponent, xSignificand)) {
      return;
    }
    int sign = ySignExponent & SIGN;
    boolean yInfinite = (ySignExponent & EXPONENT) == EXPONENT;
    if (xSignificand == 0) {
      if (ySignificand == 0) {
        context.invalid();
        return;
      }
      if (!yInfinite) {
        context.exceptions |= Float80Context.ZERO_DIVIDE;
      }
      context.set((sign ^ SIGN) | EXPONENT, INTEGER_BIT);
      return;
    }
    if ((xSignExponent & SIGN) != 0) {
      context.invalid();
      return;
    }
    boolean xInfinite = xSignExponent == EXPONENT;
    boolean one = xSignExponent == BIAS && xSignificand == INTEGER_BIT;
    if ((xInfinite && ySignificand == 0) || (yInfinite && one)) {
      context.invalid();
      return;
    }
    if ((Float80.isDenormal(ySignExponent, ySignificand)
            || Float80.isDenormal(xSignExponent, xSignificand))
        && context.denormal()) {
      return;
    }
    int logarithmSign = xSignExponent < BIAS ? SIGN : 0;
    if (xInfinite || yInfinite) {
      context.set((sign ^ logarithmSign) | EXPONENT, INTEGER_BIT);
      return;
    }
    if (ySignificand == 0 || one) {
      context.set(sign ^ logarithmSign, 0);
      return;
    }
    a.set(xSignExponent, xSignificand);
    logarithmOf();
    b.set(ySignExponent, ySignificand);
    c.multiply(b);
    finish(context, c);
  }

  /** c = log2 a. */
  private void logarithmOf() {
    int power = a.exponent;
    if (a.high == INTEGER_BIT && a.low == 0) {
      c.setInteger(power);
      return;
    }
    a.exponent = 0;
    // Above √2, halve: the mantissa is then from √½ to √2 and its logarithm cannot cancel the
    // power.
    if (Long.compareUnsigned(a.high, 0xB504F333F9DE6484L) > 0) {
      a.exponent = -1;
      power++;
    }
    // (m − 1) / (m + 1)
    d.setInteger(1).add(a);
    b.setInteger(-1);
    a.add(b);
    a.divide(d);
    logarithmSeries();
    if (power != 0) {
      b.setInteger(power);
      c.add(b);
    }
  }

  /** c = log2((1 + a) / (1 − a)), for |a| up to 0.18. */
  private void logarithmSeries() {
    b.set(a).multiply(a);
    c.polynomial(TranscendentalConstants.ODD_RECIPROCALS, b, false).multiply(a);
    c.exponent++;
    c.multiply(TranscendentalConstants.LOG2_E);
  }

  /** FYL2XP1: y · log2(x + 1), for x above −1; the manual promises it from √½ − 1 to √2 − 1. */
  public void logarithmPlusOne(
      Float80Context context,
      int ySignExponent,
      long ySignificand,
      int xSignExponent,
      long xSignificand) {
    if (context.propagate(ySignExponent, ySignificand, xSignExponent, xSignificand)) {
      return;
    }
    int sign = ySignExponent & SIGN;
    boolean negative = (xSignExponent & SIGN) != 0;
    boolean yInfinite = (ySignExponent & EXPONENT) == EXPONENT;
    boolean xInfinite = (xSignExponent & EXPONENT) == EXPONENT;
    if ((xInfinite && (negative || ySignificand == 0)) || (yInfinite && xSignificand == 0)) {
      context.invalid();
      return;
    }
    if ((Float80.isDenormal(ySignExponent, ySignificand)
            || Float80.isDenormal(xSignExponent, xSignificand))
        && context.denormal()) {
      return;
    }
    int logarithmSign = negative ? SIGN : 0;
    if (xInfinite || yInfinite) {
      context.set((sign ^ logarithmSign) | EXPONENT, INTEGER_BIT);
      return;
    }
    if (ySignificand == 0 || xSignificand == 0) {
      context.set(sign ^ logarithmSign, 0);
      return;
    }
    if (negative && (xSignExponent & EXPONENT) >= BIAS) {
      // x ≤ −1 has no logarithm; the manual leaves the result undefined and processors return x.
      context.exceptions |= Float80Context.PRECISION;
      context.set(xSignExponent, xSignificand);
      return;
    }
    a.set(xSignExponent, xSignificand);
    if (a.exponent < -2) {
      // x / (2 + x)
      d.setInteger(2).add(a);
      a.divide(d);
      logarithmSeries();
    } else {
      d.setInteger(1);
      a.add(d);
      logarithmOf();
    }
    b.set(ySignExponent, ySignificand);
    c.multiply(b);
    finish(context, c);
  }
}
