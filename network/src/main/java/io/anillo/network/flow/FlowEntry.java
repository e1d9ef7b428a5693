package io.anillo.network.flow;

import org.jspecify.annotations.Nullable;

/** One flow with its counters. Guarded by the switch's lock, like its table. */
public final class FlowEntry {
  public static final int SEND_REMOVED = 1;
  public static final int CHECK_OVERLAP = 2;
  public static final int RESET_COUNTS = 4;
  public static final int NO_PACKET_COUNTS = 8;
  public static final int NO_BYTE_COUNTS = 16;

  private final int table;
  private final int priority;
  private final Match match;
  private final long cookie;
  private final int flags;
  private final int idleSeconds;
  private final int hardSeconds;
  private final long createdNanos;
  private Instructions instructions;
  private long packets;
  private long bytes;
  private long usedNanos;

  /** The next flow with the same masked key and a lower priority. */
  @Nullable FlowEntry lower;

  private final Dependents dependents = new Dependents();

  /** Whether the table lists this flow among those that something depends on. */
  boolean listed;

  public FlowEntry(
      int table,
      int priority,
      Match match,
      long cookie,
      int flags,
      int idleSeconds,
      int hardSeconds,
      Instructions instructions,
      long nowNanos) {
    this.table = table;
    this.priority = priority;
    this.match = match;
    this.cookie = cookie;
    this.flags = flags;
    this.idleSeconds = idleSeconds;
    this.hardSeconds = hardSeconds;
    this.instructions = instructions;
    this.createdNanos = nowNanos;
    this.usedNanos = nowNanos;
  }

  public int table() {
    return table;
  }

  public int priority() {
    return priority;
  }

  public Match match() {
    return match;
  }

  public long cookie() {
    return cookie;
  }

  public int flags() {
    return flags;
  }

  public int idleSeconds() {
    return idleSeconds;
  }

  public int hardSeconds() {
    return hardSeconds;
  }

  public Instructions instructions() {
    return instructions;
  }

  /** What was derived from this flow's being the one that packets match. */
  public Dependents dependents() {
    return dependents;
  }

  public long createdNanos() {
    return createdNanos;
  }

  public long packets() {
    return packets;
  }

  public long bytes() {
    return bytes;
  }

  /** Whether this is its table's miss entry (OpenFlow 1.3.5 §5.4). */
  public boolean isTableMiss() {
    return priority == 0 && match.isAny();
  }

  public void credit(long count, long size, long nowNanos) {
    packets += count;
    bytes += size;
    usedNanos = Math.max(usedNanos, nowNanos);
  }

  void replaceInstructions(Instructions replacement, boolean resetCounts) {
    instructions = replacement;
    if (resetCounts) {
      packets = 0;
      bytes = 0;
    }
  }

  void inheritCounts(FlowEntry old) {
    packets = old.packets;
    bytes = old.bytes;
  }

  boolean idleAt(long nowNanos) {
    return idleSeconds > 0 && nowNanos - usedNanos >= idleSeconds * 1_000_000_000L;
  }

  boolean hardAt(long nowNanos) {
    return hardSeconds > 0 && nowNanos - createdNanos >= hardSeconds * 1_000_000_000L;
  }
}
