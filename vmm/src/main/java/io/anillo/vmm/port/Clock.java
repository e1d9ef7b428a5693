package io.anillo.vmm.port;

/** Where the machine's time comes from. The only source of time in the monitor. */
public interface Clock {

  /** Monotonic nanoseconds from an arbitrary origin. */
  long monotonicNanos();

  /**
   * Wall-clock time in nanoseconds since 1970-01-01T00:00:00Z, for the real-time clock's start
   * value.
   */
  long wallNanos();

  /** The host's clocks. */
  static Clock system() {
    return new Clock() {
      @Override
      public long monotonicNanos() {
        return System.nanoTime();
      }

      @Override
      public long wallNanos() {
        var now = java.time.Instant.now();
        return now.getEpochSecond() * 1_000_000_000L + now.getNano();
      }
    };
  }
}
