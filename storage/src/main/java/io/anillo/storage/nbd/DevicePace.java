package io.anillo.storage.nbd;

/**
 * How quickly a device answers, and so whether a connection's thread had better wait for it than
 * hand requests to others. Hot, and of that thread alone.
 *
 * <p>What counts is how many of the last requests were slow, not how slow: a thread that the host
 * kept waiting once says little about the device. Only requests with nothing else under way are
 * looked at, because requests that compete tell nothing about it; where many are always under way,
 * a device that is not quick is tried alone now and then.
 */
final class DevicePace {
  /** More than a page in memory takes, less than the quickest disk. */
  private static final long QUICK_NANOS = 20_000;

  /** More than it takes to hand a request over and to wake whoever carries it out. */
  private static final long SLOW_NANOS = 500_000;

  private static final long TRIAL_INTERVAL_NANOS = 250_000_000;
  private static final int TRIAL_REQUESTS = 8;
  private static final int ALL = 1 << 10;
  private static final int TOO_MANY = ALL / 4;

  /** Requests that were not quick among the last thirty or so, in parts of {@link #ALL}. */
  private int moderateShare;

  /** Those that were slow. */
  private int slowShare;

  private boolean quick = true;
  private boolean slow;
  private long nextTrial;
  private int trialLeft;

  /**
   * Whether to wait for the device now.
   *
   * @param only whether there is nothing else to do meanwhile, as far as can be told
   */
  boolean worthWaiting(boolean only) {
    return quick || trialLeft > 0 || (only && !slow);
  }

  /** Whether the device takes much longer than threads take to hand a request over. */
  boolean slow() {
    return slow;
  }

  /** Whether it is time for a trial, which wants no other request under way. */
  boolean trialDue() {
    return !quick && trialLeft == 0 && System.nanoTime() - nextTrial >= 0;
  }

  void beginTrial() {
    trialLeft = TRIAL_REQUESTS;
  }

  /** Takes note of a request that was waited for. */
  void observe(long nanos, int bytes) {
    int weight = trialLeft > 0 ? TRIAL_REQUESTS / 2 : 32;
    // a byte may take as long as at a gigabyte a second
    moderateShare += ((nanos > QUICK_NANOS + bytes ? ALL : 0) - moderateShare) / weight;
    slowShare += ((nanos > SLOW_NANOS + bytes ? ALL : 0) - slowShare) / weight;
    boolean trialEnds = trialLeft > 0 && --trialLeft == 0;
    if (trialLeft == 0) {
      boolean wasQuick = quick;
      quick = moderateShare <= TOO_MANY;
      slow = slowShare > TOO_MANY;
      if (!quick && (wasQuick || trialEnds)) {
        nextTrial = System.nanoTime() + TRIAL_INTERVAL_NANOS;
      }
    }
  }
}
