package io.anillo.network.uplink;

/** What all connections together may keep in memory. Used by the uplink's thread only. */
final class MemoryBudget {
  private final long limitBytes;
  private long used;

  MemoryBudget(long limitBytes) {
    this.limitBytes = limitBytes;
  }

  boolean take(long bytes) {
    if (used + bytes > limitBytes) {
      return false;
    }
    used += bytes;
    return true;
  }

  void give(long bytes) {
    used -= bytes;
  }

  long used() {
    return used;
  }
}
