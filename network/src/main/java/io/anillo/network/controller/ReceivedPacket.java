package io.anillo.network.controller;

import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Match;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;

/** A packet-in (OpenFlow 1.3.5 §7.4.1). */
public record ReceivedPacket(
    int buffer, int totalLength, int reason, int table, long cookie, Match match, byte[] frame) {

  static ReceivedPacket read(WireReader reader) throws FlowError {
    int buffer = reader.u32();
    int total = reader.u16();
    int reason = reader.u8();
    int table = reader.u8();
    long cookie = reader.u64();
    Match match = MatchCodec.read(reader);
    reader.skip(2);
    return new ReceivedPacket(
        buffer, total, reason, table, cookie, match, reader.bytes(reader.remaining()));
  }

  public int inPort() {
    return (int) MatchField.IN_PORT.low(match.value());
  }

  boolean isFrame() {
    return frame.length >= 14;
  }

  public long destination() {
    return Bytes.getAddress(frame, 0);
  }

  public long source() {
    return Bytes.getAddress(frame, 6);
  }

  public int etherType() {
    return Bytes.getShort(frame, 12);
  }
}
