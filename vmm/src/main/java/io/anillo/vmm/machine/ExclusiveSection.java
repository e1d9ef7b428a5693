package io.anillo.vmm.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Stops all processors, runs an action, and lets them go on. What changes behind the processors'
 * backs (code invalidation, the dirty log, memory maps, atomics wider than the host's) happens
 * here.
 *
 * <p>A processor's thread brackets each stretch of guest code with {@link Participant#enter} and
 * {@link Participant#leave}. A processor may itself ask for the section in the middle of an
 * instruction, with the board's lock or without. Others that wait for the board's lock in the
 * middle of theirs count as stopped: they run no guest code. {@link #runAtBoundary} is the stronger
 * form for savers of state: there every processor has left guest code.
 *
 * <p>Invariant: whoever has the section holds the board's lock. The lock is taken first, so the two
 * cannot be waited for crosswise.
 */
public final class ExclusiveSection {
  private final ReentrantLock monitor = new ReentrantLock();
  private final Condition changed = monitor.newCondition();
  private final List<Participant> participants = new ArrayList<>();
  private final ThreadLocal<@Nullable Participant> current = new ThreadLocal<>();
  private final BoardLock lock = new BoardLock(this);

  // All guarded by the monitor.
  private int executing;
  private int blocked;
  private boolean holderWaits;
  private int boundaryWaiters;
  private @Nullable Thread owner;

  /** A processor's membership. Used by the thread that runs the processor. */
  public final class Participant {
    private final Stoppable processor;

    private Participant(Stoppable processor) {
      this.processor = processor;
    }

    /** Before guest code: waits while somebody has, or waits for, the section. */
    public void enter() {
      monitor.lock();
      try {
        while (owner != null || holderWaits || boundaryWaiters > 0) {
          changed.awaitUninterruptibly();
        }
        executing++;
        current.set(this);
      } finally {
        monitor.unlock();
      }
    }

    /** After guest code, at an instruction boundary. */
    public void leave() {
      monitor.lock();
      try {
        executing--;
        current.remove();
        changed.signalAll();
      } finally {
        monitor.unlock();
      }
    }
  }

  /** The board's lock, which belongs together with the section. */
  public BoardLock boardLock() {
    return lock;
  }

  /** Adds a processor. */
  public Participant register(Stoppable processor) {
    monitor.lock();
    try {
      Participant participant = new Participant(processor);
      participants.add(participant);
      return participant;
    } finally {
      monitor.unlock();
    }
  }

  /**
   * Runs the action, with the board's lock held, while no other processor executes guest code. Any
   * thread may call it; nested calls run at once.
   */
  public void run(Runnable action) {
    boolean fromGuest = inGuestCode();
    lock.acquire();
    try {
      if (owner == Thread.currentThread()) {
        action.run();
        return;
      }
      monitor.lock();
      try {
        holderWaits = true;
        if (fromGuest) {
          executing--;
        }
        stopAll();
        while (executing > 0) {
          changed.awaitUninterruptibly();
        }
        holderWaits = false;
        owner = Thread.currentThread();
      } finally {
        monitor.unlock();
      }
      try {
        action.run();
      } finally {
        release(fromGuest);
      }
    } finally {
      lock.release();
    }
  }

  /**
   * Runs the action, with the board's lock held, while every processor is at an instruction
   * boundary. Not for processors' threads in guest code, nor for holders of the board's lock, which
   * a processor may need to reach its boundary.
   */
  public void runAtBoundary(Runnable action) {
    if (inGuestCode() || lock.heldByCurrentThread()) {
      throw new IllegalStateException(
          "a thread in guest code or with the board's lock cannot wait for all boundaries");
    }
    monitor.lock();
    try {
      boundaryWaiters++;
      while (true) {
        stopAll();
        while (executing + blocked > 0) {
          changed.awaitUninterruptibly();
        }
        monitor.unlock();
        lock.acquire();
        monitor.lock();
        if (executing + blocked == 0) {
          break;
        }
        // A holder of the lock came back to its instruction in between.
        lock.release();
      }
      boundaryWaiters--;
      owner = Thread.currentThread();
    } finally {
      monitor.unlock();
    }
    try {
      action.run();
    } finally {
      release(false);
      lock.release();
    }
  }

  private void release(boolean toGuest) {
    monitor.lock();
    try {
      owner = null;
      if (toGuest) {
        executing++;
      }
      changed.signalAll();
    } finally {
      monitor.unlock();
    }
  }

  private void stopAll() {
    for (Participant participant : participants) {
      participant.processor.stopAtBoundary();
    }
  }

  /** Whether the calling thread is a processor's, in guest code. */
  boolean inGuestCode() {
    return current.get() != null;
  }

  /**
   * The calling processor is about to wait for the board's lock: it counts as stopped from here.
   */
  void beginBlocking() {
    monitor.lock();
    try {
      executing--;
      blocked++;
      changed.signalAll();
    } finally {
      monitor.unlock();
    }
  }

  /** The calling processor got the lock, so nobody has the section. */
  void endBlocking() {
    monitor.lock();
    try {
      executing++;
      blocked--;
    } finally {
      monitor.unlock();
    }
  }
}
