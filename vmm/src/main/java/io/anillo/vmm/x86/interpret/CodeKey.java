package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;

/**
 * What identifies a block of code from one run to the next: its instructions and its place in the
 * page. Addresses of the top 2 GiB do not count: there kernels are linked, and move from boot to
 * boot by whole pages. Two blocks with one key cost speed, nothing else.
 */
final class CodeKey {
  private static final long MOVABLE_FROM = 0xFFFF_FFFF_8000_0000L;
  private static final long MOVABLE_TO = 0xFFFF_FFFF_C000_0000L;

  private long hash;

  CodeKey(int pageOffset) {
    hash = pageOffset + 1;
  }

  void add(Instruction instruction) {
    mix(instruction.opcode() | instruction.modrm() << 8 | instruction.length() << 17);
    // What a processor has of its own is found from the code: the distance changes when that moves.
    boolean own = instruction.ripRelative() && instruction.segment() == CpuState.GS;
    mix(own ? 0 : fixed(instruction.displacement()));
    mix(fixed(instruction.immediate()));
  }

  private static long fixed(long value) {
    return value >= MOVABLE_FROM && value < MOVABLE_TO ? MOVABLE_FROM : value;
  }

  private void mix(long value) {
    hash = Long.rotateLeft((hash ^ value) * 0x9E37_79B9_7F4A_7C15L, 29);
  }

  /** Never 0, which stands for no key. */
  long value() {
    return hash == 0 ? 1 : hash;
  }
}
