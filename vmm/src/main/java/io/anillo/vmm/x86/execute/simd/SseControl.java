package io.anillo.vmm.x86.execute.simd;

import io.anillo.vmm.cpu.CpuState;

/**
 * What SSE floating-point operations read and raise: MXCSR, and the exceptions of the instruction
 * that is running (Intel SDM vol. 1 §10.2.3, §11.5). One for each processor.
 *
 * <p>An operation ORs the exceptions it finds into {@link #exceptions}; when all operations of an
 * instruction are done and that is not zero, {@link #commit} moves them to MXCSR and says whether
 * the result may be written.
 */
public final class SseControl {
  /** Exception flags of MXCSR; the masks are the same bits shifted left by {@link #MASK_SHIFT}. */
  public static final int INVALID = 1,
      DENORMAL = 1 << 1,
      DIVIDE_BY_ZERO = 1 << 2,
      OVERFLOW = 1 << 3,
      UNDERFLOW = 1 << 4,
      INEXACT = 1 << 5;

  public static final int ALL_EXCEPTIONS = 0x3F;
  public static final int MASK_SHIFT = 7;
  public static final int DENORMALS_ARE_ZEROS = 1 << 6;
  public static final int FLUSH_TO_ZERO = 1 << 15;
  public static final int ROUNDING_SHIFT = 13;
  public static final int ROUNDING = 3 << ROUNDING_SHIFT;

  /** Values of the rounding control field. */
  public static final int NEAREST = 0, DOWN = 1, UP = 2, TRUNCATE = 3;

  /** Bits of MXCSR that can be set; loading any other raises #GP. */
  public static final int WRITABLE = 0xFFFF;

  private static final int INEXACT_MASK = INEXACT << MASK_SHIFT;

  private final CpuState state;

  /** Exceptions found by the running instruction. */
  public int exceptions;

  public SseControl(CpuState state) {
    this.state = state;
  }

  /**
   * Whether arithmetic without denormals is Java's, inexact or not: rounding to nearest, and an
   * inexact result changes nothing because the flag is set already.
   */
  public boolean plainAndInexact() {
    return (state.mxcsr & (ROUNDING | INEXACT_MASK | INEXACT)) == (INEXACT_MASK | INEXACT);
  }

  /** Whether exact arithmetic without denormals is Java's: zeros have the sign of this rounding. */
  boolean plain() {
    return (state.mxcsr & ROUNDING) == 0;
  }

  int rounding() {
    return state.mxcsr >> ROUNDING_SHIFT & 3;
  }

  boolean denormalsAreZeros() {
    return (state.mxcsr & DENORMALS_ARE_ZEROS) != 0;
  }

  boolean underflowMasked() {
    return (state.mxcsr & UNDERFLOW << MASK_SHIFT) != 0;
  }

  boolean overflowMasked() {
    return (state.mxcsr & OVERFLOW << MASK_SHIFT) != 0;
  }

  /** FTZ has an effect only while underflow is masked. */
  boolean flushes() {
    return (state.mxcsr & FLUSH_TO_ZERO) != 0 && underflowMasked();
  }

  void raise(int found) {
    exceptions |= found;
  }

  /**
   * Moves {@link #exceptions} to MXCSR and clears them.
   *
   * @return whether one is not masked: the instruction must raise #XM (#UD if CR4.OSXMMEXCPT is
   *     clear) and leave its destination alone
   */
  public boolean commit() {
    int found = exceptions;
    exceptions = 0;
    int unmasked = ~(state.mxcsr >> MASK_SHIFT);
    int beforeComputing = INVALID | DENORMAL | DIVIDE_BY_ZERO;
    if ((found & beforeComputing & unmasked) != 0) {
      // Exceptions of operands come first: nothing was computed, so no result was inexact.
      found &= beforeComputing;
    }
    state.mxcsr |= found;
    return (found & unmasked) != 0;
  }
}
