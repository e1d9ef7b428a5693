package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.x86.execute.fpu.Float80.EXPONENT;
import static io.anillo.vmm.x86.execute.fpu.Float80.INTEGER_BIT;
import static io.anillo.vmm.x86.execute.fpu.Float80.SIGN;

/**
 * Sum, difference, product, quotient and square root, rounded as the control word of the context
 * asks (Intel SDM vol. 1 §8.3.5). Hot class; the figures of {@code X87Benchmark} watch it.
 */
public final class Float80Arithmetic {
  private Float80Arithmetic() {}

  /** a + b. */
  public static void add(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand) {
    if (Float80.isNormal(aSignExponent, aSignificand)
        && Float80.isNormal(bSignExponent, bSignificand)) {
      sumFinite(
          context,
          aSignExponent & SIGN,
          aSignExponent & EXPONENT,
          aSignificand,
          bSignExponent & SIGN,
          bSignExponent & EXPONENT,
          bSignificand);
    } else {
      sumSpecial(context, aSignExponent, aSignificand, bSignExponent, bSignificand, 0);
    }
  }

  /** a − b. */
  public static void subtract(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand) {
    if (Float80.isNormal(aSignExponent, aSignificand)
        && Float80.isNormal(bSignExponent, bSignificand)) {
      sumFinite(
          context,
          aSignExponent & SIGN,
          aSignExponent & EXPONENT,
          aSignificand,
          ~bSignExponent & SIGN,
          bSignExponent & EXPONENT,
          bSignificand);
    } else {
      sumSpecial(context, aSignExponent, aSignificand, bSignExponent, bSignificand, SIGN);
    }
  }

  private static void sumSpecial(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand,
      int flip) {
    if (context.propagate(aSignExponent, aSignificand, bSignExponent, bSignificand)) {
      return;
    }
    bSignExponent ^= flip;
    boolean aInfinite = Float80.isInfinity(aSignExponent, aSignificand);
    boolean bInfinite = Float80.isInfinity(bSignExponent, bSignificand);
    if (aInfinite && bInfinite && aSignExponent != bSignExponent) {
      context.invalid();
      return;
    }
    if (anyDenormal(aSignExponent, aSignificand, bSignExponent, bSignificand)
        && context.denormal()) {
      return;
    }
    if (aInfinite) {
      context.set(aSignExponent, aSignificand);
    } else if (bInfinite) {
      context.set(bSignExponent, bSignificand);
    } else if (aSignificand == 0 && bSignificand == 0) {
      boolean down = (context.control & Float80Context.ROUNDING) == Float80Context.ROUND_DOWN;
      int sign = down ? aSignExponent | bSignExponent : aSignExponent & bSignExponent;
      context.set(sign & SIGN, 0);
    } else if (aSignificand == 0) {
      roundOperand(context, bSignExponent, bSignificand);
    } else if (bSignificand == 0) {
      roundOperand(context, aSignExponent, aSignificand);
    } else {
      int aShift = Long.numberOfLeadingZeros(aSignificand);
      int bShift = Long.numberOfLeadingZeros(bSignificand);
      sumFinite(
          context,
          aSignExponent & SIGN,
          Math.max(aSignExponent & EXPONENT, 1) - aShift,
          aSignificand << aShift,
          bSignExponent & SIGN,
          Math.max(bSignExponent & EXPONENT, 1) - bShift,
          bSignificand << bShift);
    }
  }

  private static boolean anyDenormal(
      int aSignExponent, long aSignificand, int bSignExponent, long bSignificand) {
    return Float80.isDenormal(aSignExponent, aSignificand)
        || Float80.isDenormal(bSignExponent, bSignificand);
  }

  /** Rounds a finite operand that is not zero to the context's precision. */
  static void roundOperand(Float80Context context, int signExponent, long significand) {
    int shift = Long.numberOfLeadingZeros(significand);
    context.round(
        signExponent & SIGN, Math.max(signExponent & EXPONENT, 1) - shift, significand << shift, 0);
  }

  private static void sumFinite(
      Float80Context context, int aSign, int aExponent, long a, int bSign, int bExponent, long b) {
    int distance = aExponent - bExponent;
    if (distance < 0) {
      int sign = aSign;
      aSign = bSign;
      bSign = sign;
      aExponent = bExponent;
      long significand = a;
      a = b;
      b = significand;
      distance = -distance;
    }
    long high;
    long low;
    if (distance == 0) {
      high = b;
      low = 0;
    } else if (distance < 64) {
      high = b >>> distance;
      low = b << -distance;
    } else if (distance < 128) {
      high = 0;
      int down = distance & 63;
      low = b >>> down | ((b << 1 << (63 - down)) != 0 ? 1 : 0);
    } else {
      high = 0;
      low = 1;
    }
    if (aSign == bSign) {
      long sum = a + high;
      if (Long.compareUnsigned(sum, a) < 0) {
        low = sum << 63 | low >>> 1 | (low & 1);
        sum = sum >>> 1 | INTEGER_BIT;
        aExponent++;
      }
      context.round(aSign, aExponent, sum, low);
      return;
    }
    difference(context, aSign, aExponent, a, high, low);
  }

  /** a:0 − high:low, where a has its top bit set. */
  private static void difference(
      Float80Context context, int sign, int exponent, long a, long high, long low) {
    long difference = a - high;
    if (low != 0) {
      difference--;
      low = -low;
    } else if (difference == 0) {
      boolean down = (context.control & Float80Context.ROUNDING) == Float80Context.ROUND_DOWN;
      context.set(down ? SIGN : 0, 0);
      return;
    } else if (Long.compareUnsigned(a, high) < 0) {
      difference = -difference;
      sign ^= SIGN;
    }
    if (difference >= 0) {
      if (difference == 0) {
        difference = low;
        low = 0;
        exponent -= 64;
      }
      int shift = Long.numberOfLeadingZeros(difference);
      if (shift != 0) {
        difference = difference << shift | low >>> -shift;
        low <<= shift;
        exponent -= shift;
      }
    }
    context.round(sign, exponent, difference, low);
  }

  /** a · b. */
  public static void multiply(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand) {
    int aExponent = aSignExponent & EXPONENT;
    int bExponent = bSignExponent & EXPONENT;
    int sign = (aSignExponent ^ bSignExponent) & SIGN;
    if (!Float80.isNormal(aSignExponent, aSignificand)
        || !Float80.isNormal(bSignExponent, bSignificand)) {
      if (context.propagate(aSignExponent, aSignificand, bSignExponent, bSignificand)) {
        return;
      }
      if (aExponent == EXPONENT || bExponent == EXPONENT) {
        if (aSignificand == 0 || bSignificand == 0) {
          context.invalid();
          return;
        }
        if (!anyDenormal(aSignExponent, aSignificand, bSignExponent, bSignificand)
            || !context.denormal()) {
          context.set(sign | EXPONENT, INTEGER_BIT);
        }
        return;
      }
      if (anyDenormal(aSignExponent, aSignificand, bSignExponent, bSignificand)
          && context.denormal()) {
        return;
      }
      if (aSignificand == 0 || bSignificand == 0) {
        context.set(sign, 0);
        return;
      }
      int aShift = Long.numberOfLeadingZeros(aSignificand);
      aSignificand <<= aShift;
      aExponent = Math.max(aExponent, 1) - aShift;
      int bShift = Long.numberOfLeadingZeros(bSignificand);
      bSignificand <<= bShift;
      bExponent = Math.max(bExponent, 1) - bShift;
    }
    long high = Math.unsignedMultiplyHigh(aSignificand, bSignificand);
    long low = aSignificand * bSignificand;
    int exponent = aExponent + bExponent - (Float80.BIAS - 1);
    if (high >= 0) {
      high = high << 1 | low >>> 63;
      low <<= 1;
      exponent--;
    }
    context.round(sign, exponent, high, low);
  }

  /** a / b. */
  public static void divide(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand) {
    int aExponent = aSignExponent & EXPONENT;
    int bExponent = bSignExponent & EXPONENT;
    int sign = (aSignExponent ^ bSignExponent) & SIGN;
    if (!Float80.isNormal(aSignExponent, aSignificand)
        || !Float80.isNormal(bSignExponent, bSignificand)) {
      if (context.propagate(aSignExponent, aSignificand, bSignExponent, bSignificand)) {
        return;
      }
      boolean aInfinite = aExponent == EXPONENT;
      boolean bInfinite = bExponent == EXPONENT;
      if (aInfinite && bInfinite) {
        context.invalid();
        return;
      }
      if (!aInfinite && bSignificand == 0) {
        if (aSignificand == 0) {
          context.invalid();
        } else {
          context.exceptions |= Float80Context.ZERO_DIVIDE;
          context.set(sign | EXPONENT, INTEGER_BIT);
        }
        return;
      }
      if (anyDenormal(aSignExponent, aSignificand, bSignExponent, bSignificand)
          && context.denormal()) {
        return;
      }
      if (aInfinite) {
        context.set(sign | EXPONENT, INTEGER_BIT);
        return;
      }
      if (bInfinite || aSignificand == 0) {
        context.set(sign, 0);
        return;
      }
      int aShift = Long.numberOfLeadingZeros(aSignificand);
      aSignificand <<= aShift;
      aExponent = Math.max(aExponent, 1) - aShift;
      int bShift = Long.numberOfLeadingZeros(bSignificand);
      bSignificand <<= bShift;
      bExponent = Math.max(bExponent, 1) - bShift;
    }
    int exponent = aExponent - bExponent + Float80.BIAS;
    long high = aSignificand;
    long low = 0;
    if (Long.compareUnsigned(aSignificand, bSignificand) >= 0) {
      high = aSignificand >>> 1;
      low = aSignificand << 63;
    } else {
      exponent--;
    }
    long quotient = divide(high, low, bSignificand);
    long remainder = low - quotient * bSignificand;
    context.round(sign, exponent, quotient, fraction(remainder, bSignificand));
  }

  /**
   * remainder / divisor as a 64-bit fraction of which only the order against 0 and one half is
   * right.
   */
  private static long fraction(long remainder, long divisor) {
    if (remainder == 0) {
      return 0;
    }
    long missing = divisor - remainder;
    int order = Long.compareUnsigned(remainder, missing);
    return order < 0 ? 1 : order == 0 ? Long.MIN_VALUE : Long.MIN_VALUE | 1;
  }

  /**
   * The quotient of the 128-bit number {@code high:low} and a divisor that has its top bit set and
   * is above {@code high}: two digits of 32 bits, each guessed by a 64-bit division and corrected
   * (Knuth, volume 2, 4.3.1 D).
   */
  static long divide(long high, long low, long divisor) {
    long divisorHigh = divisor >>> 32;
    long divisorLow = divisor & 0xFFFF_FFFFL;
    long first = Long.divideUnsigned(high, divisorHigh);
    long rest = high - first * divisorHigh;
    long next = low >>> 32;
    while (first >>> 32 != 0 || Long.compareUnsigned(first * divisorLow, rest << 32 | next) > 0) {
      first--;
      rest += divisorHigh;
      if (rest >>> 32 != 0) {
        break;
      }
    }
    long middle = (high << 32 | next) - first * divisor;
    long second = Long.divideUnsigned(middle, divisorHigh);
    rest = middle - second * divisorHigh;
    next = low & 0xFFFF_FFFFL;
    while (second >>> 32 != 0 || Long.compareUnsigned(second * divisorLow, rest << 32 | next) > 0) {
      second--;
      rest += divisorHigh;
      if (rest >>> 32 != 0) {
        break;
      }
    }
    return (first << 32) + second;
  }

  /** √a. */
  public static void squareRoot(Float80Context context, int signExponent, long significand) {
    int exponent = signExponent & EXPONENT;
    if (signExponent >= SIGN || !Float80.isNormal(signExponent, significand)) {
      if (context.propagate(signExponent, significand)) {
        return;
      }
      if (Float80.isZero(signExponent, significand)) {
        context.set(signExponent, 0);
        return;
      }
      if ((signExponent & SIGN) != 0) {
        context.invalid();
        return;
      }
      if (exponent == EXPONENT) {
        context.set(EXPONENT, INTEGER_BIT);
        return;
      }
      if (exponent == 0) {
        if (context.denormal()) {
          return;
        }
        int shift = Long.numberOfLeadingZeros(significand);
        significand <<= shift;
        exponent = 1 - shift;
      }
    }
    // The radicand is significand · 2^64 or half of it, so that the power of two outside is even.
    int unbiased = exponent - Float80.BIAS;
    long high = (unbiased & 1) != 0 ? significand : significand >>> 1;
    long low = (unbiased & 1) != 0 ? 0 : significand << 63;
    long root = root(high, low);
    // remainder = radicand − root², from 0 to 2 · root.
    long squareHigh = Math.unsignedMultiplyHigh(root, root);
    long squareLow = root * root;
    long restLow = low - squareLow;
    long restHigh = high - squareHigh - (Long.compareUnsigned(low, squareLow) < 0 ? 1 : 0);
    long rest;
    if ((restHigh | restLow) == 0) {
      rest = 0;
    } else {
      // Above root + 1/2 exactly when the remainder is above root.
      rest = restHigh != 0 || Long.compareUnsigned(restLow, root) > 0 ? Long.MIN_VALUE | 1 : 1;
    }
    context.round(0, (unbiased >> 1) + Float80.BIAS, root, rest);
  }

  /** The integer square root of {@code high:low}, which is at least 2^126. */
  private static long root(long high, long low) {
    double estimate = Math.sqrt((high >>> 1) * 0x1p65) * (1 + 0x1p-50);
    // Slightly too large, so that the quotient below fits in 64 bits and Newton's step comes from
    // above.
    long root = estimate >= 0x1p64 ? -1L : (long) (estimate * 0.5) << 1;
    if (root >= 0) {
      root = Long.MIN_VALUE;
    }
    if (Long.compareUnsigned(high, root) < 0) {
      long quotient = divide(high, low, root);
      root = (root >>> 1) + (quotient >>> 1) + (root & quotient & 1);
    }
    while (exceeds(root, high, low)) {
      root--;
    }
    while (root != -1L && !exceeds(root + 1, high, low)) {
      root++;
    }
    return root;
  }

  /** root² > high:low. */
  private static boolean exceeds(long root, long high, long low) {
    long squareHigh = Math.unsignedMultiplyHigh(root, root);
    int order = Long.compareUnsigned(squareHigh, high);
    return order > 0 || (order == 0 && Long.compareUnsigned(root * root, low) > 0);
  }
}
