package io.anillo.cli;

/**
 * What the command returns to its caller. The odd numbers belong to the guest's debug-exit device;
 * all that the monitor itself returns are even.
 */
final class ExitStatus {
  /** The guest powered off, or reset under {@code --no-reboot}. */
  static final int POWERED_OFF = 0;

  static final int USAGE = 2;

  /** Something kept the guest from starting. */
  static final int NOT_STARTED = 4;

  /** A fault of the monitor itself; there is a report. */
  static final int MONITOR_FAULT = 70;

  static final int TIMEOUT = 124;

  /** A person or a signal stopped the machine. */
  static final int STOPPED = 130;

  private ExitStatus() {}

  /** The status of a guest that wrote a value to its debug-exit device. */
  static int ofDebugExit(int value) {
    return (value << 1 | 1) & 0xFF;
  }
}
