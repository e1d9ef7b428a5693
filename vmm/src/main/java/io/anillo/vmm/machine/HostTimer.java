package io.anillo.vmm.machine;

import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The one host thread that waits for the board's earliest deadline and then kicks a processor. It
 * applies nothing and never polls: it sleeps until the deadline or until it is told of an earlier
 * one.
 */
final class HostTimer implements AutoCloseable {
  static final long NEVER = Long.MAX_VALUE;

  private final VirtualClock clock;
  private final LongSupplier earliestDeadline;
  private final Runnable kick;
  private @Nullable Thread thread;
  private volatile boolean closed;

  /** When the thread will look again by itself. */
  private volatile long wakesAt = NEVER;

  /** Grows with every change of deadlines, so that one deadline is kicked for once only. */
  private volatile long changes;

  HostTimer(VirtualClock clock, LongSupplier earliestDeadline, Runnable kick) {
    this.clock = clock;
    this.earliestDeadline = earliestDeadline;
    this.kick = kick;
  }

  synchronized void start() {
    if (thread == null) {
      thread = Thread.ofPlatform().daemon().name("board-timer").start(this::run);
    }
  }

  /** The earliest deadline may have changed. Called on the board. */
  @SuppressWarnings("NonAtomicOperationOnVolatileField") // only the board's lock holder writes
  void deadlineChanged() {
    changes++;
    if (earliestDeadline.getAsLong() < wakesAt) {
      LockSupport.unpark(thread);
    }
  }

  private void run() {
    long kickedAt = -1;
    while (!closed) {
      long seen = changes;
      long deadline = earliestDeadline.getAsLong();
      if (deadline == NEVER || seen == kickedAt || !clock.running()) {
        wakesAt = NEVER;
        if (seen == changes) {
          LockSupport.park(this);
        }
        continue;
      }
      long wait = deadline - clock.nanos();
      if (wait <= 0) {
        kickedAt = seen;
        kick.run();
        continue;
      }
      wakesAt = deadline;
      if (seen == changes) {
        LockSupport.parkNanos(this, wait);
      }
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    LockSupport.unpark(thread);
  }
}
