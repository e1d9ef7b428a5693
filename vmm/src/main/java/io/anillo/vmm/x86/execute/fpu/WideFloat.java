package io.anillo.vmm.x86.execute.fpu;

/**
 * A mutable number with a 128-bit significand, in which the transcendental functions are evaluated
 * so that only their last rounding, to 64 bits, counts: value = ± {@code high:low} / 2^127 ·
 * 2^{@code exponent}, the top bit of {@code high} set, or zero when {@code high} is zero.
 * Operations cut off below the last bit.
 */
final class WideFloat {
  /** 0 or {@link Float80#SIGN}. */
  int sign;

  int exponent;
  long high;
  long low;

  WideFloat set(WideFloat other) {
    sign = other.sign;
    exponent = other.exponent;
    high = other.high;
    low = other.low;
    return this;
  }

  WideFloat set(int newSign, int newExponent, long newHigh, long newLow) {
    sign = newSign;
    exponent = newExponent;
    high = newHigh;
    low = newLow;
    return this;
  }

  /** A finite number that is not zero. */
  WideFloat set(int signExponent, long significand) {
    int shift = Long.numberOfLeadingZeros(significand);
    return set(
        signExponent & Float80.SIGN,
        Math.max(signExponent & Float80.EXPONENT, 1) - shift - Float80.BIAS,
        significand << shift,
        0);
  }

  WideFloat setInteger(int value) {
    long magnitude = Math.abs((long) value);
    int shift = Long.numberOfLeadingZeros(magnitude);
    return set(value < 0 ? Float80.SIGN : 0, 63 - shift, magnitude << shift, 0);
  }

  /** Moves the top bit into place after an operation. */
  WideFloat normalize() {
    if (high == 0) {
      high = low;
      low = 0;
      exponent -= 64;
    }
    int shift = Long.numberOfLeadingZeros(high);
    if (shift != 0 && shift != 64) {
      high = high << shift | low >>> -shift;
      low <<= shift;
      exponent -= shift;
    }
    return this;
  }

  /** this = this · factor. */
  WideFloat multiply(WideFloat factor) {
    long a = high;
    long b = low;
    sign ^= factor.sign;
    exponent += factor.exponent + 1;
    multiplyFraction(a, b, factor.high, factor.low);
    return normalize();
  }

  /**
   * high:low = the upper half of the product of two 128-bit fractions, but for a unit or two in its
   * last place.
   */
  private void multiplyFraction(long aHigh, long aLow, long bHigh, long bLow) {
    long top = Math.unsignedMultiplyHigh(aHigh, bHigh);
    long bottom = aHigh * bHigh;
    long cross = Math.unsignedMultiplyHigh(aHigh, bLow);
    bottom += cross;
    if (Long.compareUnsigned(bottom, cross) < 0) {
      top++;
    }
    cross = Math.unsignedMultiplyHigh(aLow, bHigh);
    bottom += cross;
    if (Long.compareUnsigned(bottom, cross) < 0) {
      top++;
    }
    high = top;
    low = bottom;
  }

  /** this = this / divisor. */
  WideFloat divide(WideFloat divisor) {
    sign ^= divisor.sign;
    exponent -= divisor.exponent;
    long n2 = high;
    long n1 = low;
    long n0 = 0;
    int order = Long.compareUnsigned(n2, divisor.high);
    if (order > 0 || (order == 0 && Long.compareUnsigned(n1, divisor.low) >= 0)) {
      n0 = n1 << 63;
      n1 = n2 << 63 | n1 >>> 1;
      n2 >>>= 1;
    } else {
      exponent--;
    }
    long first = digit(n2, n1, n0, divisor.high, divisor.low);
    long second = digit(high, low, 0, divisor.high, divisor.low);
    high = first;
    low = second;
    return this;
  }

  /**
   * One digit of 64 bits of n2:n1:n0 / dHigh:dLow, where n2:n1 is below the divisor and dHigh has
   * its top bit set. The remainder is left in {@code high:low}.
   */
  long digit(long n2, long n1, long n0, long dHigh, long dLow) {
    long quotient = n2 == dHigh ? -1L : Float80Arithmetic.divide(n2, n1, dHigh);
    // The product has three words: p2:p1:p0.
    long p0 = quotient * dLow;
    long p1 = Math.unsignedMultiplyHigh(quotient, dLow);
    long p2 = Math.unsignedMultiplyHigh(quotient, dHigh);
    long middle = quotient * dHigh;
    p1 += middle;
    if (Long.compareUnsigned(p1, middle) < 0) {
      p2++;
    }
    long r0 = n0 - p0;
    long borrow = Long.compareUnsigned(n0, p0) < 0 ? 1 : 0;
    long r1 = n1 - p1 - borrow;
    long borrow1 = Long.compareUnsigned(n1, p1) < 0 || (borrow != 0 && n1 == p1) ? 1 : 0;
    long r2 = n2 - p2 - borrow1;
    while (r2 < 0) {
      quotient--;
      r0 += dLow;
      long carry = Long.compareUnsigned(r0, dLow) < 0 ? 1 : 0;
      long sum = r1 + dHigh;
      long carry1 = Long.compareUnsigned(sum, dHigh) < 0 ? 1 : 0;
      r1 = sum + carry;
      if (carry != 0 && r1 == 0) {
        carry1 = 1;
      }
      r2 += carry1;
    }
    high = r1;
    low = r0;
    return quotient;
  }

  /** this = this + addend. */
  WideFloat add(WideFloat addend) {
    if (addend.high == 0) {
      return this;
    }
    if (high == 0) {
      return set(addend);
    }
    int distance = exponent - addend.exponent;
    long aHigh = high;
    long aLow = low;
    long bHigh = addend.high;
    long bLow = addend.low;
    int resultSign = sign;
    int otherSign = addend.sign;
    if (distance < 0) {
      distance = -distance;
      aHigh = bHigh;
      aLow = bLow;
      bHigh = high;
      bLow = low;
      resultSign = otherSign;
      otherSign = sign;
      exponent = addend.exponent;
    }
    if (distance >= 128) {
      return set(resultSign, exponent, aHigh, aLow);
    }
    if (distance >= 64) {
      bLow = bHigh;
      bHigh = 0;
      distance -= 64;
    }
    if (distance != 0) {
      bLow = bLow >>> distance | bHigh << -distance;
      bHigh >>>= distance;
    }
    sign = resultSign;
    if (resultSign == otherSign) {
      low = aLow + bLow;
      long carry = Long.compareUnsigned(low, aLow) < 0 ? 1 : 0;
      high = aHigh + bHigh + carry;
      int order = Long.compareUnsigned(high, aHigh);
      if (order < 0 || (order == 0 && (bHigh | carry) != 0)) {
        low = low >>> 1 | high << 63;
        high = high >>> 1 | Long.MIN_VALUE;
        exponent++;
      }
      return this;
    }
    low = aLow - bLow;
    high = aHigh - bHigh - (Long.compareUnsigned(aLow, bLow) < 0 ? 1 : 0);
    int order = Long.compareUnsigned(aHigh, bHigh);
    if (order < 0 || (order == 0 && Long.compareUnsigned(aLow, bLow) < 0)) {
      sign ^= Float80.SIGN;
      low = -low;
      high = low == 0 ? -high : ~high;
    }
    return normalize();
  }

  /**
   * this = the polynomial with these coefficients at {@code argument}, from 0 to below 1; its sign
   * is taken from {@code alternating}. Coefficients and sums are below 2, in pairs of words: units
   * of 2^-127.
   *
   * @param alternating whether odd powers are subtracted
   */
  WideFloat polynomial(long[] coefficients, WideFloat argument, boolean alternating) {
    long zHigh = 0;
    long zLow = 0;
    int shift = -1 - argument.exponent;
    if (argument.high != 0 && shift < 128) {
      if (shift >= 64) {
        zLow = argument.high >>> shift;
      } else if (shift == 0) {
        zHigh = argument.high;
        zLow = argument.low;
      } else {
        zHigh = argument.high >>> shift;
        zLow = argument.low >>> shift | argument.high << -shift;
      }
    }
    int index = coefficients.length - 2;
    high = coefficients[index];
    low = coefficients[index + 1];
    while (index > 0) {
      index -= 2;
      multiplyFraction(high, low, zHigh, zLow);
      long termLow = low;
      long coefficientLow = coefficients[index + 1];
      if (alternating) {
        low = coefficientLow - termLow;
        high =
            coefficients[index]
                - high
                - (Long.compareUnsigned(coefficientLow, termLow) < 0 ? 1 : 0);
      } else {
        low = coefficientLow + termLow;
        high = coefficients[index] + high + (Long.compareUnsigned(low, termLow) < 0 ? 1 : 0);
      }
    }
    sign = 0;
    exponent = 0;
    return normalize();
  }
}
