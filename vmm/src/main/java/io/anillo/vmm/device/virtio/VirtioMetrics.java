package io.anillo.vmm.device.virtio;

/**
 * Counters common to all virtio devices, since the machine's start. Kept on the board; not part of
 * the state.
 */
public final class VirtioMetrics {
  long notifications;
  long interrupts;
  long suppressedInterrupts;
  long failures;

  /** Times the driver rang a doorbell. */
  public long notifications() {
    return notifications;
  }

  /** Interrupts raised for used requests. */
  public long interrupts() {
    return interrupts;
  }

  /** Batches of used requests that the driver did not want to be told of. */
  public long suppressedInterrupts() {
    return suppressedInterrupts;
  }

  /** Times the device asked for a reset because of what the driver did. */
  public long failures() {
    return failures;
  }
}
