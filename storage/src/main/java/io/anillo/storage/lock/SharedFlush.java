package io.anillo.storage.lock;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Lets callers that ask for a flush at the same time share one. A caller returns only after a flush
 * that began after its call has succeeded.
 */
public final class SharedFlush {
  /** What makes things durable. */
  @FunctionalInterface
  public interface Action {
    void flush() throws IOException;
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final AtomicLong asked = new AtomicLong();
  private final Action action;
  private long done;

  public SharedFlush(Action action) {
    this.action = action;
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
      action.flush();
      done = covered;
    } finally {
      lock.unlock();
    }
  }
}
