package io.anillo.vmm.cpu;

import io.anillo.vmm.hypercall.ParavirtualProcessor;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

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

  /** The whole state was written from outside: by a loader, or a restore. */
  void stateReplaced();

  /** The board's time was moved, or stood still. While the processor is stopped. */
  default void timeChanged() {}

  /** Drops all translations of addresses, as a paravirtual guest asks for. */
  void flushTranslations();

  /**
   * Parks the calling thread, the processor's own, until something is signalled to it or {@code
   * done} holds. After {@link Exit.Halted}.
   */
  void awaitSignal(BooleanSupplier done);

  /**
   * Brings signals that were not taken yet into the state, so that it is complete. Only while the
   * processor is stopped at an instruction boundary; by any thread.
   */
  void settleSignals();

  /** The paravirtual interface; null where the guest has none. */
  @Nullable ParavirtualProcessor paravirtual();

  /** Whether the next instruction is one of ring 3, as far as that is known without asking. */
  boolean inRing3();

  /** Has changes between rings told; before the first instruction. */
  void setRingObserver(RingObserver observer);

  /** Interrupts delivered so far. */
  long interruptsTaken();

  /** Exceptions delivered so far; 0 where hardware does not tell. */
  long exceptionsTaken();
}
