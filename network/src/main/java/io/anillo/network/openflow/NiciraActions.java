package io.anillo.network.openflow;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.packet.MatchField;
import java.util.List;

/**
 * The experimenter actions that Open vSwitch speaks (ovs-actions(7), ovs-fields(7)): registers,
 * resubmit, and connection tracking with address translation.
 */
final class NiciraActions {
  static final int EXPERIMENTER = 0x00002320;

  private static final int RESUBMIT = 1;
  private static final int MOVE = 6;
  private static final int LOAD = 7;
  private static final int RESUBMIT_TABLE = 14;
  private static final int OUTPUT_REGISTER = 15;
  private static final int DECREMENT_TTL = 18;
  private static final int LOAD_MASKED = 33;
  private static final int TRACK = 35;
  private static final int NAT = 36;
  private static final int CLEAR_TRACKING = 43;

  private NiciraActions() {}

  /** Reads an action after its experimenter number. */
  static Action read(WireReader body) throws FlowError {
    int subtype = body.u16();
    switch (subtype) {
      case RESUBMIT -> {
        return new Action.Resubmit(port16(body.u16()), 255);
      }
      case RESUBMIT_TABLE -> {
        return new Action.Resubmit(port16(body.u16()), body.u8());
      }
      case MOVE -> {
        int bits = body.u16();
        int fromBit = body.u16();
        int toBit = body.u16();
        return new Action.Move(field(body.u32()), fromBit, field(body.u32()), toBit, bits);
      }
      case LOAD -> {
        int range = body.u16();
        MatchField field = field(body.u32());
        int bit = range >>> 6;
        int bits = (range & 63) + 1;
        long mask = (bits == 64 ? -1L : (1L << bits) - 1) << bit;
        if (bit + bits > Math.min(64, field.bits())) {
          throw ActionCodec.badArgument("load beyond the end of " + field.label());
        }
        return new Action.SetField(field, 0, body.u64() << bit, 0, mask);
      }
      case LOAD_MASKED -> {
        body.skip(6);
        int header = body.u32();
        MatchField field = field(header);
        return ActionCodec.readValue(body, field, (header & 0x100) != 0);
      }
      case OUTPUT_REGISTER -> {
        int range = body.u16();
        MatchField field = field(body.u32());
        return new Action.OutputField(field, range >>> 6, (range & 63) + 1, body.u16());
      }
      case DECREMENT_TTL -> {
        return new Action.DecrementNetworkTtl();
      }
      case TRACK -> {
        return readTrack(body);
      }
      case NAT -> {
        return readNat(body);
      }
      case CLEAR_TRACKING -> {
        return new Action.ClearTracking();
      }
      default -> throw ActionCodec.bad(3, "experimenter action " + subtype);
    }
  }

  private static int port16(int port) {
    return port >= 0xff00 ? port | 0xffff0000 : port;
  }

  private static MatchField field(int header) throws FlowError {
    return MatchField.of(header >>> 16, header >>> 9 & 0x7f)
        .orElseThrow(() -> ActionCodec.badArgument("no field 0x" + Integer.toHexString(header)));
  }

  private static Action readTrack(WireReader body) throws FlowError {
    int flags = body.u16();
    int zoneSource = body.u32();
    int zone = body.u16();
    int table = body.u8();
    body.skip(3);
    int helper = body.u16();
    List<Action.ZoneField> zoneField =
        zoneSource == 0
            ? List.of()
            : List.of(new Action.ZoneField(field(zoneSource), zone >>> 6, (zone & 63) + 1));
    List<Action> inner = ActionCodec.read(body);
    return new Action.Track(
        (flags & 1) != 0,
        (flags & 2) != 0,
        zoneField.isEmpty() ? zone : 0,
        zoneField,
        table,
        helper,
        inner);
  }

  private static Action readNat(WireReader body) throws FlowError {
    body.skip(2);
    int flags = body.u16();
    int present = body.u16();
    byte[] minimum = new byte[0];
    byte[] maximum = new byte[0];
    if ((present & 1) != 0) {
      minimum = body.bytes(4);
    }
    if ((present & 2) != 0) {
      maximum = body.bytes(4);
    }
    if ((present & 4) != 0) {
      minimum = body.bytes(16);
    }
    if ((present & 8) != 0) {
      maximum = body.bytes(16);
    }
    int portMinimum = (present & 16) != 0 ? body.u16() : 0;
    int portMaximum = (present & 32) != 0 ? body.u16() : portMinimum;
    return new Action.Nat(flags, minimum, maximum, portMinimum, portMaximum);
  }

  private static int begin(WireWriter writer, int subtype) {
    int start = writer.length();
    writer.u16(0xffff).u16(0).u32(EXPERIMENTER).u16(subtype);
    return start;
  }

  static void write(WireWriter writer, Action action) {
    int start;
    switch (action) {
      case Action.Resubmit a -> {
        start = begin(writer, RESUBMIT_TABLE);
        writer.u16(a.port()).u8(a.table()).zero(3);
      }
      case Action.Move a -> {
        start = begin(writer, MOVE);
        writer.u16(a.bits()).u16(a.fromBit()).u16(a.toBit());
        writer.u32(a.from().header(false)).u32(a.to().header(false));
      }
      case Action.SetField a -> {
        start = begin(writer, LOAD_MASKED);
        writer.zero(6);
        MatchCodec.writeField(writer, a.field(), a.high(), a.low(), a.maskHigh(), a.maskLow());
      }
      case Action.OutputField a -> {
        start = begin(writer, OUTPUT_REGISTER);
        writer
            .u16(a.bit() << 6 | a.bits() - 1)
            .u32(a.field().header(false))
            .u16(a.maximumLength())
            .zero(6);
      }
      case Action.Track a -> {
        start = begin(writer, TRACK);
        writer.u16((a.commit() ? 1 : 0) | (a.force() ? 2 : 0));
        if (a.zoneField().isEmpty()) {
          writer.u32(0).u16(a.zone());
        } else {
          Action.ZoneField zone = a.zoneField().getFirst();
          writer.u32(zone.field().header(false)).u16(zone.bit() << 6 | zone.bits() - 1);
        }
        writer.u8(a.table()).zero(3).u16(a.helper());
        ActionCodec.write(writer, a.inner());
      }
      case Action.Nat a -> {
        start = begin(writer, NAT);
        writer.zero(2).u16(a.flags());
        int family = a.addressMinimum().length == 16 ? 4 : 1;
        int present = a.addressMinimum().length > 0 ? family : 0;
        present |= a.addressMaximum().length > 0 ? family * 2 : 0;
        present |= a.portMinimum() > 0 ? 16 : 0;
        present |= a.portMaximum() > 0 ? 32 : 0;
        writer.u16(present).bytes(a.addressMinimum()).bytes(a.addressMaximum());
        if (a.portMinimum() > 0) {
          writer.u16(a.portMinimum());
        }
        if (a.portMaximum() > 0) {
          writer.u16(a.portMaximum());
        }
      }
      case Action.ClearTracking a -> {
        start = begin(writer, CLEAR_TRACKING);
        writer.zero(6);
      }
      default -> throw new IllegalStateException("no experimenter action: " + action);
    }
    writer.padFrom(start);
    writer.patchU16(start + 2, writer.length() - start);
  }
}
