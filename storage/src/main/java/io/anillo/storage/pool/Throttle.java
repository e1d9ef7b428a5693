package io.anillo.storage.pool;

import java.io.IOException;
import java.util.concurrent.locks.LockSupport;

/**
 * Holds requests back so that a volume stays within its limits, which may change at any time. Up to
 * a tenth of a second's worth may come at once.
 */
final class Throttle {
  private static final long BURST_NANOS = 100_000_000;

  private volatile VolumeLimits limits;
  private long operationsFreeAt = System.nanoTime();
  private long bytesFreeAt = operationsFreeAt;

  Throttle(VolumeLimits limits) {
    this.limits = limits;
  }

  synchronized void setLimits(VolumeLimits newLimits) {
    limits = newLimits;
    // debts made under the old limits are forgotten
    operationsFreeAt = System.nanoTime();
    bytesFreeAt = operationsFreeAt;
  }

  /** Waits until the request may go. */
  void pass(int bytes) throws IOException {
    VolumeLimits now = limits;
    if (now.operationsPerSecond() == 0 && now.bytesPerSecond() == 0) {
      return;
    }
    while (true) {
      long wait = reserve(bytes);
      if (wait <= 0) {
        return;
      }
      LockSupport.parkNanos(Math.min(wait, BURST_NANOS));
      if (Thread.currentThread().isInterrupted()) {
        throw new IOException("interrupted while the volume's limit holds the request back");
      }
    }
  }

  /** Books the request if it may go now; otherwise tells how long to wait. */
  private synchronized long reserve(int bytes) {
    VolumeLimits now = limits;
    long time = System.nanoTime();
    long wait = 0;
    if (now.operationsPerSecond() > 0) {
      wait = Math.max(wait, operationsFreeAt - time);
    }
    if (now.bytesPerSecond() > 0) {
      wait = Math.max(wait, bytesFreeAt - time);
    }
    if (wait > 0) {
      return wait;
    }
    if (now.operationsPerSecond() > 0) {
      operationsFreeAt =
          Math.max(operationsFreeAt, time - BURST_NANOS)
              + 1_000_000_000L / now.operationsPerSecond();
    }
    if (now.bytesPerSecond() > 0) {
      bytesFreeAt =
          Math.max(bytesFreeAt, time - BURST_NANOS) + (long) (bytes * 1e9 / now.bytesPerSecond());
    }
    return 0;
  }
}
