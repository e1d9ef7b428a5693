package io.anillo.network.dataplane;

import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.packet.Packet;

/**
 * What the tables decided for a set of packets: operations to do, and the flows and tables to
 * credit. Immutable.
 */
final class CachedPath {
  final Operation[] operations;
  private final FlowEntry[] entries;
  private final FlowTable[] tables;

  /** Whether the last table visited had no flow for the packets. */
  private final boolean missed;

  /** The bits that led to this path; shared with the cache's tuple once the path is learnt. */
  long[] examined;

  CachedPath(
      Operation[] operations,
      FlowEntry[] entries,
      FlowTable[] tables,
      boolean missed,
      long[] examined) {
    this.operations = operations;
    this.entries = entries;
    this.tables = tables;
    this.missed = missed;
    this.examined = examined;
  }

  void execute(Packet packet, Forwarding forwarding) {
    int size = packet.length();
    long now = forwarding.nowNanos;
    for (FlowEntry entry : entries) {
      entry.credit(1, size, now);
    }
    for (int i = 0; i < tables.length; i++) {
      tables[i].credit(!missed || i < tables.length - 1);
    }
    for (Operation operation : operations) {
      if (!operation.apply(packet, forwarding)) {
        return;
      }
    }
  }
}
