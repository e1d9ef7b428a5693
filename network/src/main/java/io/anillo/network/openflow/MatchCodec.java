package io.anillo.network.openflow;

import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.MatchField;

/** Matches as OXM fields (OpenFlow 1.3.5 §7.2.3). */
public final class MatchCodec {
  private static final int BAD_TYPE = 0;
  private static final int BAD_LENGTH = 1;
  private static final int BAD_WILDCARDS = 5;
  private static final int BAD_FIELD = 6;
  private static final int BAD_VALUE = 7;
  private static final int BAD_MASK = 8;
  private static final int BAD_PREREQUISITE = 9;
  private static final int DUPLICATE_FIELD = 10;

  private MatchCodec() {}

  static FlowError bad(int code, String message) {
    return new FlowError(FlowError.BAD_MATCH, code, message);
  }

  /** Reads an ofp_match with its padding. */
  public static Match read(WireReader reader) throws FlowError {
    int type = reader.u16();
    int length = reader.u16();
    if (type != 1) {
      throw bad(BAD_TYPE, "match type " + type + " is not OXM");
    }
    if (length < 4 || length - 4 > reader.remaining()) {
      throw bad(BAD_LENGTH, "match of " + length + " bytes");
    }
    WireReader fields = reader.part(length - 4);
    Match.Builder builder = Match.builder();
    while (fields.remaining() > 0) {
      readField(fields, builder);
    }
    reader.skip(Math.min(reader.remaining(), (8 - length % 8) % 8));
    return builder.build();
  }

  private static void readField(WireReader reader, Match.Builder builder) throws FlowError {
    if (reader.remaining() < 4) {
      throw bad(BAD_LENGTH, "half a match field");
    }
    int oxmClass = reader.u16();
    int rest = reader.u16();
    boolean masked = (rest & 0x100) != 0;
    int length = rest & 0xff;
    if (length > reader.remaining()) {
      throw bad(BAD_LENGTH, "match field beyond the end");
    }
    MatchField field =
        MatchField.of(oxmClass, rest >>> 9)
            .orElseThrow(() -> bad(BAD_FIELD, "match field " + oxmClass + ":" + (rest >>> 9)));
    if (length != field.bytes() * (masked ? 2 : 1)) {
      throw bad(BAD_LENGTH, field.label() + " of " + length + " bytes");
    }
    long high = field.wide() ? reader.u64() : 0;
    long low = reader.unsigned(Math.min(8, field.bytes()));
    long maskHigh = -1L;
    long maskLow = field.ones();
    if (masked) {
      maskHigh = field.wide() ? reader.u64() : 0;
      maskLow = reader.unsigned(Math.min(8, field.bytes()));
      boolean full = maskLow == field.ones() && (!field.wide() || maskHigh == -1L);
      if (!field.maskable() && !full) {
        throw bad(BAD_MASK, field.label() + " cannot be masked");
      }
    }
    if (field.bits() < 64 && (low & ~field.ones()) != 0) {
      throw bad(BAD_VALUE, field.label() + " has no value 0x" + Long.toHexString(low));
    }
    if (masked && ((low & ~maskLow) != 0 || (high & ~maskHigh) != 0)) {
      throw bad(BAD_WILDCARDS, field.label() + " has bits outside its mask");
    }
    if (builder.has(field)) {
      throw bad(DUPLICATE_FIELD, field.label() + " twice");
    }
    if (!builder.allows(field)) {
      throw bad(BAD_PREREQUISITE, field.label() + " without what it needs");
    }
    if (maskLow == 0 && (!field.wide() || maskHigh == 0)) {
      return;
    }
    builder.set(field, high, low, maskHigh, maskLow);
  }

  public static void write(WireWriter writer, Match match) {
    int start = writer.length();
    writer.u16(1).u16(0);
    for (MatchField field : match.fields()) {
      writeField(
          writer,
          field,
          field.high(match.value()),
          field.low(match.value()),
          field.high(match.mask()),
          field.low(match.mask()));
    }
    writer.patchU16(start + 2, writer.length() - start);
    writer.padFrom(start);
  }

  static void writeField(
      WireWriter writer, MatchField field, long high, long low, long maskHigh, long maskLow) {
    boolean full = maskLow == field.ones() && (!field.wide() || maskHigh == -1L);
    writer.u32(field.header(!full));
    writeValue(writer, field, high, low);
    if (!full) {
      writeValue(writer, field, maskHigh, maskLow);
    }
  }

  static void writeValue(WireWriter writer, MatchField field, long high, long low) {
    if (field.wide()) {
      writer.u64(high).u64(low);
    } else {
      writer.unsigned(low, field.bytes());
    }
  }
}
