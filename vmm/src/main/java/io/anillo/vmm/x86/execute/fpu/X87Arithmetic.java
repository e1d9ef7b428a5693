package io.anillo.vmm.x86.execute.fpu;

import static io.anillo.vmm.x86.execute.fpu.Float80Context.DENORMAL;
import static io.anillo.vmm.x86.execute.fpu.Float80Context.INVALID;
import static io.anillo.vmm.x86.execute.fpu.Float80Context.ZERO_DIVIDE;

import io.anillo.vmm.cpu.CpuState;

/**
 * The arithmetic and comparison instructions over the stack. Operations are numbered as the reg
 * field of D8, DC and DE numbers them, with a = ST(0) and b the other operand whichever way the
 * result goes.
 */
public final class X87Arithmetic {
  /** a + b, a · b, a − b, b − a, a / b, b / a. */
  public static final int ADD = 0,
      MULTIPLY = 1,
      COMPARE = 2,
      COMPARE_POP = 3,
      SUBTRACT = 4,
      SUBTRACT_REVERSED = 5,
      DIVIDE = 6,
      DIVIDE_REVERSED = 7;

  private final X87 unit;
  private final CpuState state;
  private final Float80Context context;

  public X87Arithmetic(X87 unit) {
    this.unit = unit;
    this.state = unit.state;
    this.context = unit.context;
  }

  private void compute(int operation, int aSignExponent, long a, int bSignExponent, long b) {
    switch (operation) {
      case ADD -> Float80Arithmetic.add(context, aSignExponent, a, bSignExponent, b);
      case MULTIPLY -> Float80Arithmetic.multiply(context, aSignExponent, a, bSignExponent, b);
      case SUBTRACT -> Float80Arithmetic.subtract(context, aSignExponent, a, bSignExponent, b);
      case SUBTRACT_REVERSED ->
          Float80Arithmetic.subtract(context, bSignExponent, b, aSignExponent, a);
      case DIVIDE -> Float80Arithmetic.divide(context, aSignExponent, a, bSignExponent, b);
      case DIVIDE_REVERSED -> Float80Arithmetic.divide(context, bSignExponent, b, aSignExponent, a);
      default -> throw new IllegalArgumentException("no x87 operation has number " + operation);
    }
  }

  /**
   * FADD, FMUL, FSUB, FSUBR, FDIV, FDIVR and their popping forms on ST(0) and ST(index).
   *
   * @param destination 0 or {@code index}: where the result goes
   */
  public void registers(int operation, int index, int destination, boolean pop) {
    unit.begin();
    if (unit.empty(0) || unit.empty(index)) {
      if (unit.underflow()) {
        unit.writeIndefinite(destination);
        if (pop) {
          unit.pop();
        }
      }
      return;
    }
    int top = state.x87Top;
    int other = top + index & 7;
    compute(
        operation,
        state.x87SignExponent[top],
        state.x87Significand[top],
        state.x87SignExponent[other],
        state.x87Significand[other]);
    if (unit.commit()) {
      unit.writeResult(destination);
      if (pop) {
        unit.pop();
      }
    }
  }

  /** An operation or comparison of ST(0) with a single-precision operand. */
  public void memoryFloat32(int operation, int bits) {
    int exponent = bits >>> 23 & 0xFF;
    int sign = bits >>> 16 & Float80.SIGN;
    long fraction = ((long) bits & 0x7F_FFFF) << 40;
    narrow(operation, sign, exponent == 0xFF, exponent, fraction, 127);
  }

  /** An operation or comparison of ST(0) with a double-precision operand. */
  public void memoryFloat64(int operation, long bits) {
    int exponent = (int) (bits >>> 52) & 0x7FF;
    int sign = (int) (bits >>> 48) & Float80.SIGN;
    long fraction = bits << 11 & Long.MAX_VALUE;
    narrow(operation, sign, exponent == 0x7FF, exponent, fraction, 1023);
  }

  /** An operation or comparison of ST(0) with an integer operand. */
  public void memoryInteger(int operation, long value) {
    unit.begin();
    Float80Conversion.fromInteger(context, value);
    memory(operation, context.signExponent, context.significand, false);
  }

  /**
   * The operand as it is, signaling NaNs left signaling, for the operation to judge; its fraction
   * ends at bit 62.
   */
  private void narrow(
      int operation, int sign, boolean largest, int exponent, long fraction, int bias) {
    unit.begin();
    if (largest) {
      memory(operation, sign | Float80.EXPONENT, fraction | Float80.INTEGER_BIT, false);
    } else if (exponent != 0) {
      memory(
          operation, sign | exponent - bias + Float80.BIAS, fraction | Float80.INTEGER_BIT, false);
    } else if (fraction == 0) {
      memory(operation, sign, 0, false);
    } else {
      int shift = Long.numberOfLeadingZeros(fraction);
      memory(operation, sign | 1 - bias + Float80.BIAS - shift, fraction << shift, true);
    }
  }

  private void memory(int operation, int bSignExponent, long b, boolean denormal) {
    boolean comparison = operation == COMPARE || operation == COMPARE_POP;
    if (unit.empty(0)) {
      if (unit.underflow()) {
        if (comparison) {
          unit.setConditions(Float80Comparison.UNORDERED);
          if (operation == COMPARE_POP) {
            unit.pop();
          }
        } else {
          unit.writeIndefinite(0);
        }
      } else if (comparison) {
        unit.setConditions(Float80Comparison.UNORDERED);
      }
      return;
    }
    int aSignExponent = unit.signExponent(0);
    long a = unit.significand(0);
    if (comparison) {
      int order = Float80Comparison.compare(context, aSignExponent, a, bSignExponent, b, false);
      if (denormal && order != Float80Comparison.UNORDERED) {
        context.exceptions |= DENORMAL;
      }
      boolean stored = unit.commit();
      unit.setConditions(order);
      if (stored && operation == COMPARE_POP) {
        unit.pop();
      }
      return;
    }
    compute(operation, aSignExponent, a, bSignExponent, b);
    if (denormal
        && (context.exceptions & (INVALID | ZERO_DIVIDE)) == 0
        && !Float80.isNan(aSignExponent, a)) {
      // The wide form of a narrow denormal is normal: the operation could not see it.
      if ((context.control & DENORMAL) == 0) {
        context.exceptions = DENORMAL;
      } else {
        context.exceptions |= DENORMAL;
      }
    }
    if (unit.commit()) {
      unit.writeResult(0);
    }
  }

  /**
   * FCOM and FUCOM with ST(index), popping none, one or two.
   *
   * @param quiet whether a quiet NaN is no invalid operation (FUCOM)
   */
  public void compare(int index, boolean quiet, int pops) {
    boolean stored = order(index, quiet);
    unit.setConditions(context.conditions);
    if (stored) {
      popTimes(pops);
    }
  }

  /** FCOMI and FUCOMI: the result in ZF, PF and CF; OF, SF and AF are cleared. */
  public void compareToFlags(int index, boolean quiet, boolean pop) {
    // C1 stays as it is, but for a stack underflow; the flags are set even when the exception is
    // unmasked.
    int kept = state.x87Status & X87.C1;
    boolean stored = order(index, quiet);
    if ((context.exceptions & Float80Context.STACK_FAULT) == 0) {
      state.x87Status |= kept;
    }
    int conditions = context.conditions;
    state.setArithmeticFlags(
        ((conditions & X87.C0) != 0 ? CpuState.CF : 0)
            | ((conditions & X87.C2) != 0 ? CpuState.PF : 0)
            | ((conditions & X87.C3) != 0 ? CpuState.ZF : 0));
    if (stored && pop) {
      unit.pop();
    }
  }

  /** FTST. */
  public void test() {
    unit.begin();
    if (unit.empty(0)) {
      unit.underflow();
      unit.setConditions(Float80Comparison.UNORDERED);
      return;
    }
    int order =
        Float80Comparison.compare(context, unit.signExponent(0), unit.significand(0), 0, 0, false);
    unit.commit();
    unit.setConditions(order);
  }

  /** Compares into the context's conditions; true when the instruction may pop. */
  private boolean order(int index, boolean quiet) {
    unit.begin();
    if (unit.empty(0) || unit.empty(index)) {
      context.conditions = Float80Comparison.UNORDERED;
      return unit.underflow();
    }
    context.conditions =
        Float80Comparison.compare(
            context,
            unit.signExponent(0),
            unit.significand(0),
            unit.signExponent(index),
            unit.significand(index),
            quiet);
    return unit.commit();
  }

  private void popTimes(int pops) {
    for (int count = 0; count < pops; count++) {
      unit.pop();
    }
  }

  /** FXAM. */
  public void examine() {
    int conditions = Float80Comparison.examine(unit.signExponent(0), unit.significand(0));
    if (unit.empty(0)) {
      conditions = (conditions & X87.C1) | X87.C3 | X87.C0;
    }
    unit.setConditions(conditions);
  }

  /** FCHS. */
  public void changeSign() {
    signOf(unit.signExponent(0) ^ Float80.SIGN);
  }

  /** FABS. */
  public void absolute() {
    signOf(unit.signExponent(0) & Float80.EXPONENT);
  }

  private void signOf(int signExponent) {
    unit.begin();
    if (unit.empty(0)) {
      if (unit.underflow()) {
        unit.writeIndefinite(0);
      }
      return;
    }
    state.x87Status &= ~X87.C1;
    state.x87SignExponent[state.x87Top] = signExponent;
  }

  /** FSQRT. */
  public void squareRoot() {
    if (unary()) {
      Float80Arithmetic.squareRoot(context, unit.signExponent(0), unit.significand(0));
      storeUnary();
    }
  }

  /** FRNDINT. */
  public void roundToInteger() {
    if (unary()) {
      Float80Scaling.roundToInteger(context, unit.signExponent(0), unit.significand(0));
      storeUnary();
    }
  }

  /** FSCALE. */
  public void scale() {
    if (binary()) {
      Float80Scaling.scale(
          context,
          unit.signExponent(0),
          unit.significand(0),
          unit.signExponent(1),
          unit.significand(1));
      storeUnary();
    }
  }

  /** FPREM and FPREM1. */
  public void remainder(boolean nearest) {
    state.x87Status &= ~X87.C2;
    if (binary()) {
      Float80Scaling.remainder(
          context,
          unit.signExponent(0),
          unit.significand(0),
          unit.signExponent(1),
          unit.significand(1),
          nearest);
      boolean stored = unit.commit();
      if (context.reduced) {
        unit.setConditions(context.conditions);
      }
      if (stored) {
        unit.writeResult(0);
      }
    }
  }

  /** FXTRACT: the exponent takes the number's place, the significand is pushed. */
  public void extract() {
    unit.begin();
    if (unit.empty(0) || !unit.empty(-1)) {
      if (unit.empty(0) ? unit.underflow() : unit.overflow()) {
        unit.writeIndefinite(0);
        unit.push(Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
      }
      return;
    }
    Float80Scaling.extract(context, unit.signExponent(0), unit.significand(0));
    if (unit.commit()) {
      unit.write(0, context.secondSignExponent, context.secondSignificand);
      unit.push(context.signExponent, context.significand);
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
      unit.writeIndefinite(0);
    }
    return false;
  }

  private void storeUnary() {
    if (unit.commit()) {
      unit.writeResult(0);
    }
  }
}
