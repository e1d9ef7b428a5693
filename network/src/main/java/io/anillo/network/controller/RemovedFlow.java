package io.anillo.network.controller;

import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Match;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.WireReader;

/** A flow-removed message (OpenFlow 1.3.5 §7.4.2). */
public record RemovedFlow(
    long cookie, int priority, int reason, int table, long packets, long bytes, Match match) {

  static RemovedFlow read(WireReader reader) throws FlowError {
    long cookie = reader.u64();
    int priority = reader.u16();
    int reason = reader.u8();
    int table = reader.u8();
    reader.skip(12);
    long packets = reader.u64();
    long bytes = reader.u64();
    return new RemovedFlow(
        cookie, priority, reason, table, packets, bytes, MatchCodec.read(reader));
  }
}
