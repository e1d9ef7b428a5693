package io.anillo.network.uplink;

/**
 * The half of a connection that sends to the guest: what is in flight, what the guest's window
 * allows, and what must be sent again (RFC 9293 §3.8, RFC 6298, RFC 5681, RFC 6582).
 *
 * <p>Hot: allocates nothing; watched by {@code anillo bench network}.
 */
final class TcpSender {
  private static final long MILLI = 1_000_000L;
  private static final long MINIMUM_TIMEOUT = 200 * MILLI;
  private static final long MAXIMUM_TIMEOUT = 16_000 * MILLI;
  private static final int INITIAL_WINDOW = 64 * 1024;
  private static final int MAXIMUM_RETRIES = 10;
  private static final int LARGEST_CHUNK = 65_535 - 20 - 60;

  /** Sends one segment from the ring; false when the link has no room at the moment. */
  interface Output {
    boolean segment(int sequence, int fromRing, int count, boolean push, boolean finish);
  }

  final ByteRing ring;
  private final Output output;
  private int segmentBytes;
  private int unacknowledged;
  private int next;
  private int highest;
  private int guestWindow;
  private int largestWindow;
  private int windowSequence;
  private int windowAcknowledgement;
  private int congestionWindow = INITIAL_WINDOW;
  private int threshold = 1 << 30;
  private int duplicates;
  private boolean recovering;
  private int recoverUntil;
  private long smoothed = -1;
  private long variance;
  private long timeout = 1_000 * MILLI;
  private int retries;
  private long timerAt;
  private boolean timerSet;
  private boolean probing;
  private int timedSequence;
  private long timedAt;
  private boolean timing;
  private boolean finishWanted;
  private boolean finishSent;
  private boolean finishAcknowledged;
  private boolean blocked;

  TcpSender(ByteRing ring, Output output) {
    this.ring = ring;
    this.output = output;
  }

  /** Begins after the handshake: {@code sequence} is the first byte's. */
  void open(int sequence, int segment) {
    unacknowledged = sequence;
    next = sequence;
    highest = sequence;
    segmentBytes = segment;
  }

  void setWindow(int sequence, int acknowledgement, int window) {
    windowSequence = sequence;
    windowAcknowledgement = acknowledgement;
    guestWindow = window;
    largestWindow = Math.max(largestWindow, window);
  }

  int nextSequence() {
    return next;
  }

  /** Asks for the stream's end once the ring is empty. */
  void finish() {
    finishWanted = true;
  }

  boolean finishAcknowledged() {
    return finishAcknowledged;
  }

  boolean finishSent() {
    return finishSent;
  }

  /** When the timer wants {@link #expire}, or {@link Long#MAX_VALUE}. */
  long deadline() {
    return timerSet ? timerAt : Long.MAX_VALUE;
  }

  boolean blocked() {
    return blocked;
  }

  private int inFlight() {
    return next - unacknowledged;
  }

  /** Bytes of the ring that were sent, without a FIN. */
  private int sentFromRing() {
    return Math.min(inFlight(), ring.size());
  }

  /** Sends what may be sent now. */
  void push(long now) {
    blocked = false;
    while (true) {
      int offset = sentFromRing();
      int available = ring.size() - offset;
      int window = Math.min(guestWindow, congestionWindow);
      int usable = window - inFlight();
      if (available <= 0) {
        break;
      }
      if (usable <= 0) {
        if (guestWindow == 0 && inFlight() == 0 && !timerSet) {
          probing = true;
          setTimer(now);
        }
        break;
      }
      int count =
          Math.min(Math.min(available, usable), LARGEST_CHUNK / segmentBytes * segmentBytes);
      boolean all = count == available;
      if (!all && count > segmentBytes) {
        count -= count % segmentBytes;
      }
      // No silly small segments while a larger window will open (RFC 9293 §3.8.6.2.1).
      if (!all && count < segmentBytes && inFlight() > 0 && count < largestWindow / 2) {
        break;
      }
      boolean finish = all && finishWanted;
      if (!output.segment(next, offset, count, all, finish)) {
        blocked = true;
        break;
      }
      sent(count, finish, now);
      if (finish) {
        return;
      }
    }
    boolean allSent = ring.size() == sentFromRing();
    if (finishWanted && allSent && !finishSent && !blocked) {
      if (output.segment(next, 0, 0, false, true)) {
        sent(0, true, now);
      } else {
        blocked = true;
      }
    } else if (finishWanted
        && finishSent
        && allSent
        && inFlight() == ring.size()
        && inFlight() >= 0) {
      resendFinish(now);
    }
  }

  /** After a timeout {@link #next} went back: the FIN follows the data again. */
  private void resendFinish(long now) {
    if (next != highest && output.segment(next, 0, 0, false, true)) {
      sent(0, true, now);
    }
  }

  private void sent(int count, boolean finish, long now) {
    if (!timing && next == highest) {
      timing = true;
      timedSequence = next + count;
      timedAt = now;
    }
    next += count + (finish ? 1 : 0);
    finishSent |= finish;
    if (next - highest > 0) {
      highest = next;
    }
    if (!timerSet || probing) {
      probing = false;
      setTimer(now);
    }
  }

  private void setTimer(long now) {
    timerSet = true;
    timerAt = now + timeout;
  }

  /**
   * Takes an acknowledgement.
   *
   * @param plain whether the segment had neither data nor FIN, as a duplicate acknowledgement must
   * @return false when it acknowledges what was never sent
   */
  boolean acknowledge(int sequence, int acknowledgement, int window, boolean plain, long now) {
    if (acknowledgement - highest > 0) {
      return false;
    }
    int progress = acknowledgement - unacknowledged;
    if (progress < 0) {
      return true;
    }
    boolean sameWindow = window == guestWindow;
    if (sequence - windowSequence > 0
        || sequence == windowSequence && acknowledgement - windowAcknowledgement >= 0) {
      setWindow(sequence, acknowledgement, window);
    }
    if (progress == 0) {
      if (guestWindow > 0 && probing) {
        probing = false;
        timerSet = inFlight() > 0;
        retries = 0;
      }
      if (plain && sameWindow && inFlight() > 0) {
        duplicate(now);
      }
      return true;
    }
    advance(acknowledgement, progress, now);
    return true;
  }

  private void advance(int acknowledgement, int progress, long now) {
    int bytes = Math.min(progress, ring.size());
    ring.drop(bytes);
    if (finishSent && acknowledgement == highest && progress > bytes) {
      finishAcknowledged = true;
    }
    unacknowledged = acknowledgement;
    if (next - unacknowledged < 0) {
      next = unacknowledged;
    }
    if (timing && acknowledgement - timedSequence >= 0) {
      timing = false;
      measured(now - timedAt);
    }
    retries = 0;
    probing = false;
    duplicates = 0;
    if (recovering) {
      if (acknowledgement - recoverUntil >= 0) {
        recovering = false;
        congestionWindow = Math.max(threshold, 2 * segmentBytes);
      } else {
        resendFirst(now);
      }
    } else if (congestionWindow < threshold) {
      congestionWindow = Math.min(1 << 22, congestionWindow + progress);
    } else {
      long step = (long) segmentBytes * segmentBytes / congestionWindow;
      congestionWindow = Math.min(1 << 22, congestionWindow + (int) Math.max(1, step));
    }
    if (highest == unacknowledged) {
      timerSet = false;
    } else {
      setTimer(now);
    }
  }

  private void measured(long sample) {
    if (smoothed < 0) {
      smoothed = sample;
      variance = sample / 2;
    } else {
      variance += (Math.abs(smoothed - sample) - variance) / 4;
      smoothed += (sample - smoothed) / 8;
    }
    timeout =
        Math.clamp(smoothed + Math.max(MILLI, 4 * variance), MINIMUM_TIMEOUT, MAXIMUM_TIMEOUT);
  }

  private void duplicate(long now) {
    duplicates++;
    if (recovering) {
      congestionWindow = Math.min(1 << 22, congestionWindow + segmentBytes);
    } else if (duplicates == 3) {
      threshold = Math.max(inFlight() / 2, 2 * segmentBytes);
      congestionWindow = threshold + 3 * segmentBytes;
      recovering = true;
      recoverUntil = highest;
      resendFirst(now);
    }
  }

  /** Sends the oldest unacknowledged segment again. */
  private void resendFirst(long now) {
    timing = false;
    int count = Math.min(Math.min(ring.size(), segmentBytes), Math.max(1, guestWindow));
    boolean finish = finishSent && count == ring.size();
    if (count > 0 || finish) {
      output.segment(unacknowledged, 0, count, true, finish);
      setTimer(now);
    }
  }

  /**
   * The timer ran out; false when the guest has been silent for too long and the connection is
   * given up.
   */
  boolean expire(long now) {
    if (!timerSet || now - timerAt < 0) {
      return true;
    }
    if (probing && guestWindow == 0 && inFlight() == 0) {
      // A zero window is probed for as long as the guest answers (RFC 9293 §3.8.6.1).
      timeout = Math.min(MAXIMUM_TIMEOUT, timeout * 2);
      if (ring.size() > 0) {
        output.segment(next, 0, 1, true, false);
        if (next + 1 - highest > 0) {
          highest = next + 1;
        }
      }
      setTimer(now);
      return ++retries <= 4 * MAXIMUM_RETRIES;
    }
    probing = false;
    if (++retries > MAXIMUM_RETRIES) {
      return false;
    }
    timeout = Math.min(MAXIMUM_TIMEOUT, timeout * 2);
    threshold = Math.max(inFlight() / 2, 2 * segmentBytes);
    congestionWindow = segmentBytes;
    recovering = false;
    duplicates = 0;
    next = unacknowledged;
    resendFirst(now);
    int count = Math.min(Math.min(ring.size(), segmentBytes), Math.max(1, guestWindow));
    next = unacknowledged + count;
    if (finishSent && count == ring.size() && highest - next > 0) {
      next++;
    }
    setTimer(now);
    return true;
  }
}
