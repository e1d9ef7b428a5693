package io.anillo.vmm.x86.translate;

import java.util.function.LongSupplier;

/**
 * Lets HotSpot's optimizing compiler rest while code waits for the fast one: on a host of two
 * processors one is the guest's, and the optimizing compiler would hold up those that are waited
 * for. Not for ever, though, whatever waits.
 */
final class OptimizerShare {
  /** For so long nothing has to have waited before it goes on. */
  static final long CALM_NANOS = 100_000_000;

  /** The longest that it rests at a stretch, and that it goes on for then. */
  static final long MOST_NANOS = 10_000_000_000L;

  private final Runnable rest;
  private final Runnable goOn;
  private final LongSupplier nanoTime;
  private boolean resting;
  private long since;
  private long lastWaiting;
  private boolean hadItsFill;

  /**
   * @param rest lets the compiler rest
   * @param goOn ends that
   */
  OptimizerShare(Runnable rest, Runnable goOn, LongSupplier nanoTime) {
    this.rest = rest;
    this.goOn = goOn;
    this.nanoTime = nanoTime;
  }

  boolean isResting() {
    return resting;
  }

  /** Takes note whether code waits for the fast compiler now. */
  void update(boolean waiting) {
    long now = nanoTime.getAsLong();
    if (waiting) {
      lastWaiting = now;
    }
    if (resting) {
      hadItsFill = now - since > MOST_NANOS;
      if (hadItsFill || now - lastWaiting > CALM_NANOS) {
        resting = false;
        since = now;
        goOn.run();
      }
    } else if (waiting && !(hadItsFill && now - since < MOST_NANOS)) {
      resting = true;
      since = now;
      rest.run();
    }
  }

  /** Nothing waits any more: the compiler serves others of this process too. */
  void end() {
    if (resting) {
      resting = false;
      goOn.run();
    }
  }
}
