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

  /**
   * Pushes a linear address that may lie in the page of the operand.
   *
   * @param sizeBytes of the operand
   * @return what then shows that all of the operand lies in that page, or null where nothing is
   *     known and pushed
   */
  @Nullable Proof push(Frame frame, Instruction instruction, int sizeBytes) {
    if (registers == null
        || instruction.ripRelative()
        || instruction.addressBytes() != 8
        || instruction.segment() >= CpuState.FS
        || instruction.base() >= 16) {
      return null;
    }
    boolean indexed = instruction.index() < 16;
    long displacement = instruction.displacement();
    boolean near = displacement > -NEAR && displacement < NEAR;
    if (indexed ? !samePage(registers, instruction) : displacement == 0 || !near) {
      return null;
    }
    frame.code.lload(frame.local(instruction.base()));
    if (!near) {
      frame.code.loadConstant(displacement).ladd();
    }
    if (indexed) {
      return sizeBytes > 8 ? Proof.BOTH_ENDS : Proof.BEGINNING_OF_ALIGNED;
    }
    if (displacement > 0) {
      return Proof.END; // the beginning is between the address and it
    }
    return -displacement >= sizeBytes ? Proof.BEGINNING : Proof.BOTH_ENDS;
  }

  /** What has to lie in a page, for an operand to lie in it as a whole. */
  enum Proof {
    /** The first byte. */
    BEGINNING,
    /** The first byte of an operand that is aligned; others are taken for not proven. */
    BEGINNING_OF_ALIGNED,
    /** The last byte. */
    END,
    /** The first byte and the last. */
    BOTH_ENDS
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
