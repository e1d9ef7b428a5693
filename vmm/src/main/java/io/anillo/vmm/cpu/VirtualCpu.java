package io.anillo.vmm.cpu;

/**
 * One virtual processor on some engine. {@link #run} is called by the processor's own thread only.
 */
public interface VirtualCpu extends CpuSignals {

  /** Index of the processor on its board, 0 first; also its APIC id. */
  int index();

  /** The state; complete and current whenever {@code run} is not executing. */
  CpuState state();

  /**
   * Runs guest code until there is a reason to stop.
   *
   * @param instructionBudget stop exactly after this many instructions (as counted by {@link
   *     CpuState#instructions}); a software engine keeps this exactly
   */
  Exit run(long instructionBudget);

  /** Puts the processor into its state after RESET (Intel SDM vol. 3A table 9-1). */
  void reset();

  /** Drops every cache: translations, decoded instructions, TLB. Invisible to the guest. */
  void dropCaches();
}
