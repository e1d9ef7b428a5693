package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import org.jspecify.annotations.Nullable;

/**
 * Guesses a place in the page of a memory operand that is known earlier than the operand's address:
 * its base. The TLB is then looked up for a number that does not change in a loop, and not for one
 * that waits for an index that was just loaded. A wrong guess costs a second lookup.
 *
 * @param registers values of the general registers, sampled once where the code runs, or null to
 *     guess nothing
 */
record PageGuess(long @Nullable [] registers) {
  static final PageGuess NONE = new PageGuess(null);

  /** Bytes from a base to a member of what it points to, so near that both share a page mostly. */
  private static final int NEAR = 512;

  /** Pushes a linear address that may lie in the page of the operand; false where none is known. */
  boolean push(Frame frame, Instruction instruction) {
    if (registers == null
        || instruction.ripRelative()
        || instruction.addressBytes() != 8
        || instruction.segment() >= CpuState.FS
        || instruction.base() >= 16) {
      return false;
    }
    boolean indexed = instruction.index() < 16;
    long displacement = instruction.displacement();
    boolean near = displacement > -NEAR && displacement < NEAR;
    if (indexed ? !samePage(registers, instruction) : displacement == 0 || !near) {
      return false;
    }
    frame.code.lload(frame.local(instruction.base()));
    if (!near) {
      frame.code.loadConstant(displacement).ladd();
    }
    return true;
  }

  /**
   * Whether, with the sampled registers, an index leads nowhere else; nor any other that is a byte.
   */
  private static boolean samePage(long[] registers, Instruction instruction) {
    long start = registers[instruction.base()] + instruction.displacement();
    long index = registers[instruction.index()] << instruction.scaleShift();
    long table = 255L << instruction.scaleShift();
    return (start ^ start + index) >>> 12 == 0 && (start ^ start + table) >>> 12 == 0;
  }
}
