package io.anillo.network.dataplane;

import io.anillo.network.flow.Dependents;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Match;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What the tables decided for a set of packets: operations to do, and the flows and tables to
 * credit. In the cache it depends on those flows and ends with them.
 */
final class CachedPath implements Dependents.Dependent {
  private final Operation[] operations;
  private final FlowEntry[] entries;
  private final FlowTable[] tables;
  private final FlowTable[] silent;
  private final boolean missed;
  private final int changed;
  private final long[] examined;

  /** Where in its table the cache keeps the path; -1 when it does not any more. */
  int slot;

  private @Nullable PathTable home;

  /** The number of the operations among those that paths share, or {@link Programs#UNSHARED}. */
  int program = Programs.UNSHARED;

  /**
   * A path.
   *
   * @param silent the tables that had no flow for the packets
   * @param missed whether the last table visited was one of them
   * @param changed a bit for each word of the key that differed from the packet's when some table
   *     was looked up
   * @param examined the bits of the packet's key that led to this path
   */
  CachedPath(
      Operation[] operations,
      FlowEntry[] entries,
      FlowTable[] tables,
      FlowTable[] silent,
      boolean missed,
      int changed,
      long[] examined) {
    this.operations = operations;
    this.entries = entries;
    this.tables = tables;
    this.silent = silent;
    this.missed = missed;
    this.changed = changed;
    this.examined = examined;
  }

  Operation[] operations() {
    return operations;
  }

  FlowEntry[] entries() {
    return entries;
  }

  FlowTable[] silent() {
    return silent;
  }

  long[] examined() {
    return examined;
  }

  /** Whether a word of the key was still the packet's own wherever a table was looked up. */
  boolean original(int word) {
    return (changed >>> word & 1) == 0;
  }

  /** The same path to be kept in a table, with what it shares with others there. */
  CachedPath sharing(PathTable table, int programNumber, Operation[] shared) {
    CachedPath path =
        new CachedPath(shared, entries, tables, silent, missed, changed, table.mask());
    path.program = programNumber;
    path.home = table;
    return path;
  }

  /** The table that the cache keeps the path in. */
  PathTable home() {
    return Objects.requireNonNull(home, "the cache does not keep this path");
  }

  /** Whether some of the path's packets may also be one of a flow's. */
  boolean mayMatch(Match match) {
    return home().mayMatch(this, match);
  }

  @Override
  public boolean gone() {
    return slot < 0;
  }

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
