package io.anillo.vmm.x86.interpret;

/**
 * One instruction, ready to be executed: its operands are fields, its meaning calls the pure
 * functions of {@code x86.execute}. A step leaves RIP alone unless it transfers control; the loop
 * has already set it behind the block. A step that faults has changed nothing.
 */
abstract class Step {

  abstract void run(InterpretedCpu cpu);

  /**
   * A step whose execution ends the block, since it may change RIP, the mode, or what is to be done
   * next.
   */
  abstract static class Last extends Step {}
}
