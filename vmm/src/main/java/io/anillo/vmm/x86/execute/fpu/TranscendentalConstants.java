package io.anillo.vmm.x86.execute.fpu;

import java.math.BigInteger;

/**
 * The constants of the transcendental functions, worked out to 192 bits from their series when the
 * class is loaded, so that no digit has to be trusted.
 */
final class TranscendentalConstants {
  private static final int FRACTION_BITS = 192;
  private static final BigInteger ONE = BigInteger.ONE.shiftLeft(FRACTION_BITS);

  /** The number of steps from 0 to 1 in {@link #ARCTANGENTS}. */
  static final int ARCTANGENT_STEPS = 16;

  /** arctan(k / 16). */
  static final WideFloat[] ARCTANGENTS = new WideFloat[ARCTANGENT_STEPS + 1];

  static final WideFloat PI;
  static final WideFloat HALF_PI;
  static final WideFloat LN_2;
  static final WideFloat LOG2_E;
  static final WideFloat LOG2_10;
  static final WideFloat LOG10_2;

  /** 1 / (2k + 1)!: sin(x) / x in powers of x², signs alternating. */
  static final long[] SINE = new long[2 * 17];

  /** 1 / (2k)!: cos(x) in powers of x², signs alternating. */
  static final long[] COSINE = new long[2 * 17];

  /** 1 / (k + 1)!: (exp(x) − 1) / x. */
  static final long[] EXPONENTIAL = new long[2 * 32];

  /** 1 / (2k + 1): artanh(x) / x in powers of x², and arctan(x) / x with signs alternating. */
  static final long[] ODD_RECIPROCALS = new long[2 * 26];

  /** As many of {@link #ODD_RECIPROCALS} as an argument of at most 1/32 needs. */
  static final long[] ODD_RECIPROCALS_SHORT = new long[2 * 13];

  static {
    BigInteger angle = BigInteger.ZERO;
    ARCTANGENTS[0] = new WideFloat();
    for (int k = 1; k <= ARCTANGENT_STEPS; k++) {
      // The tangent of the difference of two angles, for the tangents k / 16 and (k − 1) / 16.
      int denominator = ARCTANGENT_STEPS * ARCTANGENT_STEPS + k * (k - 1);
      angle = angle.add(inverseSeries(ARCTANGENT_STEPS, denominator, true));
      ARCTANGENTS[k] = wide(angle);
    }
    PI = wide(angle.shiftLeft(2));
    HALF_PI = wide(angle.shiftLeft(1));
    BigInteger ln2 = inverseSeries(1, 3, false).shiftLeft(1);
    BigInteger ln10 =
        ln2.multiply(BigInteger.valueOf(3)).add(inverseSeries(1, 9, false).shiftLeft(1));
    LN_2 = wide(ln2);
    LOG2_E = wide(ONE.shiftLeft(FRACTION_BITS).divide(ln2));
    LOG2_10 = wide(ln10.shiftLeft(FRACTION_BITS).divide(ln2));
    LOG10_2 = wide(ln2.shiftLeft(FRACTION_BITS).divide(ln10));
    BigInteger reciprocal = ONE;
    for (int k = 0; k < EXPONENTIAL.length / 2; k++) {
      reciprocal = reciprocal.divide(BigInteger.valueOf(k + 1));
      put(EXPONENTIAL, k, reciprocal);
    }
    reciprocal = ONE;
    for (int k = 0; k < SINE.length / 2; k++) {
      put(COSINE, k, reciprocal);
      put(SINE, k, reciprocal.divide(BigInteger.valueOf(2 * k + 1)));
      reciprocal = reciprocal.divide(BigInteger.valueOf((2L * k + 1) * (2L * k + 2)));
    }
    for (int k = 0; k < ODD_RECIPROCALS.length / 2; k++) {
      put(ODD_RECIPROCALS, k, ONE.divide(BigInteger.valueOf(2 * k + 1)));
    }
    System.arraycopy(ODD_RECIPROCALS, 0, ODD_RECIPROCALS_SHORT, 0, ODD_RECIPROCALS_SHORT.length);
  }

  private TranscendentalConstants() {}

  /** arctan or artanh of numerator / denominator. */
  private static BigInteger inverseSeries(int numerator, int denominator, boolean alternating) {
    BigInteger square = BigInteger.valueOf((long) numerator * numerator);
    BigInteger divisor = BigInteger.valueOf((long) denominator * denominator);
    BigInteger power =
        ONE.multiply(BigInteger.valueOf(numerator)).divide(BigInteger.valueOf(denominator));
    BigInteger sum = BigInteger.ZERO;
    for (int k = 0; power.signum() != 0; k++) {
      BigInteger term = power.divide(BigInteger.valueOf(2 * k + 1));
      sum = alternating && (k & 1) != 0 ? sum.subtract(term) : sum.add(term);
      power = power.multiply(square).divide(divisor);
    }
    return sum;
  }

  private static void put(long[] coefficients, int index, BigInteger value) {
    BigInteger fixed = value.shiftRight(FRACTION_BITS - 127);
    coefficients[2 * index] = fixed.shiftRight(64).longValue();
    coefficients[2 * index + 1] = fixed.longValue();
  }

  private static WideFloat wide(BigInteger value) {
    int bits = value.bitLength();
    BigInteger significand = value.shiftRight(bits - 128);
    return new WideFloat()
        .set(
            0,
            bits - 1 - FRACTION_BITS,
            significand.shiftRight(64).longValue(),
            significand.longValue());
  }
}
