package io.anillo.vmm.cpu;

/**
 * What the board can do to a processor. Called from any thread; it takes effect at the next
 * instruction boundary.
 */
public interface CpuSignals {

  /**
   * Something changed that the processor should look at: an interrupt, a posted event, a request to
   * stop.
   */
  void kick();

  void nmi();

  /** Ends the HLT that the processor is in, or the next one: a kick by a paravirtual guest. */
  default void wake() {}

  void init();

  /** Start-up IPI: execution begins in real mode at {@code vector << 12}. */
  void startup(int vector);
}
