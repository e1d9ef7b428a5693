package io.anillo.network.dataplane;

import io.anillo.network.dataplane.Connection.State;
import io.anillo.network.dataplane.Connection.Tuple;
import io.anillo.network.flow.Action;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.HeaderEditor;
import io.anillo.network.packet.MatchField;
import io.anillo.network.packet.Packet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Stateful connections by zone, with the meaning that Open vSwitch gives its ct action
 * (ovs-actions(7)). Bounded: when full, the connection that was silent for longest makes room.
 * Guarded by the switch's lock.
 */
final class ConnectionTracker {
  static final int NEW = 0x01;
  static final int ESTABLISHED = 0x02;
  static final int RELATED = 0x04;
  static final int REPLY = 0x08;
  static final int INVALID = 0x10;
  static final int TRACKED = 0x20;
  static final int SOURCE_TRANSLATED = 0x40;
  static final int DESTINATION_TRANSLATED = 0x80;

  static final int MAXIMUM = 1 << 17;

  private final Map<Tuple, Connection> connections = new HashMap<>();
  private @Nullable Connection oldest;
  private @Nullable Connection newest;
  private int count;

  /** Of a trial: whose connections it begins with, and which of those it has ended. */
  private final @Nullable ConnectionTracker base;

  private final Set<Tuple> ended = new HashSet<>();

  ConnectionTracker() {
    this(null);
  }

  private ConnectionTracker(@Nullable ConnectionTracker base) {
    this.base = base;
  }

  /** A tracker that begins with this one's connections and leaves them as they are. */
  ConnectionTracker trial() {
    return new ConnectionTracker(this);
  }

  private @Nullable Connection find(Tuple tuple) {
    Connection own = connections.get(tuple);
    if (own != null || base == null || ended.contains(tuple)) {
      return own;
    }
    Connection known = base.connections.get(tuple);
    if (known == null) {
      return null;
    }
    Connection copy = known.copy();
    add(copy);
    return copy;
  }

  private boolean isKnown(Tuple tuple) {
    return find(tuple) != null;
  }

  int size() {
    return count;
  }

  static void clear(FlowKey key) {
    MatchField.CT_STATE.set(key.words, 0, 0);
    MatchField.CT_MARK.set(key.words, 0, 0);
    MatchField.CT_ZONE.set(key.words, 0, 0);
    MatchField.CT_LABEL.set(key.words, 0, 0);
  }

  static void clear(Packet packet) {
    clear(packet.key);
  }

  /**
   * Finds (and with commit makes) the packet's connection, translates its addresses and stores its
   * state in its key.
   */
  void track(Packet packet, Action.Track action, long nowNanos) {
    long[] words = packet.key.words;
    int zone = action.zone();
    if (!action.zoneField().isEmpty()) {
      Action.ZoneField field = action.zoneField().getFirst();
      zone = (int) (field.field().low(words) >>> field.bit() & (1L << field.bits()) - 1);
    }
    clear(packet.key);
    MatchField.CT_ZONE.set(words, 0, zone);
    Tuple tuple = tuple(packet, zone);
    if (tuple == null) {
      Connection related = relatedTo(packet, zone);
      int state = related == null ? TRACKED | INVALID : TRACKED | RELATED;
      MatchField.CT_STATE.set(words, 0, state);
      if (related != null) {
        copyMarks(related, words);
      }
      return;
    }
    Connection connection = find(tuple);
    if (connection != null && connection.expired(nowNanos)) {
      remove(connection);
      connection = null;
    }
    if (connection != null && connection.state == State.CLOSED && isOpening(packet)) {
      remove(connection);
      connection = null;
    }
    if (connection != null && action.force() && action.commit() && tuple.equals(connection.reply)) {
      remove(connection);
      connection = null;
    }
    if (connection == null) {
      if (!startsConnection(packet)) {
        MatchField.CT_STATE.set(words, 0, TRACKED | INVALID);
        return;
      }
      MatchField.CT_STATE.set(words, 0, TRACKED | NEW);
      if (!action.commit()) {
        return;
      }
      connection = open(packet, tuple, action, nowNanos);
      if (connection == null) {
        MatchField.CT_STATE.set(words, 0, TRACKED | INVALID);
        return;
      }
      applyInner(connection, action, words);
      translate(packet, connection, false);
      int state = TRACKED | NEW | translated(connection);
      MatchField.CT_STATE.set(words, 0, state);
      copyMarks(connection, words);
      return;
    }
    boolean back = tuple.equals(connection.reply);
    follow(packet, connection, back, nowNanos);
    int state = TRACKED | (back ? REPLY : 0) | translated(connection);
    state |= connection.replied ? ESTABLISHED : NEW;
    if (action.commit()) {
      applyInner(connection, action, words);
    }
    if (action.inner().stream().anyMatch(inner -> inner instanceof Action.Nat)) {
      translate(packet, connection, back);
    }
    MatchField.CT_STATE.set(words, 0, state);
    copyMarks(connection, words);
  }

  private static int translated(Connection connection) {
    return (connection.sourceTranslated ? SOURCE_TRANSLATED : 0)
        | (connection.destinationTranslated ? DESTINATION_TRANSLATED : 0);
  }

  private static void copyMarks(Connection connection, long[] words) {
    MatchField.CT_MARK.set(words, 0, connection.mark & 0xffffffffL);
    MatchField.CT_LABEL.set(words, connection.labelHigh, connection.labelLow);
  }

  private static void applyInner(Connection connection, Action.Track action, long[] words) {
    for (Action inner : action.inner()) {
      if (inner instanceof Action.SetField set) {
        if (set.field() == MatchField.CT_MARK) {
          connection.mark = (int) (connection.mark & ~set.maskLow() | set.low() & set.maskLow());
        } else {
          connection.labelHigh =
              connection.labelHigh & ~set.maskHigh() | set.high() & set.maskHigh();
          connection.labelLow = connection.labelLow & ~set.maskLow() | set.low() & set.maskLow();
        }
      } else if (inner instanceof Action.Move move && move.to() == MatchField.CT_MARK) {
        long mask = (1L << move.bits()) - 1;
        long value = move.from().low(words) >>> move.fromBit() & mask;
        connection.mark = (int) (connection.mark & ~(mask << move.toBit()) | value << move.toBit());
      }
    }
  }

  private void follow(Packet packet, Connection connection, boolean back, long nowNanos) {
    connection.seenNanos = nowNanos;
    touch(connection);
    connection.replied |= back;
    if (packet.key.protocol() == 6) {
      connection.followTcp((int) packet.key.words[FlowKey.ND_SOURCE], back);
    } else if (connection.replied) {
      connection.state = State.DATAGRAM_BOTH;
    }
  }

  private static boolean isOpening(Packet packet) {
    return packet.key.protocol() == 6 && (packet.key.words[FlowKey.ND_SOURCE] & 0x12) == 0x02;
  }

  /**
   * Whether a packet of no known connection may open one: no TCP reset, no reply to an echo never
   * asked.
   */
  private static boolean startsConnection(Packet packet) {
    int protocol = packet.key.protocol();
    int type = packet.key.transportSource();
    return switch (protocol) {
      case 6 ->
          (packet.key.words[FlowKey.ND_SOURCE] & 0x04) == 0
              && (packet.key.words[FlowKey.ND_SOURCE] & 0x12) != 0x12;
      case 1 -> type == 8 || type == 13;
      case 58 -> type == 128 || type >= 133 && type <= 137;
      default -> true;
    };
  }

  private @Nullable Connection open(
      Packet packet, Tuple tuple, Action.Track action, long nowNanos) {
    Tuple reply = tuple.reversed();
    for (Action inner : action.inner()) {
      if (inner instanceof Action.Nat nat) {
        reply = AddressTranslation.chooseReply(tuple, nat, this::isKnown);
      }
    }
    if (reply == null || isKnown(reply)) {
      return null;
    }
    if (count >= MAXIMUM && oldest != null) {
      remove(oldest);
    }
    State state = packet.key.protocol() == 6 ? State.NEW : State.DATAGRAM_NEW;
    Connection connection = new Connection(tuple, reply, state, nowNanos);
    add(connection);
    return connection;
  }

  private void add(Connection connection) {
    connections.put(connection.original, connection);
    connections.put(connection.reply, connection);
    count++;
    append(connection);
  }

  private void append(Connection connection) {
    connection.older = newest;
    connection.newer = null;
    if (newest != null) {
      newest.newer = connection;
    } else {
      oldest = connection;
    }
    newest = connection;
  }

  private void unlink(Connection connection) {
    if (connection.older != null) {
      connection.older.newer = connection.newer;
    } else {
      oldest = connection.newer;
    }
    if (connection.newer != null) {
      connection.newer.older = connection.older;
    } else {
      newest = connection.older;
    }
  }

  private void touch(Connection connection) {
    if (newest != connection) {
      unlink(connection);
      append(connection);
    }
  }

  private void remove(Connection connection) {
    connections.remove(connection.original, connection);
    connections.remove(connection.reply, connection);
    if (base != null) {
      ended.add(connection.original);
      ended.add(connection.reply);
    }
    unlink(connection);
    count--;
  }

  /** Forgets what has been silent for too long; called once a second. */
  void expire(long nowNanos) {
    Connection connection = oldest;
    while (connection != null) {
      Connection next = connection.newer;
      if (connection.expired(nowNanos)) {
        remove(connection);
      }
      connection = next;
    }
  }

  void flush() {
    connections.clear();
    oldest = null;
    newest = null;
    count = 0;
  }

  /** Rewrites the packet as the other side of a translated connection must see it. */
  private static void translate(Packet packet, Connection connection, boolean back) {
    Tuple from = back ? connection.reply : connection.original;
    Tuple to = (back ? connection.original : connection.reply).reversed();
    if (from.equals(to)) {
      return;
    }
    if (from.ipv6()) {
      set(packet, MatchField.IPV6_SRC, to.sourceHigh(), to.sourceLow());
      set(packet, MatchField.IPV6_DST, to.destinationHigh(), to.destinationLow());
    } else {
      set(packet, MatchField.IPV4_SRC, 0, to.sourceLow());
      set(packet, MatchField.IPV4_DST, 0, to.destinationLow());
    }
    switch (from.protocol()) {
      case 6 -> {
        set(packet, MatchField.TCP_SRC, 0, to.sourcePort());
        set(packet, MatchField.TCP_DST, 0, to.destinationPort());
      }
      case 17 -> {
        set(packet, MatchField.UDP_SRC, 0, to.sourcePort());
        set(packet, MatchField.UDP_DST, 0, to.destinationPort());
      }
      case 132 -> {
        set(packet, MatchField.SCTP_SRC, 0, to.sourcePort());
        set(packet, MatchField.SCTP_DST, 0, to.destinationPort());
      }
      case 1, 58 -> {
        if (to.sourcePort() != from.sourcePort()) {
          HeaderEditor.setEchoIdentifier(packet, to.sourcePort());
        }
      }
      default -> {}
    }
  }

  private static void set(Packet packet, MatchField field, long high, long low) {
    long[] words = packet.key.words;
    if (field.low(words) != low || field.high(words) != high) {
      HeaderEditor.set(packet, field, high, low, -1L, field.ones());
    }
  }

  /** The packet's own tuple; null when it has none, as a fragment or an ICMP error. */
  private static @Nullable Tuple tuple(Packet packet, int zone) {
    FlowKey key = packet.key;
    boolean ipv6 = key.etherType() == 0x86dd;
    int at = packet.transportOffset();
    if (at < 0 || !ipv6 && key.etherType() != 0x0800) {
      return null;
    }
    int protocol = key.protocol();
    int source;
    int destination;
    switch (protocol) {
      case 6, 17, 132 -> {
        source = key.transportSource();
        destination = key.transportDestination();
      }
      case 1, 58 -> {
        int type = key.transportSource();
        boolean echo = protocol == 1 ? type == 0 || type == 8 : type == 128 || type == 129;
        boolean neighbour = protocol == 58 && type >= 133 && type <= 137;
        if (!echo && !neighbour) {
          return null;
        }
        source = echo ? Bytes.getShort(packet.data(), at + 4) : 0;
        destination = source;
      }
      default -> {
        source = 0;
        destination = 0;
      }
    }
    long[] words = key.words;
    if (ipv6) {
      return new Tuple(
          zone, protocol, true, words[7], words[8], words[9], words[10], source, destination);
    }
    return new Tuple(
        zone,
        protocol,
        false,
        0,
        words[FlowKey.IPV4] >>> 32,
        0,
        words[FlowKey.IPV4] & 0xffffffffL,
        source,
        destination);
  }

  /** The connection that an IPv4 ICMP error speaks of, from the header it quotes (RFC 792). */
  private @Nullable Connection relatedTo(Packet packet, int zone) {
    int at = packet.transportOffset();
    int type = packet.key.transportSource();
    if (at < 0
        || packet.key.etherType() != 0x0800
        || packet.key.protocol() != 1
        || type != 3 && type != 11 && type != 12) {
      return null;
    }
    byte[] data = packet.data();
    int inner = at + 8;
    int end = packet.start() + packet.length();
    int headerBytes = inner < end ? (data[inner] & 15) * 4 : 0;
    if (headerBytes < 20 || end - inner < headerBytes + 8) {
      return null;
    }
    int transport = inner + headerBytes;
    int protocol = Bytes.getByte(data, inner + 9);
    boolean ports = protocol == 6 || protocol == 17 || protocol == 132;
    int source = ports ? Bytes.getShort(data, transport) : Bytes.getShort(data, transport + 4);
    int destination = ports ? Bytes.getShort(data, transport + 2) : source;
    return find(
        new Tuple(
            zone,
            protocol,
            false,
            0,
            Bytes.getUnsignedInt(data, inner + 12),
            0,
            Bytes.getUnsignedInt(data, inner + 16),
            source,
            destination));
  }
}
