package io.anillo.vmm.machine;

import io.anillo.vmm.port.Clock;

/**
 * The machine's time in nanoseconds since it was first started. Stands still until {@link #start}
 * and between {@link #pause} and {@link #start}. Readable from any thread.
 */
public final class VirtualClock {
  private final Clock host;

  // Written under this; a reader takes one consistent pair through the record.
  private volatile Phase phase = new Phase(false, 0);

  /**
   * @param base while running, the host's time at virtual moment 0; otherwise the virtual time
   */
  private record Phase(boolean running, long base) {}

  public VirtualClock(Clock host) {
    this.host = host;
  }

  public long nanos() {
    Phase now = phase;
    return now.running ? host.monotonicNanos() - now.base : now.base;
  }

  public boolean running() {
    return phase.running;
  }

  public synchronized void start() {
    if (!phase.running) {
      phase = new Phase(true, host.monotonicNanos() - phase.base);
    }
  }

  public synchronized void pause() {
    if (phase.running) {
      phase = new Phase(false, host.monotonicNanos() - phase.base);
    }
  }

  /** Sets the time of a restored machine; only while it stands still. */
  public synchronized void set(long nanos) {
    if (phase.running) {
      throw new IllegalStateException("the virtual clock can be set only while it stands still");
    }
    phase = new Phase(false, nanos);
  }
}
