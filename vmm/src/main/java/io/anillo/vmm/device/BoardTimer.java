package io.anillo.vmm.device;

/** A one-shot timer on the virtual clock; it expires on the board, at an instruction boundary. */
public interface BoardTimer {

  /**
   * Arms, or re-arms, for a moment of the virtual clock in nanoseconds. A moment in the past
   * expires at once.
   */
  void arm(long deadlineNanos);

  void cancel();

  boolean armed();

  /**
   * The deadline in virtual nanoseconds; meaningful only while armed. A device saves this and
   * re-arms on restore.
   */
  long deadlineNanos();
}
