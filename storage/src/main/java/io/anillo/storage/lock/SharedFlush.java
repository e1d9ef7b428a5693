package io.anillo.storage.lock;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Lets callers that ask for a flush at the same time share one. A caller returns only after a flush
 * that began after its call has succeeded.
 */
public final class SharedFlush {
  /** What makes things durable, or has to wait for that. */
  @FunctionalInterface
  public interface Action {
    void run() throws IOException;
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final AtomicLong asked = new AtomicLong();
  private final Action action;
  private long done;

  public SharedFlush(Action action) {
    this.action = action;
  }

  /** Runs something while no flush is under way; it may flush by itself. */
  public void excluding(Action alone) throws IOException {
    lock.lock();
    try {
      alone.run();
    } finally {
      lock.unlock();
    }
  }

  public void flush() throws IOException {
    long ticket = asked.incrementAndGet();
    lock.lock();
    try {
      if (done >= ticket) {
        return;
      }
      // every ticket drawn up to here belongs to a caller whose writes have returned
      long covered = asked.get();
      action.run();
      done = covered;
    } finally {
      lock.unlock();
    }
  }
}
