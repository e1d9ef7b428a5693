package io.anillo.vmm.cpu;

/**
 * One processor's exits by reason, and the time that the monitor took for them. Written by the
 * processor's thread; others may read figures that are a little old.
 */
public final class ExitCounters {
  private static final int REASONS = ExitReason.values().length;

  private final long[] counts = new long[REASONS];
  private final long[] nanos = new long[REASONS];
  private volatile boolean timed;
  private int depth;
  private long entered;
  private long pausedNanos;

  /** Whether the monitor is at work now, for samplers. */
  private volatile boolean inMonitor;

  /** Has time measured from now on, which costs about 50 ns an exit. */
  public void measureTime() {
    timed = true;
  }

  /** An exit whose work is too small to be measured. */
  public void count(ExitReason reason) {
    counts[reason.ordinal()]++;
  }

  /** The monitor begins to work for an exit. Nested ones count, their time is the outer one's. */
  public void enter(ExitReason reason) {
    counts[reason.ordinal()]++;
    if (timed && depth++ == 0) {
      inMonitor = true;
      entered = System.nanoTime();
    }
  }

  /** What {@link #enter} began is done. */
  public void leave(ExitReason reason) {
    if (depth > 0 && --depth == 0) {
      nanos[reason.ordinal()] += System.nanoTime() - entered;
      inMonitor = false;
    }
  }

  /** Time that the processor waited in HLT. */
  public void waited(long waitedNanos) {
    pausedNanos += waitedNanos;
  }

  public long count() {
    long sum = 0;
    for (long each : counts) {
      sum += each;
    }
    return sum;
  }

  public long of(ExitReason reason) {
    return counts[reason.ordinal()];
  }

  /** Nanoseconds of the monitor for a reason; 0 unless measured. */
  public long nanosOf(ExitReason reason) {
    return nanos[reason.ordinal()];
  }

  public long nanos() {
    long sum = 0;
    for (long each : nanos) {
      sum += each;
    }
    return sum;
  }

  /** Nanoseconds waited in HLT; 0 unless measured. */
  public long waitedNanos() {
    return pausedNanos;
  }

  public boolean timed() {
    return timed;
  }

  public boolean inMonitor() {
    return inMonitor;
  }
}
