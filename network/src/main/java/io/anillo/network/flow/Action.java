package io.anillo.network.flow;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a flow, a bucket or a packet-out does to a packet: OpenFlow 1.3.5 §7.2.4 and Open vSwitch's
 * extensions.
 */
public sealed interface Action {

  /** Sends the packet to a port; {@code maximumLength} counts only for the controller's. */
  record Output(int port, int maximumLength) implements Action {
    @Override
    public String toString() {
      return "output " + Ports.name(port);
    }

    public static final int NO_BUFFER = 0xffff;

    public Output(int port) {
      this(port, NO_BUFFER);
    }
  }

  record Group(int group) implements Action {}

  record SetQueue(int queue) implements Action {}

  record CopyTtlOut() implements Action {}

  record CopyTtlIn() implements Action {}

  record SetMplsTtl(int ttl) implements Action {}

  record DecrementMplsTtl() implements Action {}

  record SetNetworkTtl(int ttl) implements Action {}

  record DecrementNetworkTtl() implements Action {}

  record PushVlan(int etherType) implements Action {}

  record PopVlan() implements Action {}

  record PushMpls(int etherType) implements Action {}

  record PopMpls(int etherType) implements Action {}

  record PushPbb(int etherType) implements Action {}

  record PopPbb() implements Action {}

  /** Sets the masked bits of a field; 128-bit values come as two halves. */
  record SetField(MatchField field, long high, long low, long maskHigh, long maskLow)
      implements Action {
    /** Sets a whole field of up to 64 bits. */
    public SetField(MatchField field, long value) {
      this(field, 0, value, 0, field.ones());
    }

    /** Sets a whole field of 128 bits. */
    public SetField(MatchField field, long high, long low) {
      this(field, high, low, -1L, -1L);
    }

    @Override
    public String toString() {
      String value = FieldText.format(field, high, low);
      String mask = whole() ? "" : "/" + FieldText.format(field, maskHigh, maskLow);
      return "set " + field.label() + "=" + value + mask;
    }

    public boolean whole() {
      return maskLow == field.ones() && (!field.wide() || maskHigh == -1L);
    }
  }

  /**
   * Copies {@code bits} bits from one field to another (NXAST_REG_MOVE); both lie in the fields'
   * low 64 bits.
   */
  record Move(MatchField from, int fromBit, MatchField to, int toBit, int bits) implements Action {}

  /** Looks the packet up again in a table, as port {@code port} (NXAST_RESUBMIT_TABLE). */
  record Resubmit(int port, int table) implements Action {}

  /** Sends the packet to the port that a field holds (NXAST_OUTPUT_REG). */
  record OutputField(MatchField field, int bit, int bits, int maximumLength) implements Action {}

  /**
   * Passes the packet through the connection tracker (NXAST_CT).
   *
   * @param zone the zone, if {@code zoneField} is empty
   * @param zoneField the field whose bits name the zone, a list of one or none
   * @param table where the packet goes on with its connection's state, 255 for nowhere
   * @param inner what to do to the connection: set-field of ct_mark and ct_label, and {@link Nat}
   */
  record Track(
      boolean commit,
      boolean force,
      int zone,
      List<ZoneField> zoneField,
      int table,
      int helper,
      List<Action> inner)
      implements Action {
    public static final int NO_TABLE = 0xff;

    @Override
    public String toString() {
      String where = zoneField.isEmpty() ? "" + zone : zoneField.getFirst().field().label();
      return "ct("
          + (commit ? "commit, " : "")
          + (force ? "force, " : "")
          + "zone "
          + where
          + (table == NO_TABLE ? "" : ", then table " + table)
          + (inner.isEmpty() ? "" : ", " + inner)
          + ")";
    }
  }

  record ZoneField(MatchField field, int bit, int bits) {}

  /**
   * Translates addresses of a connection when committed (NXAST_NAT); empty ranges undo or redo what
   * it has.
   */
  record Nat(
      int flags, byte[] addressMinimum, byte[] addressMaximum, int portMinimum, int portMaximum)
      implements Action {
    public static final int SOURCE = 1;
    public static final int DESTINATION = 2;

    @Override
    public String toString() {
      StringBuilder text = new StringBuilder("nat(");
      text.append((flags & SOURCE) != 0 ? "src" : (flags & DESTINATION) != 0 ? "dst" : "as before");
      if (addressMinimum.length == 4) {
        text.append('=').append(FieldText.ipv4(Bytes.getInt(addressMinimum, 0)));
      } else if (addressMinimum.length == 16) {
        long high = Bytes.getLong(addressMinimum, 0);
        text.append('=').append(FieldText.ipv6(high, Bytes.getLong(addressMinimum, 8)));
      }
      if (portMinimum > 0) {
        text.append(':').append(portMinimum);
      }
      return text.append(')').toString();
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Nat nat
          && flags == nat.flags
          && portMinimum == nat.portMinimum
          && portMaximum == nat.portMaximum
          && Arrays.equals(addressMinimum, nat.addressMinimum)
          && Arrays.equals(addressMaximum, nat.addressMaximum);
    }

    @Override
    public int hashCode() {
      return Objects.hash(flags, portMinimum, portMaximum) * 31
          + Arrays.hashCode(addressMinimum) * 7
          + Arrays.hashCode(addressMaximum);
    }
  }

  /** Forgets the packet's connection state (NXAST_CT_CLEAR). */
  record ClearTracking() implements Action {}
}
