package io.anillo.vmm.machine;

import io.anillo.vmm.port.Clock;

/** A clock that a test moves by hand. */
public final class ManualClock implements Clock {
  private volatile long nanos;
  private final long wallNanos;

  public ManualClock(long wallNanos) {
    this.wallNanos = wallNanos;
  }

  public void advance(long byNanos) {
    nanos += byNanos;
  }

  @Override
  public long monotonicNanos() {
    return nanos;
  }

  @Override
  public long wallNanos() {
    return wallNanos;
  }
}
