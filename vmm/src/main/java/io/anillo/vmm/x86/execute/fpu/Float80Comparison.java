package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.x86.execute.fpu.Float80.EXPONENT;
import static io.anillo.vmm.x86.execute.fpu.Float80.SIGN;

/**
 * Comparison and examination of numbers, answered as condition codes (Intel SDM vol. 1 §8.1.4 and
 * §8.3.6).
 */
public final class Float80Comparison {
  /** Condition codes in their places in the status word. */
  public static final int C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000;

  public static final int GREATER = 0, LESS = C0, EQUAL = C3, UNORDERED = C0 | C2 | C3;

  private Float80Comparison() {}

  /**
   * Compares a with b: {@link #GREATER}, {@link #LESS}, {@link #EQUAL} or {@link #UNORDERED}.
   *
   * @param quiet whether quiet NaNs are not an invalid operation (FUCOM)
   */
  public static int compare(
      Float80Context context,
      int aSignExponent,
      long aSignificand,
      int bSignExponent,
      long bSignificand,
      boolean quiet) {
    if (!Float80.isNormal(aSignExponent, aSignificand)
        || !Float80.isNormal(bSignExponent, bSignificand)) {
      if (Float80.isUnsupported(aSignExponent, aSignificand)
          || Float80.isUnsupported(bSignExponent, bSignificand)) {
        context.exceptions |= Float80Context.INVALID;
        return UNORDERED;
      }
      if (Float80.isNan(aSignExponent, aSignificand)
          || Float80.isNan(bSignExponent, bSignificand)) {
        if (!quiet
            || Float80.isSignalingNan(aSignExponent, aSignificand)
            || Float80.isSignalingNan(bSignExponent, bSignificand)) {
          context.exceptions |= Float80Context.INVALID;
        }
        return UNORDERED;
      }
      if (Float80.isDenormal(aSignExponent, aSignificand)
          || Float80.isDenormal(bSignExponent, bSignificand)) {
        context.exceptions |= Float80Context.DENORMAL;
      }
      if (aSignificand == 0 && bSignificand == 0) {
        return EQUAL;
      }
    }
    if (((aSignExponent ^ bSignExponent) & SIGN) != 0) {
      return (aSignExponent & SIGN) != 0 ? LESS : GREATER;
    }
    int order = magnitude(aSignExponent, aSignificand, bSignExponent, bSignificand);
    if (order == 0) {
      return EQUAL;
    }
    return order < 0 == ((aSignExponent & SIGN) == 0) ? LESS : GREATER;
  }

  /** The order of |a| and |b|, neither a NaN nor unsupported. */
  static int magnitude(int aSignExponent, long aSignificand, int bSignExponent, long bSignificand) {
    // A zero counts as a denormal here; a denormal's exponent means what 1 means.
    int aExponent = Math.max(aSignExponent & EXPONENT, 1);
    int bExponent = Math.max(bSignExponent & EXPONENT, 1);
    return aExponent != bExponent
        ? Integer.compare(aExponent, bExponent)
        : Long.compareUnsigned(aSignificand, bSignificand);
  }

  /**
   * The class of a number as FXAM reports it, its sign in C1; an empty register is the caller's
   * matter.
   */
  public static int examine(int signExponent, long significand) {
    int sign = (signExponent & SIGN) != 0 ? C1 : 0;
    if (Float80.isUnsupported(signExponent, significand)) {
      return sign;
    }
    if (Float80.isNan(signExponent, significand)) {
      return sign | C0;
    }
    if ((signExponent & EXPONENT) == EXPONENT) {
      return sign | C2 | C0;
    }
    if (significand == 0) {
      return sign | C3;
    }
    return (signExponent & EXPONENT) == 0 ? sign | C3 | C2 : sign | C2;
  }
}
