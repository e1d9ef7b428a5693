package io.anillo.vmm.x86.execute.fpu;

import io.anillo.vmm.cpu.CpuState;

/**
 * Loads, stores, exchanges and conditional moves. A store to memory is in two parts, so that a
 * fault of the memory leaves the unit as it was: {@code prepare…} computes what to store and
 * changes nothing, the caller stores it if {@link #storeAllowed} says so, and {@link #finishStore}
 * then sets the flags and pops.
 */
public final class X87Transfers {
  private final X87 unit;
  private final CpuState state;
  private final Float80Context context;

  public X87Transfers(X87 unit) {
    this.unit = unit;
    this.state = unit.state;
    this.context = unit.context;
  }

  /** FLD m32fp. */
  public void loadFloat32(int bits) {
    unit.begin();
    Float80Conversion.fromFloat32(context, bits);
    unit.pushResult();
  }

  /** FLD m64fp. */
  public void loadFloat64(long bits) {
    unit.begin();
    Float80Conversion.fromFloat64(context, bits);
    unit.pushResult();
  }

  /** FLD m80fp: any bits, unchanged. */
  public void loadFloat80(int signExponent, long significand) {
    unit.begin();
    context.set(signExponent, significand);
    unit.pushResult();
  }

  /** FILD. */
  public void loadInteger(long value) {
    unit.begin();
    Float80Conversion.fromInteger(context, value);
    unit.pushResult();
  }

  /** FBLD. */
  public void loadPacked(long low, int high) {
    unit.begin();
    Float80Conversion.fromPacked(context, low, high);
    unit.pushResult();
  }

  /** FLD ST(index). */
  public void loadRegister(int index) {
    unit.begin();
    if (unit.empty(index)) {
      // Onto a full stack as well, the underflow is what processors report.
      if (unit.underflow()) {
        unit.push(Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
      }
      return;
    }
    context.set(unit.signExponent(index), unit.significand(index));
    unit.pushResult();
  }

  /** FST ST(index) and FSTP ST(index). */
  public void storeRegister(int index, boolean pop) {
    unit.begin();
    if (unit.empty(0)) {
      if (!unit.underflow()) {
        return;
      }
      unit.writeIndefinite(index);
    } else {
      state.x87Status &= ~X87.C1;
      unit.write(index, unit.signExponent(0), unit.significand(0));
    }
    if (pop) {
      unit.pop();
    }
  }

  /** The undocumented D9 D8 to DF: FSTP that finds nothing wrong with an empty ST(0). */
  public void storeRegisterUnchecked(int index) {
    if (unit.empty(0)) {
      state.x87Status &= ~X87.C1;
      unit.pop();
    } else {
      storeRegister(index, true);
    }
  }

  /** FXCH: empty registers are filled with the indefinite number before they change places. */
  public void exchange(int index) {
    unit.begin();
    if (unit.empty(0) || unit.empty(index)) {
      if (!unit.underflow()) {
        return;
      }
      if (unit.empty(0)) {
        unit.writeIndefinite(0);
      }
      if (unit.empty(index)) {
        unit.writeIndefinite(index);
      }
    } else {
      state.x87Status &= ~X87.C1;
    }
    int signExponent = unit.signExponent(0);
    long significand = unit.significand(0);
    unit.write(0, unit.signExponent(index), unit.significand(index));
    unit.write(index, signExponent, significand);
  }

  /** FCMOVcc: ST(index) to ST(0) when the condition holds. */
  public void moveIf(boolean condition, int index) {
    unit.begin();
    if (unit.empty(0) || unit.empty(index)) {
      if (unit.underflow()) {
        unit.writeIndefinite(0);
      }
      return;
    }
    if (condition) {
      unit.write(0, unit.signExponent(index), unit.significand(index));
    }
  }

  // ---- stores to memory ----

  private boolean prepare() {
    unit.begin();
    if (unit.empty(0)) {
      context.exceptions = Float80Context.INVALID | Float80Context.STACK_FAULT;
      return false;
    }
    return true;
  }

  /** FST m32fp: the bits to store. */
  public int prepareFloat32() {
    return prepare()
        ? Float80Conversion.toFloat32(context, unit.signExponent(0), unit.significand(0))
        : 0xFFC0_0000;
  }

  /** FST m64fp: the bits to store. */
  public long prepareFloat64() {
    return prepare()
        ? Float80Conversion.toFloat64(context, unit.signExponent(0), unit.significand(0))
        : 0xFFF8_0000_0000_0000L;
  }

  /** FSTP m80fp: the bits to store in the context's result. */
  public void prepareFloat80() {
    if (prepare()) {
      context.set(unit.signExponent(0), unit.significand(0));
    } else {
      context.set(Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
    }
  }

  /** FIST and FISTTP: the integer to store. */
  public long prepareInteger(int sizeBits, boolean truncate) {
    return prepare()
        ? Float80Conversion.toInteger(
            context, unit.signExponent(0), unit.significand(0), sizeBits, truncate)
        : -1L << (sizeBits - 1);
  }

  /**
   * FBSTP: the first eight bytes in the context's significand, the last two in its sign and
   * exponent.
   */
  public void preparePacked() {
    if (prepare()) {
      Float80Conversion.toPacked(context, unit.signExponent(0), unit.significand(0));
    } else {
      context.set(0xFFFF, Float80.INDEFINITE_SIGNIFICAND);
    }
  }

  /** Whether memory is written: not when an unmasked exception other than precision was found. */
  public boolean storeAllowed() {
    return !context.storeAborted();
  }

  /** The second part of a store: the status word, and the pop. */
  public void finishStore(boolean pop) {
    unit.commit();
    if (pop && storeAllowed()) {
      unit.pop();
    }
  }
}
