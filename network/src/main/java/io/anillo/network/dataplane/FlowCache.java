package io.anillo.network.dataplane;

import io.anillo.network.flow.TupleSpace;
import io.anillo.network.packet.FlowKey;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Paths that packets took, found again without the tables: first by the whole key of the frame,
 * then by the bits that the tables looked at. Dropping everything is always right, and is what any
 * change of tables, groups or ports does.
 *
 * <p>Hot: allocates only when a new path is learnt; watched by {@code anillo bench network}.
 */
final class FlowCache {
  private static final int EXACT_SLOTS = 1 << 13;
  private static final int STRIDE = FlowKey.PACKET_WORDS;
  private static final int MAXIMUM_PATHS = 1 << 17;
  private static final int MAXIMUM_TUPLES = 128;
  private static final int SORT_EVERY = 1 << 16;
  private static final int REPLACE_EVERY = 16;

  private final long[] exactKeys = new long[EXACT_SLOTS * STRIDE];
  private final @Nullable CachedPath[] exactPaths = new CachedPath[EXACT_SLOTS];
  private final List<TupleSpace<CachedPath>> tuples = new ArrayList<>();
  private long generation = -1;
  private int paths;
  private int sinceSort;
  private int replacements;
  private boolean dirty;

  private long exactHits;
  private long tupleHits;
  private long misses;

  /** The path for a key under the tables' {@code currentGeneration}, if it is known. */
  @Nullable CachedPath find(FlowKey key, long currentGeneration) {
    if (generation != currentGeneration) {
      clear();
      generation = currentGeneration;
    }
    long[] words = key.words;
    int slot = -1;
    if (key.recirculation() == 0 && words[FlowKey.TUNNEL_ENDPOINTS] == 0) {
      slot = hash(words) & EXACT_SLOTS - 1;
      CachedPath path = exactPaths[slot];
      if (path != null
          && Arrays.equals(words, 0, STRIDE, exactKeys, slot * STRIDE, slot * STRIDE + STRIDE)) {
        exactHits++;
        return path;
      }
    }
    for (int i = 0; i < tuples.size(); i++) {
      TupleSpace<CachedPath> tuple = tuples.get(i);
      CachedPath path = tuple.find(words);
      if (path != null) {
        tuple.hits++;
        tupleHits++;
        // A busy slot changes hands only now and then: with more packets' kinds than slots, storing
        // each would
        // cost more than it brings.
        if (slot >= 0 && (exactPaths[slot] == null || (++replacements & REPLACE_EVERY - 1) == 0)) {
          remember(slot, words, path);
        }
        if (++sinceSort >= SORT_EVERY) {
          sinceSort = 0;
          tuples.sort((a, b) -> Long.compare(b.hits, a.hits));
          tuples.forEach(t -> t.hits >>= 1);
        }
        return path;
      }
    }
    misses++;
    return null;
  }

  private void remember(int slot, long[] words, CachedPath path) {
    System.arraycopy(words, 0, exactKeys, slot * STRIDE, STRIDE);
    exactPaths[slot] = path;
    dirty = true;
  }

  void learn(FlowKey key, CachedPath path) {
    if (paths >= MAXIMUM_PATHS) {
      clear();
    }
    TupleSpace<CachedPath> tuple = null;
    for (TupleSpace<CachedPath> candidate : tuples) {
      if (Arrays.equals(candidate.mask(), path.examined)) {
        tuple = candidate;
        break;
      }
    }
    if (tuple == null) {
      if (tuples.size() >= MAXIMUM_TUPLES) {
        clear();
      }
      tuple = new TupleSpace<>(path.examined);
      tuples.add(tuple);
    }
    path.examined = tuple.mask();
    tuple.put(key.words, path);
    paths++;
    dirty = true;
  }

  private void clear() {
    if (dirty) {
      Arrays.fill(exactPaths, null);
      tuples.clear();
      paths = 0;
      dirty = false;
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

  long tupleHits() {
    return tupleHits;
  }

  long misses() {
    return misses;
  }

  int paths() {
    return paths;
  }

  int tuples() {
    return tuples.size();
  }
}
