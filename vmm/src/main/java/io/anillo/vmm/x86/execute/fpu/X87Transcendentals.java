package io.anillo.vmm.x86.execute.fpu;

/** The instructions of the transcendental functions and of the constants, over the stack. */
public final class X87Transcendentals {
  private final X87 unit;
  private final Float80Context context;
  private final Float80Transcendental functions;

  public X87Transcendentals(X87 unit) {
    this.unit = unit;
    this.context = unit.context;
    this.functions = unit.transcendental;
  }

  /** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2 and FLDZ, in the order of their encodings. */
  public void constant(int number) {
    unit.begin();
    switch (number) {
      case 0 -> context.set(Float80.BIAS, Float80.INTEGER_BIT);
      case 1 -> functions.log2Ten(context);
      case 2 -> functions.log2E(context);
      case 3 -> functions.pi(context);
      case 4 -> functions.log10Two(context);
      case 5 -> functions.lnTwo(context);
      default -> context.set(0, 0);
    }
    unit.pushResult();
  }

  /** FSIN. */
  public void sine() {
    inRange();
    if (unary()) {
      functions.sine(context, unit.signExponent(0), unit.significand(0));
      storeWithRange();
    }
  }

  /** FCOS. */
  public void cosine() {
    inRange();
    if (unary()) {
      functions.cosine(context, unit.signExponent(0), unit.significand(0));
      storeWithRange();
    }
  }

  private void storeWithRange() {
    boolean stored = unit.commit();
    setRange();
    if (stored) {
      unit.writeResult(0);
    }
  }

  private void inRange() {
    unit.state.x87Status &= ~X87.C2;
  }

  /** C2: the argument was out of range and is unchanged. */
  private void setRange() {
    unit.state.x87Status |= context.conditions;
  }

  /** FSINCOS: the sine takes the argument's place, the cosine is pushed. */
  public void sineAndCosine() {
    inRange();
    if (pushing()) {
      functions.sineAndCosine(context, unit.signExponent(0), unit.significand(0));
      boolean stored = unit.commit();
      setRange();
      if (stored && context.conditions == 0) {
        unit.writeResult(0);
        unit.push(context.secondSignExponent, context.secondSignificand);
      }
    }
  }

  /** FPTAN: the tangent takes the argument's place, 1 is pushed; for a NaN, the NaN. */
  public void tangent() {
    inRange();
    if (pushing()) {
      functions.tangent(context, unit.signExponent(0), unit.significand(0));
      boolean stored = unit.commit();
      setRange();
      if (stored && context.conditions == 0) {
        unit.writeResult(0);
        if (Float80.isNan(context.signExponent, context.significand)) {
          unit.push(context.signExponent, context.significand);
        } else {
          unit.push(Float80.BIAS, Float80.INTEGER_BIT);
        }
      }
    }
  }

  /** F2XM1. */
  public void exponential() {
    if (unary()) {
      functions.exponential(context, unit.signExponent(0), unit.significand(0));
      if (unit.commit()) {
        unit.writeResult(0);
      }
    }
  }

  /** FPATAN, FYL2X and FYL2XP1: the result takes ST(1)'s place and ST(0) is popped. */
  public void arctangent() {
    if (binary()) {
      functions.arctangent(
          context,
          unit.signExponent(1),
          unit.significand(1),
          unit.signExponent(0),
          unit.significand(0));
      storeAndPop();
    }
  }

  /** FYL2X. */
  public void logarithm() {
    if (binary()) {
      functions.logarithm(
          context,
          unit.signExponent(1),
          unit.significand(1),
          unit.signExponent(0),
          unit.significand(0));
      storeAndPop();
    }
  }

  /** FYL2XP1. */
  public void logarithmPlusOne() {
    if (binary()) {
      functions.logarithmPlusOne(
          context,
          unit.signExponent(1),
          unit.significand(1),
          unit.signExponent(0),
          unit.significand(0));
      storeAndPop();
    }
  }

  private boolean unary() {
    unit.begin();
    if (!unit.empty(0)) {
      return true;
    }
    if (unit.underflow()) {
      unit.writeIndefinite(0);
    }
    return false;
  }

  private boolean binary() {
    unit.begin();
    if (!unit.empty(0) && !unit.empty(1)) {
      return true;
    }
    if (unit.underflow()) {
      unit.writeIndefinite(1);
      unit.pop();
    }
    return false;
  }

  private boolean pushing() {
    unit.begin();
    if (!unit.empty(0) && unit.empty(-1)) {
      return true;
    }
    if (unit.empty(0) ? unit.underflow() : unit.overflow()) {
      unit.writeIndefinite(0);
      unit.push(Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
    }
    return false;
  }

  private void storeAndPop() {
    if (unit.commit()) {
      unit.writeResult(1);
      unit.pop();
    }
  }
}
