package io.anillo.network.dataplane;

import org.jspecify.annotations.Nullable;

/** One tracked connection: its two directions' tuples, its state, mark and label. */
final class Connection {
  /** The addresses and ports of one direction; ICMP has its identifier as both ports. */
  record Tuple(
      int zone,
      int protocol,
      boolean ipv6,
      long sourceHigh,
      long sourceLow,
      long destinationHigh,
      long destinationLow,
      int sourcePort,
      int destinationPort) {

    boolean isIcmp() {
      return protocol == 1 || protocol == 58;
    }

    Tuple reversed() {
      return new Tuple(
          zone,
          protocol,
          ipv6,
          destinationHigh,
          destinationLow,
          sourceHigh,
          sourceLow,
          destinationPort,
          sourcePort);
    }
  }

  /** How far a connection has come; each with its own patience, in seconds. */
  enum State {
    NEW(30),
    ESTABLISHED(86_400),
    DATAGRAM_NEW(30),
    DATAGRAM_BOTH(120),
    CLOSING(60),
    CLOSED(10);

    final long nanos;

    State(long seconds) {
      nanos = seconds * 1_000_000_000L;
    }
  }

  final Tuple original;
  final Tuple reply;
  State state;
  int mark;
  long labelHigh;
  long labelLow;
  long seenNanos;
  boolean replied;
  boolean finishedForward;
  boolean finishedBack;
  final boolean sourceTranslated;
  final boolean destinationTranslated;

  /** Neighbours in the list from the longest unused connection to the latest. */
  @Nullable Connection older;

  @Nullable Connection newer;

  Connection(Tuple original, Tuple reply, State state, long nowNanos) {
    this.original = original;
    this.reply = reply;
    this.state = state;
    this.seenNanos = nowNanos;
    Tuple plain = original.reversed();
    this.sourceTranslated =
        reply.destinationLow() != plain.destinationLow()
            || reply.destinationHigh() != plain.destinationHigh()
            || reply.destinationPort() != plain.destinationPort();
    this.destinationTranslated =
        reply.sourceLow() != plain.sourceLow()
            || reply.sourceHigh() != plain.sourceHigh()
            || !original.isIcmp() && reply.sourcePort() != plain.sourcePort();
  }

  /** The same connection, in no list, whose state changes on its own. */
  Connection copy() {
    Connection copy = new Connection(original, reply, state, seenNanos);
    copy.mark = mark;
    copy.labelHigh = labelHigh;
    copy.labelLow = labelLow;
    copy.replied = replied;
    copy.finishedForward = finishedForward;
    copy.finishedBack = finishedBack;
    return copy;
  }

  boolean expired(long nowNanos) {
    return nowNanos - seenNanos > state.nanos;
  }

  /**
   * Follows the TCP flags of a packet in one direction (RFC 9293 §3.3.2, as a bystander sees it).
   */
  void followTcp(int flags, boolean back) {
    boolean finish = (flags & 0x01) != 0;
    boolean reset = (flags & 0x04) != 0;
    if (reset) {
      state = State.CLOSED;
      return;
    }
    if (finish) {
      finishedForward |= !back;
      finishedBack |= back;
      state = finishedForward && finishedBack ? State.CLOSED : State.CLOSING;
    } else if (state == State.NEW && back && (flags & 0x10) != 0) {
      state = State.ESTABLISHED;
    } else if (state == State.NEW && !back && replied) {
      state = State.ESTABLISHED;
    }
  }
}
