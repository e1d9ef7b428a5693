package io.anillo.vmm.x86.vector;

import java.util.HexFormat;

/** One case: a state of registers, flags and memory with code to run. Mutable while it is made. */
final class VectorCase {
  static final int FLOATING = 1, TIMED = 2;

  /** Bytes of an FXSAVE64 image that FXRSTOR64 loads. */
  static final int FLOATING_BYTES = 416;

  /** What registers, flags and memory are made from; see {@link InitialState}. */
  final int seed;

  /** Index into {@link VectorLayout#SETUPS}. */
  final int setup;

  /** Number of the memory image. */
  final int image;

  /** {@link #FLOATING}: floating-point registers matter; {@link #TIMED}: code may not end. */
  int options;

  /** Offset in the code segment. */
  long rip;

  int flags;
  final long[] general = new long[16];

  /** Bit n: {@code general[n]} is not what the seed gives. */
  int overrides;

  byte[] code = {};
  byte[] floating = {};

  VectorCase(int seed, int setup, int image, int options) {
    this.seed = seed;
    this.setup = setup;
    this.image = image;
    this.options = options;
    InitialState.fill(this);
  }

  void set(int register, long value) {
    general[register] = value;
    overrides |= 1 << register;
  }

  VectorLayout.Setup segments() {
    return VectorLayout.SETUPS[setup];
  }

  boolean singleStep() {
    return (flags & 0x100) != 0;
  }

  boolean floatingMatters() {
    return (options & FLOATING) != 0;
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    text.append("setup ").append(setup);
    text.append(" code ").append(HexFormat.of().formatHex(code));
    text.append(" at ").append(Long.toHexString(rip));
    text.append(" flags ").append(Integer.toHexString(flags));
    text.append(" seed ").append(seed).append(" image ").append(image);
    for (int i = 0; i < 16; i++) {
      text.append(i % 8 == 0 ? "\n    " : " ").append(Long.toHexString(general[i]));
    }
    return text.toString();
  }
}
