package io.anillo.vmm.x86.interpret;

import org.jspecify.annotations.Nullable;

/**
 * One instruction, ready to be executed: its operands are fields, its meaning calls the pure
 * functions of {@code x86.execute}. A step leaves RIP alone unless it transfers control; the loop
 * has already set it behind the block. A step that faults has changed nothing.
 */
abstract class Step {

  abstract void run(InterpretedCpu cpu);

  /**
   * One step that does this and then the next, if there is such a kind; else null. Only where the
   * next cannot fault, so that a fault of the pair is one of this.
   */
  @Nullable Step fuse(Step next) {
    return null;
  }

  /**
   * A step whose execution ends the block, since it may change RIP, the mode, or what is to be done
   * next.
   */
  abstract static class Last extends Step {}
}
