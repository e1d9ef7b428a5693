package io.anillo.network.uplink;

/**
 * The half of a connection that receives from the guest: puts segments in order, whatever order
 * they come in (RFC 9293 §3.10.7.4). Data ahead of a gap is kept in the ring behind its end.
 *
 * <p>Hot: allocates nothing; watched by {@code anillo bench network}.
 */
final class TcpReceiver {
  private static final int MAXIMUM_GAPS = 32;

  final ByteRing ring;
  private int next;
  private int advertisedEdge;
  private final int[] starts = new int[MAXIMUM_GAPS];
  private final int[] ends = new int[MAXIMUM_GAPS];
  private int islands;
  private boolean finishSeen;
  private int finishSequence;
  private boolean finished;

  TcpReceiver(ByteRing ring) {
    this.ring = ring;
  }

  void open(int sequence) {
    next = sequence;
    advertisedEdge = sequence;
  }

  int next() {
    return next;
  }

  /** Whether the guest's FIN has come, with everything before it. */
  boolean finished() {
    return finished;
  }

  /** The window to advertise, in bytes, which never moves its right edge back. */
  int window() {
    int window = Math.max(ring.room(), advertisedEdge - next);
    return finished ? 0 : window;
  }

  /** Notes the window as told to the guest, after scaling. */
  void advertised(int window) {
    if (next + window - advertisedEdge > 0) {
      advertisedEdge = next + window;
    }
  }

  /** Whether the window has opened enough to tell the guest (RFC 9293 §3.8.6.2.2). */
  boolean windowOpened(int segment) {
    int opened = next + ring.room() - advertisedEdge;
    return !finished && opened >= Math.min(2 * segment, ring.limit() / 2);
  }

  /** Whether a segment lies in the window at all (§3.10.7.4, the acceptability test). */
  boolean acceptable(int sequence, int length) {
    int window = window();
    if (length == 0) {
      return window == 0
          ? sequence == next
          : sequence - next >= 0 && sequence - (next + window) < 0;
    }
    int last = sequence + length - 1;
    return window > 0
        && (sequence - next >= 0 && sequence - (next + window) < 0
            || last - next >= 0 && last - (next + window) < 0);
  }

  /** Takes a segment's data and FIN; returns whether it was exactly the next one. */
  boolean accept(int sequence, byte[] data, int offset, int length, boolean finish) {
    int end = sequence + length;
    if (finish && !finishSeen && end - (next + window()) <= 0) {
      finishSeen = true;
      finishSequence = end;
    }
    int from = sequence;
    if (from - next < 0) {
      int old = next - from;
      if (old > length) {
        return false;
      }
      from = next;
      offset += old;
      length -= old;
    }
    length = Math.min(length, next + window() - from);
    boolean inOrder = from == next;
    if (length > 0 && ring.store(from - next, data, offset, length)) {
      if (inOrder) {
        advance(length);
      } else {
        remember(from, from + length);
      }
    }
    if (inOrder) {
      absorb();
    }
    if (finishSeen && !finished && next == finishSequence) {
      finished = true;
      next++;
    }
    return inOrder;
  }

  private void advance(int count) {
    ring.extend(count);
    next += count;
  }

  private void remember(int start, int end) {
    for (int i = 0; i < islands; i++) {
      if (start - ends[i] <= 0 && end - starts[i] >= 0) {
        start = start - starts[i] < 0 ? start : starts[i];
        end = end - ends[i] > 0 ? end : ends[i];
        islands--;
        starts[i] = starts[islands];
        ends[i] = ends[islands];
        i = -1;
      }
    }
    if (islands < MAXIMUM_GAPS) {
      starts[islands] = start;
      ends[islands++] = end;
    }
  }

  /** Joins the islands that the stream has reached. */
  private void absorb() {
    for (int i = 0; i < islands; i++) {
      if (starts[i] - next <= 0) {
        if (ends[i] - next > 0) {
          advance(ends[i] - next);
        }
        islands--;
        starts[i] = starts[islands];
        ends[i] = ends[islands];
        i = -1;
      }
    }
  }

  boolean hasGap() {
    return islands > 0;
  }
}
