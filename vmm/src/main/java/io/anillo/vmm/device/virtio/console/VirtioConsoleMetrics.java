package io.anillo.vmm.device.virtio.console;

/** Counters of a console since the machine's start. Kept on the board; not part of the state. */
public final class VirtioConsoleMetrics {
  long outputBytes;
  long inputBytes;

  /** Bytes the guest wrote. */
  public long outputBytes() {
    return outputBytes;
  }

  /** Bytes the guest read. */
  public long inputBytes() {
    return inputBytes;
  }
}
