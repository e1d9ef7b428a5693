package io.anillo.vmm.x86.execute.fpu;

import io.anillo.vmm.cpu.CpuState;

/**
 * The x87 unit of one processor: the stack of registers in {@link CpuState}, and how an
 * instruction's exceptions become the status word and decide whether its result is stored (Intel
 * SDM vol. 1 §8.1, §8.5).
 *
 * <p>Registers are named by their place in the stack, 0 for ST(0). An instruction is: {@link
 * #begin}, check the registers it reads and pushes, compute in {@link #context}, {@link #commit},
 * write and pop if that allows it.
 */
public final class X87 {
  public static final int C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000;
  public static final int CONDITIONS = C0 | C1 | C2 | C3;

  /** Error summary and busy: set together while an unmasked exception is flagged. */
  static final int ERROR_SUMMARY = 0x80, BUSY = 0x8000;

  static final int EXCEPTIONS = 0x3F;

  final CpuState state;
  final Float80Context context = new Float80Context();
  final Float80Transcendental transcendental = new Float80Transcendental();

  public X87(CpuState state) {
    this.state = state;
  }

  /** The operation's control word, result and exceptions. */
  public Float80Context context() {
    return context;
  }

  void begin() {
    context.control = state.x87Control;
    context.begin();
  }

  // ---- registers ----

  int physical(int index) {
    return state.x87Top + index & 7;
  }

  boolean empty(int index) {
    return (state.x87Valid >>> physical(index) & 1) == 0;
  }

  int signExponent(int index) {
    return state.x87SignExponent[physical(index)];
  }

  long significand(int index) {
    return state.x87Significand[physical(index)];
  }

  void write(int index, int signExponent, long significand) {
    int register = physical(index);
    state.x87SignExponent[register] = signExponent;
    state.x87Significand[register] = significand;
    state.x87Valid |= 1 << register;
  }

  void writeResult(int index) {
    write(index, context.signExponent, context.significand);
  }

  void writeIndefinite(int index) {
    write(index, Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
  }

  void push(int signExponent, long significand) {
    state.x87Top = state.x87Top - 1 & 7;
    write(0, signExponent, significand);
  }

  void pop() {
    state.x87Valid &= ~(1 << state.x87Top);
    state.x87Top = state.x87Top + 1 & 7;
  }

  // ---- exceptions ----

  /**
   * Puts the operation's exceptions and C1 into the status word.
   *
   * @return whether the result may be stored in a register
   */
  boolean commit() {
    int exceptions = context.exceptions;
    state.x87Status = (state.x87Status & ~C1) | exceptions;
    if ((exceptions & ~context.control & EXCEPTIONS) == 0) {
      return true;
    }
    state.x87Status |= ERROR_SUMMARY | BUSY;
    return !context.aborted();
  }

  /**
   * Raises a stack underflow; true when it is masked, so that the indefinite number takes the
   * result's place.
   */
  boolean underflow() {
    context.exceptions = Float80Context.INVALID | Float80Context.STACK_FAULT;
    return commit();
  }

  /** Raises a stack overflow; true when it is masked. */
  boolean overflow() {
    context.exceptions = Float80Context.INVALID | Float80Context.STACK_FAULT | Float80Context.C1;
    return commit();
  }

  /** Pushes the operation's result, unless its exceptions or a full stack forbid it. */
  void pushResult() {
    if (!empty(-1)) {
      if (overflow()) {
        push(Float80.INDEFINITE_SIGN_EXPONENT, Float80.INDEFINITE_SIGNIFICAND);
      }
    } else if (commit() || (context.exceptions & ~context.control & Float80Context.INVALID) == 0) {
      // An unmasked denormal operand is flagged, but the number is loaded.
      push(context.signExponent, context.significand);
    }
  }

  void setConditions(int conditions) {
    state.x87Status = (state.x87Status & ~CONDITIONS) | conditions;
  }

  /** Makes error summary and busy agree with the flags and the masks, after either was loaded. */
  void summarize() {
    if ((state.x87Status & ~state.x87Control & EXCEPTIONS) != 0) {
      state.x87Status |= ERROR_SUMMARY | BUSY;
    } else {
      state.x87Status &= ~(ERROR_SUMMARY | BUSY);
    }
  }

  /** Whether an unmasked exception waits to be raised by the next waiting instruction. */
  public boolean pending() {
    return (state.x87Status & ERROR_SUMMARY) != 0;
  }

  /** The status word with TOP in place. */
  public int statusWord() {
    return (state.x87Status & ~0x3800) | state.x87Top << 11;
  }

  void setStatusWord(int word) {
    state.x87Status = word & 0xC7FF;
    state.x87Top = word >>> 11 & 7;
    summarize();
  }

  // ---- control ----

  /** FNINIT. */
  public void initialize() {
    state.x87Control = 0x37F;
    state.x87Status = 0;
    state.x87Top = 0;
    state.x87Valid = 0;
    state.x87Opcode = 0;
    state.x87InstructionPointer = 0;
    state.x87InstructionSelector = 0;
    state.x87DataPointer = 0;
    state.x87DataSelector = 0;
  }

  /** FLDCW: bit 6 always reads as set, bits 7 and 13 to 15 as clear. */
  public void loadControl(int word) {
    state.x87Control = (word & 0x1F3F) | 0x40;
    summarize();
  }

  /** FNCLEX. */
  public void clearExceptions() {
    state.x87Status &= ~(BUSY | ERROR_SUMMARY | Float80Context.STACK_FAULT | EXCEPTIONS);
  }

  /** FINCSTP and FDECSTP: turns the stack without touching a register. */
  public void rotate(int places) {
    state.x87Top = state.x87Top + places & 7;
    state.x87Status &= ~C1;
  }

  /** FFREE. */
  public void free(int index) {
    state.x87Status &= ~C1;
    state.x87Valid &= ~(1 << physical(index));
  }

  /** FFREEP: an undocumented encoding that processors have. */
  public void freeAndPop(int index) {
    free(index);
    pop();
  }

  // ---- MMX ----

  /**
   * What every MMX instruction but EMMS does besides its work: TOP is 0 and all registers are
   * valid.
   */
  public static void enterMmx(CpuState state) {
    state.x87Top = 0;
    state.x87Valid = 0xFF;
  }

  /** Writes an MMX register: the exponent becomes all ones (Intel SDM vol. 1 §9.5.2). */
  public static void writeMmx(CpuState state, int register, long value) {
    state.x87Significand[register] = value;
    state.x87SignExponent[register] = 0xFFFF;
  }

  /** EMMS. */
  public static void emptyMmx(CpuState state) {
    state.x87Top = 0;
    state.x87Valid = 0;
  }
}
