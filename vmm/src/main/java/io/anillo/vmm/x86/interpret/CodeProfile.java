package io.anillo.vmm.x86.interpret;

/**
 * What is known of code before it runs, from earlier runs of the same code. Blocks are named by
 * keys that stay the same from run to run.
 */
public interface CodeProfile {
  /** How often a block is to be taken to have run when it is first decoded. */
  int initialHeat(long key);

  /** Runs, from when it is decoded, after which a block is offered to be compiled. */
  int runsLeft(long key);

  /** About how many instructions ran in the region that began with a block; 0 if not known. */
  long instructions(long key);
}
