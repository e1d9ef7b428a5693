package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;

/**
 * A TCP connection of a guest that this gateway ends, joined to a socket of the host. Both
 * directions close on their own; an error of either side is a reset for the other. Used by the
 * uplink's thread only.
 */
final class TcpConnection implements TcpSender.Output {
  private static final int FIN = 1;
  private static final int SYN = 2;
  private static final int RST = 4;
  private static final int PSH = 8;
  private static final int ACK = 16;
  private static final int RECEIVE_LIMIT = 1 << 19;
  private static final int SEND_LIMIT = 1 << 20;
  private static final int WINDOW_SHIFT = 5;
  private static final long SECOND = 1_000_000_000L;
  private static final long LINGER = 5 * SECOND;
  private static final long HALF_CLOSED_IDLE = 600 * SECOND;
  private static final long CONNECT_PATIENCE = 30 * SECOND;
  private static final int HANDSHAKE_TRIES = 6;

  /** The handshake's progress, and what follows it. */
  enum Phase {
    CONNECTING,
    SYN_RECEIVED,
    SYN_SENT,
    OPEN,
    LINGERING,
    CLOSED
  }

  final TcpKey key;
  private final TcpTable table;
  private final GuestLink link;
  private final SocketChannel channel;
  private @Nullable SelectionKey selection;
  final TcpSender sender;
  final TcpReceiver receiver;
  Phase phase;
  private final int initialSequence;
  private int guestInitial;
  private int segmentBytes;
  private int guestShift;
  private boolean scaling;
  private boolean acknowledgementDue;
  boolean dirty;
  boolean blockedOnLink;
  private boolean hostEnded;
  private boolean outputShut;
  private boolean readable = true;
  private long phaseDeadline;
  private int handshakeTries;
  long lastActivity;
  long queuedDeadline = Long.MAX_VALUE;

  TcpConnection(
      TcpKey key,
      TcpTable table,
      GuestLink link,
      SocketChannel channel,
      Phase phase,
      int sequence) {
    this.key = key;
    this.table = table;
    this.link = link;
    this.channel = channel;
    this.phase = phase;
    this.initialSequence = sequence;
    this.segmentBytes = key.guest().isIpv4() ? 536 : 1220;
    this.sender = new TcpSender(new ByteRing(SEND_LIMIT, table.budget), this);
    this.receiver = new TcpReceiver(new ByteRing(RECEIVE_LIMIT, table.budget));
  }

  // --- The handshake ---

  /** Begins with a guest's SYN, while the host's socket connects. */
  void openedByGuest(byte[] data, int at, int headerBytes, long now) {
    guestInitial = Bytes.getInt(data, at + 4);
    readOptions(data, at, headerBytes);
    receiver.open(guestInitial + 1);
    sender.open(initialSequence + 1, segmentBytes);
    sender.setWindow(guestInitial, initialSequence, Bytes.getShort(data, at + 14));
    phaseDeadline = now + CONNECT_PATIENCE;
    lastActivity = now;
  }

  /** Begins with a SYN to the guest, for a socket that was accepted on a forwarded port. */
  void openToGuest(long now) {
    lastActivity = now;
    sendHandshake(SYN, now);
  }

  private void readOptions(byte[] data, int at, int headerBytes) {
    int largest = (key.guest().isIpv4() ? GuestLink.MTU - 40 : GuestLink.MTU - 60);
    int position = at + 20;
    int end = at + headerBytes;
    while (position < end && data[position] != 0) {
      if (data[position] == 1) {
        position++;
        continue;
      }
      int size = end - position >= 2 ? Bytes.getByte(data, position + 1) : 0;
      if (size < 2 || size > end - position) {
        return;
      }
      if (data[position] == 2 && size == 4) {
        segmentBytes = Math.clamp(Bytes.getShort(data, position + 2), 64, largest);
      } else if (data[position] == 3 && size == 3) {
        scaling = true;
        guestShift = Math.min(14, Bytes.getByte(data, position + 2));
      }
      position += size;
    }
  }

  void register(SelectionKey selectionKey) {
    selection = selectionKey;
  }

  /** The host's socket can finish connecting. */
  void hostConnected(long now) {
    try {
      if (!channel.finishConnect()) {
        return;
      }
    } catch (IOException e) {
      refuse();
      return;
    }
    SelectionKey registered = selection;
    if (registered != null) {
      registered.interestOps(0);
    }
    phase = Phase.SYN_RECEIVED;
    sendHandshake(SYN | ACK, now);
  }

  /** Answers the guest's SYN with a reset, as the host's network answered ours. */
  private void refuse() {
    int at = begin(0, RST | ACK, 0);
    Bytes.putInt(link.buffer(), at + 8, guestInitial + 1);
    link.sendTcp(20, 0, segmentBytes);
    discard();
  }

  private void sendHandshake(int flags, long now) {
    boolean scale = (flags & ACK) == 0 || scaling;
    int at = begin(initialSequence, flags, 0);
    byte[] frame = link.buffer();
    int mss = key.guest().isIpv4() ? GuestLink.MTU - 40 : GuestLink.MTU - 60;
    Bytes.putInt(frame, at + 20, 0x02040000 | mss);
    int header = 24;
    if (scale) {
      Bytes.putInt(frame, at + 24, 0x01030300 | WINDOW_SHIFT);
      header = 28;
    }
    frame[at + 12] = (byte) (header / 4 << 4);
    Bytes.putShort(frame, at + 14, 65_535);
    link.sendTcp(header, 0, segmentBytes);
    receiver.advertised(65_535);
    handshakeTries++;
    phaseDeadline = now + (SECOND << Math.min(handshakeTries - 1, 4));
    table.schedule(this);
  }

  // --- Segments from the guest ---

  void segment(byte[] data, int at, int headerBytes, int length, long now) {
    lastActivity = now;
    int sequence = Bytes.getInt(data, at + 4);
    int acknowledgement = Bytes.getInt(data, at + 8);
    int flags = Bytes.getByte(data, at + 13);
    switch (phase) {
      case CONNECTING -> {
        if ((flags & RST) != 0 && sequence == receiver.next()) {
          discard();
        }
      }
      case SYN_SENT -> answerToSyn(data, at, headerBytes, sequence, acknowledgement, flags, now);
      case SYN_RECEIVED -> {
        if ((flags & (SYN | ACK)) == SYN && sequence == guestInitial) {
          sendHandshake(SYN | ACK, now);
        } else if ((flags & RST) != 0) {
          if (sequence == receiver.next()) {
            abort();
          }
        } else if ((flags & ACK) != 0) {
          if (acknowledgement != initialSequence + 1) {
            reset(acknowledgement);
          } else {
            opened(now);
            established(data, at, headerBytes, length, now);
          }
        }
      }
      case OPEN, LINGERING -> {
        if ((flags & SYN) != 0) {
          // A SYN inside of a connection is answered, never obeyed (RFC 5961 §4).
          acknowledgementDue = true;
          table.touch(this);
        } else {
          established(data, at, headerBytes, length, now);
        }
      }
      case CLOSED -> {}
    }
  }

  private void answerToSyn(
      byte[] data,
      int at,
      int headerBytes,
      int sequence,
      int acknowledgement,
      int flags,
      long now) {
    boolean acknowledges = (flags & ACK) != 0 && acknowledgement == initialSequence + 1;
    if ((flags & RST) != 0) {
      if (acknowledges) {
        abort();
      }
    } else if ((flags & (SYN | ACK)) == (SYN | ACK) && acknowledges) {
      guestInitial = sequence;
      readOptions(data, at, headerBytes);
      receiver.open(sequence + 1);
      sender.open(initialSequence + 1, segmentBytes);
      sender.setWindow(sequence, acknowledgement, Bytes.getShort(data, at + 14));
      acknowledgementDue = true;
      opened(now);
    } else if ((flags & ACK) != 0) {
      begin(acknowledgement, RST, 0);
      link.sendTcp(20, 0, segmentBytes);
    }
  }

  private void opened(long now) {
    phase = Phase.OPEN;
    phaseDeadline = Long.MAX_VALUE;
    lastActivity = now;
    table.touch(this);
  }

  private void established(byte[] data, int at, int headerBytes, int length, long now) {
    int sequence = Bytes.getInt(data, at + 4);
    int flags = Bytes.getByte(data, at + 13);
    int count = length - headerBytes;
    boolean finish = (flags & FIN) != 0;
    table.touch(this);
    if (!receiver.acceptable(sequence, count + (finish ? 1 : 0))) {
      if ((flags & RST) == 0) {
        acknowledgementDue = true;
        // What it acknowledges still counts: a probe of our zero window carries an acknowledgement
        // too.
        if ((flags & ACK) == 0) {
          return;
        }
      } else {
        return;
      }
    } else if ((flags & RST) != 0) {
      if (sequence == receiver.next()) {
        abort();
      } else {
        acknowledgementDue = true;
      }
      return;
    }
    if ((flags & ACK) == 0) {
      return;
    }
    int window = Bytes.getShort(data, at + 14) << (scaling ? guestShift : 0);
    boolean plain = count == 0 && !finish;
    if (!sender.acknowledge(sequence, Bytes.getInt(data, at + 8), window, plain, now)) {
      acknowledgementDue = true;
      return;
    }
    if (count > 0 || finish) {
      if (hostEnded && outputShut && count > 0 && !channel.isOpen()) {
        reset(Bytes.getInt(data, at + 8));
        return;
      }
      boolean inOrder = receiver.accept(sequence, data, at + headerBytes, count, finish);
      acknowledgementDue = true;
      if (!inOrder || receiver.hasGap()) {
        // The guest learns of a gap at once, one acknowledgement for each segment (RFC 5681 §4.2).
        acknowledge();
      }
    }
  }

  // --- The host's socket ---

  /** The socket has something to read. */
  void hostReadable() {
    readable = true;
    table.touch(this);
  }

  void hostWritable() {
    table.touch(this);
  }

  /**
   * Moves bytes both ways, acknowledges and sends; called once per turn of the loop for a touched
   * connection.
   */
  void settle(long now) {
    if (phase != Phase.OPEN && phase != Phase.LINGERING) {
      return;
    }
    try {
      if (phase == Phase.OPEN) {
        receiver.ring.writeTo(channel);
        if (receiver.finished() && receiver.ring.size() == 0 && !outputShut) {
          outputShut = true;
          channel.shutdownOutput();
        }
        readHost();
      }
    } catch (IOException e) {
      abortBoth();
      return;
    }
    sender.push(now);
    if (phase == Phase.CLOSED) {
      return;
    }
    if (acknowledgementDue || receiver.windowOpened(segmentBytes)) {
      acknowledge();
    }
    if (sender.finishAcknowledged() && outputShut) {
      linger(now);
    }
    updateInterest();
    table.schedule(this);
  }

  private void readHost() throws IOException {
    int budget = 1 << 18;
    while (readable && !hostEnded && budget > 0) {
      int room = sender.ring.room();
      if (room == 0) {
        return;
      }
      int read = sender.ring.readFrom(channel, room);
      if (read < 0) {
        hostEnded = true;
        sender.finish();
      } else if (read == 0) {
        readable = false;
      } else {
        budget -= read;
      }
    }
    if (budget <= 0) {
      table.touch(this);
    }
  }

  private void updateInterest() {
    SelectionKey registered = selection;
    if (registered == null || !registered.isValid()) {
      return;
    }
    int interest = 0;
    if (!hostEnded && sender.ring.room() > 0 && !readable) {
      interest |= SelectionKey.OP_READ;
    }
    if (receiver.ring.size() > 0) {
      interest |= SelectionKey.OP_WRITE;
    }
    if (registered.interestOps() != interest) {
      registered.interestOps(interest);
    }
  }

  private void linger(long now) {
    if (phase == Phase.LINGERING) {
      return;
    }
    phase = Phase.LINGERING;
    phaseDeadline = now + LINGER;
    closeChannel();
    sender.ring.release();
    receiver.ring.release();
  }

  // --- Output ---

  /** Begins a segment in the link's buffer; the offset of its TCP header. */
  private int begin(int sequence, int flags, int window) {
    int at = link.begin(key.remote(), key.guest(), 6);
    byte[] frame = link.buffer();
    Bytes.putShort(frame, at, key.remotePort());
    Bytes.putShort(frame, at + 2, key.guestPort());
    Bytes.putInt(frame, at + 4, sequence);
    Bytes.putInt(frame, at + 8, (flags & ACK) != 0 ? receiver.next() : 0);
    Bytes.putShort(frame, at + 12, 5 << 12 | flags);
    Bytes.putShort(frame, at + 14, window);
    Bytes.putInt(frame, at + 16, 0);
    return at;
  }

  private int scaledWindow() {
    int shift = scaling ? WINDOW_SHIFT : 0;
    int window = Math.min(receiver.window() >>> shift, 65_535);
    receiver.advertised(window << shift);
    return window;
  }

  @Override
  public boolean segment(int sequence, int fromRing, int count, boolean push, boolean finish) {
    int flags = ACK | (push ? PSH : 0) | (finish ? FIN : 0);
    int at = begin(sequence, flags, scaledWindow());
    sender.ring.copy(fromRing, link.buffer(), at + 20, count);
    boolean taken = link.sendTcp(20, count, segmentBytes);
    if (taken) {
      acknowledgementDue = false;
    } else {
      table.blocked(this);
    }
    return taken;
  }

  private void acknowledge() {
    begin(sender.nextSequence(), ACK, scaledWindow());
    if (link.sendTcp(20, 0, segmentBytes)) {
      acknowledgementDue = false;
    } else {
      table.blocked(this);
    }
  }

  private void reset(int sequence) {
    begin(sequence, RST, 0);
    link.sendTcp(20, 0, segmentBytes);
  }

  // --- The end ---

  /** When something has to happen next, or {@link Long#MAX_VALUE}. */
  long deadline() {
    return switch (phase) {
      case CONNECTING, SYN_RECEIVED, SYN_SENT, LINGERING -> phaseDeadline;
      case OPEN -> {
        boolean half = hostEnded || receiver.finished();
        long idle = half ? lastActivity + HALF_CLOSED_IDLE : Long.MAX_VALUE;
        yield Math.min(sender.deadline(), idle);
      }
      case CLOSED -> Long.MAX_VALUE;
    };
  }

  /** A deadline has passed. */
  void expire(long now) {
    switch (phase) {
      case CONNECTING -> discard();
      case SYN_RECEIVED, SYN_SENT -> {
        if (now - phaseDeadline < 0) {
          return;
        }
        if (handshakeTries >= HANDSHAKE_TRIES) {
          abort();
        } else {
          sendHandshake(phase == Phase.SYN_SENT ? SYN : SYN | ACK, now);
        }
      }
      case OPEN -> {
        if (!sender.expire(now)
            || (hostEnded || receiver.finished()) && now - lastActivity > HALF_CLOSED_IDLE) {
          abortBoth();
        } else {
          table.touch(this);
        }
      }
      case LINGERING -> {
        if (now - phaseDeadline >= 0) {
          discard();
        }
      }
      case CLOSED -> {}
    }
  }

  /** Ends a lingering connection early, because its guest opens a new one in its place. */
  void forget() {
    discard();
  }

  /** Resets both sides. */
  void abortBoth() {
    if (phase == Phase.OPEN || phase == Phase.SYN_RECEIVED) {
      begin(sender.nextSequence(), RST | ACK, 0);
      link.sendTcp(20, 0, segmentBytes);
    }
    abort();
  }

  /** Ends it as after a reset by the guest: the host's peer shall see one too. */
  void abort() {
    try {
      channel.setOption(StandardSocketOptions.SO_LINGER, 0);
    } catch (IOException e) {
      System.getLogger(TcpConnection.class.getName())
          .log(System.Logger.Level.TRACE, "reset of a closed socket", e);
    }
    discard();
  }

  private void discard() {
    phase = Phase.CLOSED;
    closeChannel();
    sender.ring.release();
    receiver.ring.release();
    table.remove(this);
  }

  private void closeChannel() {
    SelectionKey registered = selection;
    if (registered != null) {
      registered.cancel();
      selection = null;
    }
    try {
      channel.close();
    } catch (IOException e) {
      System.getLogger(TcpConnection.class.getName())
          .log(System.Logger.Level.TRACE, "closing a socket", e);
    }
  }
}
