package io.anillo.network.dataplane;

import io.anillo.network.flow.Dependents;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.Packet;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Paths that packets took, found again without the tables by the bits that the tables looked at:
 * one {@link PathTable} for each set of bits. Which of them knew a packet like this one is guessed
 * by a hash of its whole key: a byte for each guess, and a wrong one costs only time.
 *
 * <p>A path depends on the flows it was made of and ends with them ({@link #forget}); a new flow
 * ends the paths that it could have changed ({@link #forgetBelow}) and leaves the others. Dropping
 * everything is always right, and is what changes of groups, meters and ports do.
 *
 * <p>Hot: allocates only when a new path is learnt; watched by {@code anillo bench network}.
 */
final class FlowCache {
  private static final int GUESSES = 1 << 17;
  private static final int MAXIMUM_PATHS = 1 << 17;
  private static final int MAXIMUM_TABLES = 128;
  private static final int SORT_EVERY = 1 << 16;

  /** With so few tables, trying each costs less than the whole key does. */
  private static final int FEW_TABLES = 2;

  /**
   * How many paths, as a multiple of those there are, may be compared with new flows in half a
   * second: beyond, learning all anew is cheaper.
   */
  private static final int PATIENCE = 32;

  /** So many paths are no longer near to the processor. */
  static final int MANY_PATHS = 1 << 12;

  private static final long[] FACTORS = factors();

  private final byte[] guesses = new byte[GUESSES];
  private final @Nullable PathTable[] tablesById = new PathTable[MAXIMUM_TABLES];

  /** The same tables, the busiest first. */
  private final List<PathTable> tables = new ArrayList<>();

  private final Programs programs = new Programs();
  private long generation = -1;
  private int paths;
  private int sinceSort;
  private long compared;
  private boolean counted;
  private long lastNanos;

  /** Where packets that arrived together will be looked for. */
  private final @Nullable PathTable[] approached = new PathTable[PacketBurst.PACKETS];

  private final int[] hashes = new int[PacketBurst.PACKETS];

  /** Counts the changes of tables and of where paths lie in them. */
  private long layout;

  private long approachedLayout;

  /** Kept so that a read is not left out because nobody wants what was read. */
  private long lastRead;

  private long guessedHits;
  private long tableHits;
  private long misses;

  private static long[] factors() {
    long[] factors = new long[FlowKey.WORDS];
    long state = 0x9E3779B97F4A7C15L;
    for (int i = 0; i < factors.length; i++) {
      state = FlowKey.mix(state, i);
      factors[i] = state | 1;
    }
    return factors;
  }

  /**
   * What is to be done to a packet under the pipeline's {@code currentGeneration}, if it is known;
   * the packet is counted then.
   */
  Operation @Nullable [] find(Packet packet, long currentGeneration, long nowNanos) {
    if (generation != currentGeneration) {
      clear();
      generation = currentGeneration;
    }
    lastNanos = nowNanos;
    long[] words = packet.key.words;
    int guess = -1;
    PathTable guessed = null;
    if (tables.size() > FEW_TABLES) {
      guess = hash(words) & GUESSES - 1;
      guessed = tablesById[guesses[guess]];
      if (guessed != null) {
        int slot = guessed.find(words);
        if (slot >= 0) {
          guessedHits++;
          counted = true;
          return guessed.count(slot, packet.length(), nowNanos);
        }
      }
    }
    for (int i = 0; i < tables.size(); i++) {
      PathTable table = tables.get(i);
      int slot = table == guessed ? -1 : table.find(words);
      if (slot >= 0) {
        table.hits++;
        tableHits++;
        counted = true;
        if (guess >= 0) {
          guesses[guess] = (byte) table.id;
        }
        if (++sinceSort >= SORT_EVERY) {
          sort();
        }
        return table.count(slot, packet.length(), nowNanos);
      }
    }
    misses++;
    return null;
  }

  /**
   * Reads what {@link #findApproached} will read for each of several packets: the processor then
   * waits for all that memory at once instead of once a packet. Changes nothing that anybody could
   * see; false when there are so few paths that they are near anyway.
   */
  boolean approach(Packet[] packets, int count) {
    if (paths < MANY_PATHS) {
      return false;
    }
    boolean few = tables.size() <= FEW_TABLES;
    for (int i = 0; i < count; i++) {
      long[] words = packets[i].key.words;
      PathTable likely = few ? tables.getFirst() : tablesById[guesses[hash(words) & GUESSES - 1]];
      approached[i] = likely;
      hashes[i] = likely == null ? 0 : likely.hash(words);
    }
    long read = 0;
    for (int i = 0; i < count; i++) {
      PathTable likely = approached[i];
      read += likely == null ? 0 : likely.approach(hashes[i]);
    }
    lastRead = read;
    approachedLayout = layout;
    return true;
  }

  /**
   * The same as {@link #find} for the packet of a number among those approached last, whatever has
   * changed since.
   */
  Operation @Nullable [] findApproached(
      int number, Packet packet, long currentGeneration, long nowNanos) {
    PathTable likely = approached[number];
    if (likely != null && approachedLayout == layout && generation == currentGeneration) {
      int slot = likely.find(packet.key.words, hashes[number]);
      if (slot >= 0) {
        lastNanos = nowNanos;
        guessedHits++;
        counted = true;
        return likely.count(slot, packet.length(), nowNanos);
      }
    }
    return find(packet, currentGeneration, nowNanos);
  }

  private void sort() {
    sinceSort = 0;
    tables.sort((a, b) -> Long.compare(b.hits, a.hits));
    tables.forEach(table -> table.hits >>= 1);
  }

  /** Keeps a path for the packets that agree with a key in the bits it depends on. */
  void learn(FlowKey key, CachedPath path, Pipeline pipeline) {
    layout++;
    if (paths >= MAXIMUM_PATHS) {
      clear();
    }
    PathTable table = tableFor(key, path);
    int number = programs.number(path.operations());
    CachedPath kept =
        path.sharing(
            table, number, number == Programs.UNSHARED ? path.operations() : programs.get(number));
    table.put(key.words, kept);
    paths++;
    for (FlowEntry entry : kept.entries()) {
      pipeline.table(entry.table()).depend(entry, kept);
    }
    for (FlowTable silent : kept.silent()) {
      silent.silence().add(kept);
    }
  }

  private PathTable tableFor(FlowKey key, CachedPath path) {
    for (PathTable candidate : tables) {
      if (candidate.has(path.examined())) {
        return candidate;
      }
    }
    if (tables.size() >= MAXIMUM_TABLES) {
      clear();
    }
    int id = 0;
    while (tablesById[id] != null) {
      id++;
    }
    PathTable table = new PathTable(id, path.examined(), key.words, programs);
    tablesById[id] = table;
    tables.add(table);
    return table;
  }

  /** Ends what a flow decided, before the flow changes or leaves its table. */
  void forget(FlowEntry entry) {
    entry.dependents().forEach(this::end);
    entry.dependents().clear();
  }

  /** Ends what a flow that is about to be added to a table could decide otherwise. */
  void forgetBelow(FlowTable table, Match match, int priority) {
    if (paths == 0) {
      return;
    }
    table.forEachBelow(
        match,
        priority,
        dependent -> {
          compared++;
          if (dependent instanceof CachedPath path && path.mayMatch(match)) {
            end(path);
          }
        });
    if (compared > (long) PATIENCE * Math.max(paths, 1024)) {
      clear();
    }
  }

  /** Restores the patience with new flows; to be called twice a second. */
  void tick() {
    compared = 0;
  }

  private void end(Dependents.Dependent dependent) {
    if (dependent instanceof CachedPath path) {
      layout++;
      PathTable table = path.home();
      table.remove(path, lastNanos);
      paths--;
      if (table.size() == 0) {
        tables.remove(table);
        tablesById[table.id] = null;
      }
    }
  }

  /** Credits flows and tables with the packets that the cache served since the last call. */
  void settle() {
    if (counted) {
      counted = false;
      tables.forEach(table -> table.settle(lastNanos));
    }
  }

  private void clear() {
    layout++;
    compared = 0;
    counted = false;
    if (paths > 0) {
      tables.forEach(table -> table.clear(lastNanos));
      tables.clear();
      Arrays.fill(tablesById, null);
      programs.clear();
      paths = 0;
    }
  }

  private static int hash(long[] words) {
    long hash = 0;
    for (int i = 0; i < FlowKey.WORDS; i++) {
      hash += (words[i] ^ words[i] >>> 32) * FACTORS[i];
    }
    return FlowKey.finish(hash);
  }

  long guessedHits() {
    return guessedHits;
  }

  long tableHits() {
    return tableHits;
  }

  long misses() {
    return misses;
  }

  int paths() {
    return paths;
  }

  int tables() {
    return tables.size();
  }
}
