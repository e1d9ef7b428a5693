package io.anillo.network.openflow;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.List;

/** Actions on the wire (OpenFlow 1.3.5 §7.2.4); Open vSwitch's own are in {@link NiciraActions}. */
public final class ActionCodec {
  private static final int BAD_TYPE = 0;
  private static final int BAD_LENGTH = 1;
  private static final int BAD_EXPERIMENTER = 2;
  private static final int BAD_ARGUMENT = 5;
  private static final int BAD_SET_TYPE = 13;
  private static final int BAD_SET_LENGTH = 14;
  private static final int BAD_SET_ARGUMENT = 15;

  private ActionCodec() {}

  static FlowError bad(int code, String message) {
    return new FlowError(FlowError.BAD_ACTION, code, message);
  }

  /** Reads actions until the reader's end. */
  public static List<Action> read(WireReader reader) throws FlowError {
    List<Action> actions = new ArrayList<>();
    while (reader.remaining() > 0) {
      actions.add(readOne(reader));
    }
    return List.copyOf(actions);
  }

  private static Action readOne(WireReader reader) throws FlowError {
    if (reader.remaining() < 8) {
      throw bad(BAD_LENGTH, "half an action");
    }
    int type = reader.u16();
    int length = reader.u16();
    if (length < 8 || length % 8 != 0 || length - 4 > reader.remaining()) {
      throw bad(BAD_LENGTH, "action of " + length + " bytes");
    }
    WireReader body = reader.part(length - 4);
    int expected = type == 0 ? 16 : type == 25 || type == 0xffff ? length : 8;
    if (length != expected) {
      throw bad(BAD_LENGTH, "action " + type + " of " + length + " bytes");
    }
    return switch (type) {
      case 0 -> new Action.Output(body.u32(), body.u16());
      case 11 -> new Action.CopyTtlOut();
      case 12 -> new Action.CopyTtlIn();
      case 15 -> new Action.SetMplsTtl(body.u8());
      case 16 -> new Action.DecrementMplsTtl();
      case 17 -> new Action.PushVlan(body.u16());
      case 18 -> new Action.PopVlan();
      case 19 -> new Action.PushMpls(body.u16());
      case 20 -> new Action.PopMpls(body.u16());
      case 21 -> new Action.SetQueue(body.u32());
      case 22 -> new Action.Group(body.u32());
      case 23 -> new Action.SetNetworkTtl(body.u8());
      case 24 -> new Action.DecrementNetworkTtl();
      case 25 -> readSetField(body);
      case 26 -> new Action.PushPbb(body.u16());
      case 27 -> new Action.PopPbb();
      case 0xffff -> {
        int experimenter = body.u32();
        if (experimenter != NiciraActions.EXPERIMENTER) {
          throw bad(
              BAD_EXPERIMENTER, "actions of experimenter 0x" + Integer.toHexString(experimenter));
        }
        yield NiciraActions.read(body);
      }
      default -> throw bad(BAD_TYPE, "action type " + type);
    };
  }

  private static Action readSetField(WireReader body) throws FlowError {
    int oxmClass = body.u16();
    int rest = body.u16();
    MatchField field =
        MatchField.of(oxmClass, rest >>> 9)
            .orElseThrow(() -> bad(BAD_SET_TYPE, "set-field of " + oxmClass + ":" + (rest >>> 9)));
    boolean masked = (rest & 0x100) != 0;
    if ((rest & 0xff) != field.bytes() * (masked ? 2 : 1) || (rest & 0xff) > body.remaining()) {
      throw bad(
          BAD_SET_LENGTH, "set-field of " + field.label() + " with " + (rest & 0xff) + " bytes");
    }
    return readValue(body, field, masked);
  }

  static Action.SetField readValue(WireReader body, MatchField field, boolean masked)
      throws FlowError {
    long high = field.wide() ? body.u64() : 0;
    long low = body.unsigned(Math.min(8, field.bytes()));
    long maskHigh = field.wide() ? -1L : 0;
    long maskLow = field.ones();
    if (masked) {
      maskHigh = field.wide() ? body.u64() : 0;
      maskLow = body.unsigned(Math.min(8, field.bytes()));
    }
    if (field.bits() < 64 && (low & ~field.ones()) != 0) {
      throw bad(BAD_SET_ARGUMENT, field.label() + " has no value 0x" + Long.toHexString(low));
    }
    return new Action.SetField(field, high, low, maskHigh, maskLow);
  }

  public static void write(WireWriter writer, List<Action> actions) {
    actions.forEach(action -> write(writer, action));
  }

  private static void write(WireWriter writer, Action action) {
    switch (action) {
      case Action.Output a -> writer.u16(0).u16(16).u32(a.port()).u16(a.maximumLength()).zero(6);
      case Action.CopyTtlOut a -> writer.u16(11).u16(8).zero(4);
      case Action.CopyTtlIn a -> writer.u16(12).u16(8).zero(4);
      case Action.SetMplsTtl a -> writer.u16(15).u16(8).u8(a.ttl()).zero(3);
      case Action.DecrementMplsTtl a -> writer.u16(16).u16(8).zero(4);
      case Action.PushVlan a -> writer.u16(17).u16(8).u16(a.etherType()).zero(2);
      case Action.PopVlan a -> writer.u16(18).u16(8).zero(4);
      case Action.PushMpls a -> writer.u16(19).u16(8).u16(a.etherType()).zero(2);
      case Action.PopMpls a -> writer.u16(20).u16(8).u16(a.etherType()).zero(2);
      case Action.SetQueue a -> writer.u16(21).u16(8).u32(a.queue());
      case Action.Group a -> writer.u16(22).u16(8).u32(a.group());
      case Action.SetNetworkTtl a -> writer.u16(23).u16(8).u8(a.ttl()).zero(3);
      case Action.DecrementNetworkTtl a -> writer.u16(24).u16(8).zero(4);
      case Action.SetField a when a.whole() -> {
        int start = writer.length();
        writer.u16(25).u16(0).u32(a.field().header(false));
        MatchCodec.writeValue(writer, a.field(), a.high(), a.low());
        writer.padFrom(start);
        writer.patchU16(start + 2, writer.length() - start);
      }
      case Action.PushPbb a -> writer.u16(26).u16(8).u16(a.etherType()).zero(2);
      case Action.PopPbb a -> writer.u16(27).u16(8).zero(4);
      default -> NiciraActions.write(writer, action);
    }
  }

  static FlowError badArgument(String message) {
    return bad(BAD_ARGUMENT, message);
  }
}
