package io.anillo.network.openflow;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import java.util.ArrayList;
import java.util.List;

/** Flow, group and meter modifications on the wire (OpenFlow 1.3.5 §7.3.4). */
public final class FlowCodec {
  public static final int NO_BUFFER = 0xffffffff;

  /** A flow modification and the buffered packet it is to be applied to. */
  public record FlowMod(FlowModification modification, int buffer) {}

  /** A group modification; the command is 0 add, 1 modify, 2 delete. */
  public record GroupMod(int command, int group, Group.Type type, List<Group.Bucket> buckets) {}

  /** A meter modification; the command is 0 add, 1 modify, 2 delete. */
  public record MeterMod(int command, int flags, int meter, List<Meter.Band> bands) {}

  private FlowCodec() {}

  public static FlowMod readFlowMod(WireReader reader) throws FlowError {
    long cookie = reader.u64();
    long cookieMask = reader.u64();
    int table = reader.u8();
    int command = reader.u8();
    int idle = reader.u16();
    int hard = reader.u16();
    int priority = reader.u16();
    int buffer = reader.u32();
    int outPort = reader.u32();
    int outGroup = reader.u32();
    int flags = reader.u16();
    reader.skip(2);
    if (command > 4) {
      throw new FlowError(FlowError.FLOW_MOD_FAILED, 6, "flow-mod command " + command);
    }
    if ((flags & ~0x1f) != 0) {
      throw new FlowError(
          FlowError.FLOW_MOD_FAILED, 7, "flow-mod flags 0x" + Integer.toHexString(flags));
    }
    Match match = MatchCodec.read(reader);
    Instructions instructions = InstructionCodec.read(reader);
    FlowModification.Command known = FlowModification.Command.values()[command];
    return new FlowMod(
        new FlowModification(
            known,
            table,
            match,
            priority,
            cookie,
            known == FlowModification.Command.ADD ? 0 : cookieMask,
            idle,
            hard,
            outPort,
            outGroup,
            flags,
            instructions),
        buffer);
  }

  public static Message writeFlowMod(int transaction, FlowModification change, int buffer) {
    WireWriter writer = new WireWriter();
    writer
        .u64(change.cookie())
        .u64(change.cookieMask())
        .u8(change.table())
        .u8(change.command().ordinal());
    writer.u16(change.idleSeconds()).u16(change.hardSeconds()).u16(change.priority()).u32(buffer);
    writer.u32(change.outPort()).u32(change.outGroup()).u16(change.flags()).zero(2);
    MatchCodec.write(writer, change.match());
    InstructionCodec.write(writer, change.instructions());
    return new Message(Message.FLOW_MOD, transaction, writer);
  }

  public static GroupMod readGroupMod(WireReader reader) throws FlowError {
    int command = reader.u16();
    int type = reader.u8();
    reader.skip(1);
    int group = reader.u32();
    if (command > 2) {
      throw new FlowError(FlowError.GROUP_MOD_FAILED, 11, "group-mod command " + command);
    }
    if (type > 3) {
      throw new FlowError(FlowError.GROUP_MOD_FAILED, 10, "group type " + type);
    }
    return new GroupMod(command, group, Group.Type.values()[type], readBuckets(reader));
  }

  private static List<Group.Bucket> readBuckets(WireReader reader) throws FlowError {
    List<Group.Bucket> buckets = new ArrayList<>();
    while (reader.remaining() > 0) {
      int length = reader.u16();
      if (length < 16 || length - 2 > reader.remaining()) {
        throw new FlowError(FlowError.GROUP_MOD_FAILED, 12, "bucket of " + length + " bytes");
      }
      WireReader body = reader.part(length - 2);
      int weight = body.u16();
      int watchPort = body.u32();
      int watchGroup = body.u32();
      body.skip(4);
      buckets.add(new Group.Bucket(weight, watchPort, watchGroup, ActionCodec.read(body)));
    }
    return buckets;
  }

  public static void writeBuckets(WireWriter writer, List<Group.Bucket> buckets) {
    for (Group.Bucket bucket : buckets) {
      int start = writer.length();
      writer.u16(0).u16(bucket.weight()).u32(bucket.watchPort()).u32(bucket.watchGroup()).zero(4);
      ActionCodec.write(writer, bucket.actions());
      writer.patchU16(start, writer.length() - start);
    }
  }

  public static Message writeGroupMod(int transaction, GroupMod change) {
    WireWriter writer = new WireWriter();
    writer.u16(change.command()).u8(change.type().ordinal()).zero(1).u32(change.group());
    writeBuckets(writer, change.buckets());
    return new Message(Message.GROUP_MOD, transaction, writer);
  }

  public static MeterMod readMeterMod(WireReader reader) throws FlowError {
    int command = reader.u16();
    int flags = reader.u16();
    int meter = reader.u32();
    if (command > 2) {
      throw new FlowError(FlowError.METER_MOD_FAILED, 4, "meter-mod command " + command);
    }
    if ((flags & ~15) != 0 || (flags & 3) == 3 || command < 2 && (flags & 3) == 0) {
      throw new FlowError(
          FlowError.METER_MOD_FAILED, 5, "meter flags 0x" + Integer.toHexString(flags));
    }
    List<Meter.Band> bands = new ArrayList<>();
    while (reader.remaining() > 0) {
      int type = reader.u16();
      int length = reader.u16();
      if (length != 16) {
        throw new FlowError(FlowError.BAD_REQUEST, 6, "meter band of " + length + " bytes");
      }
      long rate = reader.u32() & 0xffffffffL;
      long burst = reader.u32() & 0xffffffffL;
      int precedence = reader.u8();
      reader.skip(3);
      if (type != 1 && type != 2) {
        throw new FlowError(FlowError.METER_MOD_FAILED, 8, "meter band type " + type);
      }
      if (rate == 0) {
        throw new FlowError(FlowError.METER_MOD_FAILED, 6, "a meter band without a rate");
      }
      bands.add(new Meter.Band(type == 1, rate, burst, type == 2 ? precedence : 0));
    }
    return new MeterMod(command, flags, meter, bands);
  }

  public static void writeBands(WireWriter writer, List<Meter.Band> bands) {
    for (Meter.Band band : bands) {
      writer.u16(band.drop() ? 1 : 2).u16(16).u32((int) band.rate()).u32((int) band.burst());
      writer.u8(band.precedence()).zero(3);
    }
  }

  public static Message writeMeterMod(int transaction, MeterMod change) {
    WireWriter writer =
        new WireWriter().u16(change.command()).u16(change.flags()).u32(change.meter());
    writeBands(writer, change.bands());
    return new Message(Message.METER_MOD, transaction, writer);
  }
}
