package io.anillo.network.dataplane;

import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.Packet;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Paths that packets took, found again without the tables by the bits that the tables looked at:
 * one {@link PathTable} for each set of bits, the busiest first. Where there are several, a frame's
 * whole key is tried before. Dropping everything is always right, and is what any change of tables,
 * groups or ports does.
 *
 * <p>Hot: allocates only when a new path is learnt; watched by {@code anillo bench network}.
 */
final class FlowCache {
  private static final int EXACT_SLOTS = 1 << 12;
  private static final int STRIDE = FlowKey.PACKET_WORDS;
  private static final int MAXIMUM_PATHS = 1 << 17;
  private static final int MAXIMUM_TABLES = 128;
  private static final int SORT_EVERY = 1 << 16;
  private static final int REPLACE_EVERY = 16;

  /** With so few tables, trying each costs less than the whole key does. */
  private static final int FEW_TABLES = 2;

  private final long[] exactKeys = new long[EXACT_SLOTS * STRIDE];
  private final @Nullable PathTable[] exactTables = new PathTable[EXACT_SLOTS];
  private final int[] exactPlaces = new int[EXACT_SLOTS];
  private final List<PathTable> tables = new ArrayList<>();
  private final Map<List<Operation>, Operation[]> programs = new HashMap<>();
  private long generation = -1;
  private int paths;
  private int sinceSort;
  private int replacements;
  private boolean counted;

  private long exactHits;
  private long tableHits;
  private long misses;

  /**
   * What is to be done to a packet under the tables' {@code currentGeneration}, if it is known; the
   * packet is counted then.
   */
  Operation @Nullable [] find(Packet packet, long currentGeneration, long nowNanos) {
    if (generation != currentGeneration) {
      clear();
      generation = currentGeneration;
    }
    long[] words = packet.key.words;
    int exact = -1;
    if (tables.size() > FEW_TABLES
        && packet.key.recirculation() == 0
        && words[FlowKey.TUNNEL_ENDPOINTS] == 0) {
      exact = hash(words) & EXACT_SLOTS - 1;
      PathTable table = exactTables[exact];
      if (table != null
          && Arrays.equals(words, 0, STRIDE, exactKeys, exact * STRIDE, exact * STRIDE + STRIDE)) {
        exactHits++;
        counted = true;
        return table.count(exactPlaces[exact], packet.length(), nowNanos);
      }
    }
    for (int i = 0; i < tables.size(); i++) {
      PathTable table = tables.get(i);
      int place = table.find(words);
      if (place >= 0) {
        table.hits++;
        tableHits++;
        counted = true;
        // A busy slot changes hands only now and then: with more kinds of packets than slots,
        // storing each would cost more than it brings.
        if (exact >= 0
            && (exactTables[exact] == null || (++replacements & REPLACE_EVERY - 1) == 0)) {
          System.arraycopy(words, 0, exactKeys, exact * STRIDE, STRIDE);
          exactTables[exact] = table;
          exactPlaces[exact] = place;
        }
        if (++sinceSort >= SORT_EVERY) {
          sort();
        }
        return table.count(place, packet.length(), nowNanos);
      }
    }
    misses++;
    return null;
  }

  private void sort() {
    sinceSort = 0;
    tables.sort((a, b) -> Long.compare(b.hits, a.hits));
    tables.forEach(table -> table.hits >>= 1);
  }

  /** Keeps a path for the packets that agree with a key in the bits it depends on. */
  void learn(FlowKey key, CachedPath path) {
    if (paths >= MAXIMUM_PATHS) {
      clear();
    }
    PathTable table = null;
    for (PathTable candidate : tables) {
      if (candidate.has(path.examined())) {
        table = candidate;
        break;
      }
    }
    if (table == null) {
      if (tables.size() >= MAXIMUM_TABLES) {
        clear();
      }
      table = new PathTable(path.examined());
      tables.add(table);
    }
    Operation[] program =
        programs.computeIfAbsent(List.of(path.operations()), operations -> path.operations());
    int capacity = table.capacity();
    table.put(
        key.words,
        new CachedPath(program, path.entries(), path.tables(), path.missed(), path.examined()));
    if (table.capacity() != capacity) {
      // Paths of this table have moved.
      Arrays.fill(exactTables, null);
    }
    paths++;
  }

  /** Credits flows and tables with the packets that the cache served since the last call. */
  void settle() {
    if (counted) {
      counted = false;
      tables.forEach(PathTable::settle);
    }
  }

  private void clear() {
    settle();
    if (paths > 0) {
      Arrays.fill(exactTables, null);
      tables.clear();
      programs.clear();
      paths = 0;
    }
  }

  /**
   * Mixes the words that differ in most traffic thoroughly and the others cheaply; a collision only
   * costs time.
   */
  private static int hash(long[] words) {
    long rest =
        words[1] * 0x9E3779B97F4A7C15L
            + words[2] * 0xD6E8FEB86659FD93L
            + words[7] * 0xA0761D6478BD642FL
            + words[8] * 0xE7037ED1A0B428DBL
            + words[9] * 0x8EBC6AF09C88C6E3L
            + words[10] * 0x589965CC75374CC3L
            + words[11] * 0x1D8E4E27C47D124FL
            + words[14] * 0xEB44ACCAB455D165L;
    long hash = FlowKey.mix(rest, words[0]);
    long other = FlowKey.mix(words[3], words[4]);
    hash = FlowKey.mix(hash, words[5]);
    other = FlowKey.mix(other, words[6]);
    return FlowKey.finish(hash ^ other);
  }

  long exactHits() {
    return exactHits;
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
