package io.anillo.storage.lock;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** Exclusive locks over ranges of numbers; who overlaps waits. Few are held at any time. */
public final class RangeLocks {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition released = lock.newCondition();
  private final List<Range> held = new ArrayList<>();

  /** A held range. */
  public final class Range implements AutoCloseable {
    private final long first;
    private final long last;

    private Range(long first, long last) {
      this.first = first;
      this.last = last;
    }

    @Override
    public void close() {
      lock.lock();
      try {
        held.remove(this);
        released.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  /** Waits until no overlapping range is held, then holds {@code first..last}, both included. */
  public Range acquire(long first, long last) {
    lock.lock();
    try {
      while (overlaps(first, last)) {
        released.awaitUninterruptibly();
      }
      Range range = new Range(first, last);
      held.add(range);
      return range;
    } finally {
      lock.unlock();
    }
  }

  private boolean overlaps(long first, long last) {
    for (int i = 0; i < held.size(); i++) {
      Range other = held.get(i);
      if (other.first <= last && first <= other.last) {
        return true;
      }
    }
    return false;
  }
}
