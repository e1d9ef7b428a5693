package io.anillo.storage.nbd;

/**
 * Whether a device answers so quickly that a connection's thread had better wait for it than hand
 * requests to others. Hot, and of that thread alone.
 *
 * <p>What counts is how many of the last requests were slow, not how slow: a thread that the host
 * kept waiting once says little about the device. Once slow, a device is tried again now and then
 * with nothing else under way, because requests that compete tell nothing about it either.
 */
final class DevicePace {
  private static final long SLOW_NANOS = 250_000;
  private static final long TRIAL_INTERVAL_NANOS = 250_000_000;
  private static final int TRIAL_REQUESTS = 8;
  private static final int ALL = 1 << 10;

  /** Slow ones among the last thirty or so, in parts of {@link #ALL}. */
  private int slowShare;

  private boolean slow;
  private long nextTrial;
  private int trialLeft;
  private int trialSlow;

  /** Whether to wait for the device now. */
  boolean quick() {
    return !slow || trialLeft > 0;
  }

  /** Whether it is time for a trial, which wants no other request under way. */
  boolean trialDue() {
    return slow && trialLeft == 0 && System.nanoTime() - nextTrial >= 0;
  }

  void beginTrial() {
    trialLeft = TRIAL_REQUESTS;
    trialSlow = 0;
  }

  /** Takes note of a request that was waited for. */
  void observe(long nanos, int bytes) {
    // a byte may take as long as at a gigabyte a second
    boolean late = nanos > SLOW_NANOS + bytes;
    if (!slow) {
      slowShare += ((late ? ALL : 0) - slowShare) / 32;
      if (slowShare > ALL / 4) {
        slow = true;
        nextTrial = System.nanoTime() + TRIAL_INTERVAL_NANOS;
      }
    } else if (trialLeft > 0) {
      trialSlow += late ? 1 : 0;
      trialLeft--;
      if (trialLeft == 0) {
        slow = trialSlow > TRIAL_REQUESTS / 4;
        slowShare = 0;
        nextTrial = System.nanoTime() + TRIAL_INTERVAL_NANOS;
      }
    }
  }
}
