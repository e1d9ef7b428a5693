package io.anillo.network.dataplane;

import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;

/**
 * What the tables decided for a set of packets: operations to do, and the flows and tables to
 * credit.
 *
 * @param operations shared with other paths that do the same
 * @param missed whether the last table visited had no flow for the packets
 * @param examined the bits of the key that led to this path
 */
record CachedPath(
    Operation[] operations,
    FlowEntry[] entries,
    FlowTable[] tables,
    boolean missed,
    long[] examined) {

  /** Credits flows and tables with packets that took this path. */
  void credit(long packets, long bytes, long lastNanos) {
    for (FlowEntry entry : entries) {
      entry.credit(packets, bytes, lastNanos);
    }
    for (int i = 0; i < tables.length; i++) {
      tables[i].credit(packets, !missed || i < tables.length - 1);
    }
  }
}
