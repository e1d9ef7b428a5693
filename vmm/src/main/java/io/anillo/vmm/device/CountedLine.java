package io.anillo.vmm.device;

/**
 * An interrupt input whose edges the guest counts: the device learns whether an edge was taken, and
 * can send one again that nobody saw.
 */
public interface CountedLine extends InterruptLine {

  /** Whether an edge would reach a processor: an interrupt controller has the input unmasked. */
  boolean open();

  /** Whether an edge was sent that no processor has taken yet; another one would be lost. */
  boolean waiting();

  /** Names whom to tell, on the board, that a processor has taken an edge. One device uses this. */
  void onTaken(Runnable listener);
}
