package io.anillo.network.flow;

import io.anillo.network.packet.FlowKey;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The entries that share one mask, in a hash table over the masked words: one tuple of a tuple
 * space search.
 *
 * <p>The words are looked at in stages: what the pipeline knows (port, metadata, registers), then
 * link, network and transport headers. When no entry agrees in the first stages, the others are not
 * looked at, so that an answer that is remembered holds for more packets.
 *
 * <p>Hot: watched by {@code anillo bench network}. Only the words with mask bits are hashed and
 * compared.
 */
public final class TupleSpace<E> {
  /** One masked key and what it leads to. */
  static final class Node<E> {
    final long[] masked;
    final int hash;
    E value;
    @Nullable Node<E> next;

    Node(long[] masked, int hash, E value, @Nullable Node<E> next) {
      this.masked = masked;
      this.hash = hash;
      this.value = value;
      this.next = next;
    }
  }

  private static final int STAGES = 4;

  private final long[] mask;

  /** The words with mask bits, those of an earlier stage first. */
  private final int[] indexes;

  private final long[] masks;

  /** After how many of the words a stage ends; the last end is that of all words. */
  private final int[] ends;

  /** For each end but the last, the hashes of entries up to there. */
  private final StageCounts[] counts;

  private @Nullable Node<E>[] buckets;
  private int size;

  public TupleSpace(long[] mask) {
    this.mask = mask.clone();
    int count = 0;
    int stages = 0;
    int[] found = new int[mask.length];
    int[] endsFound = new int[STAGES];
    for (int stage = 0; stage < STAGES; stage++) {
      int before = count;
      for (int i = 0; i < mask.length; i++) {
        if (mask[i] != 0 && stage(i) == stage) {
          found[count++] = i;
        }
      }
      if (count > before) {
        endsFound[stages++] = count;
      }
    }
    indexes = Arrays.copyOf(found, count);
    masks = new long[count];
    for (int i = 0; i < count; i++) {
      masks[i] = mask[indexes[i]];
    }
    ends = Arrays.copyOf(endsFound, stages);
    counts = new StageCounts[Math.max(0, stages - 1)];
    Arrays.setAll(counts, i -> new StageCounts());
    buckets = newBuckets(16);
  }

  private static int stage(int word) {
    return switch (word) {
      case FlowKey.DESTINATION, FlowKey.SOURCE, FlowKey.LABELS -> 1;
      case FlowKey.IPV4,
          FlowKey.IPV6_SOURCE,
          FlowKey.IPV6_SOURCE + 1,
          FlowKey.IPV6_DESTINATION,
          FlowKey.IPV6_DESTINATION + 1 ->
          2;
      case FlowKey.TRANSPORT,
          FlowKey.TARGET,
          FlowKey.TARGET + 1,
          FlowKey.ND_SOURCE,
          FlowKey.ND_TARGET_LINK ->
          3;
      default -> 0;
    };
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static <E> @Nullable Node<E>[] newBuckets(int count) {
    return (Node<E>[]) new Node[count];
  }

  public int size() {
    return size;
  }

  public @Nullable E find(long[] key) {
    Node<E> node = node(key, hash(key, indexes.length));
    return node == null ? null : node.value;
  }

  /**
   * The entry for a key.
   *
   * @param examined collects the bits of the key that the answer depends on
   */
  public @Nullable E find(long[] key, long[] examined) {
    long hash = 0;
    int word = 0;
    for (int stage = 0; stage < ends.length; stage++) {
      for (int end = ends[stage]; word < end; word++) {
        int index = indexes[word];
        examined[index] |= masks[word];
        hash = FlowKey.mix(hash, key[index] & masks[word]);
      }
      if (stage < counts.length && !counts[stage].contains(FlowKey.finish(hash))) {
        return null;
      }
    }
    Node<E> node = node(key, FlowKey.finish(hash));
    return node == null ? null : node.value;
  }

  /** The hash of the first words. */
  private int hash(long[] key, int words) {
    long hash = 0;
    for (int i = 0; i < words; i++) {
      hash = FlowKey.mix(hash, key[indexes[i]] & masks[i]);
    }
    return FlowKey.finish(hash);
  }

  private @Nullable Node<E> node(long[] key, int hash) {
    Node<E> node = buckets[hash & buckets.length - 1];
    search:
    while (node != null) {
      if (node.hash == hash) {
        long[] masked = node.masked;
        for (int i = 0; i < indexes.length; i++) {
          if ((key[indexes[i]] & masks[i]) != masked[i]) {
            node = node.next;
            continue search;
          }
        }
        return node;
      }
      node = node.next;
    }
    return null;
  }

  /** Stores {@code value} under the masked key, in place of what was there. */
  public void put(long[] key, E value) {
    int hash = hash(key, indexes.length);
    Node<E> present = node(key, hash);
    if (present != null) {
      present.value = value;
      return;
    }
    if (size >= buckets.length) {
      grow();
    }
    long[] masked = new long[indexes.length];
    for (int i = 0; i < masked.length; i++) {
      masked[i] = key[indexes[i]] & masks[i];
    }
    int slot = hash & buckets.length - 1;
    buckets[slot] = new Node<>(masked, hash, value, buckets[slot]);
    size++;
    for (int stage = 0; stage < counts.length; stage++) {
      counts[stage].add(hash(key, ends[stage]));
    }
  }

  public void remove(long[] key) {
    Node<E> node = node(key, hash(key, indexes.length));
    if (node == null) {
      return;
    }
    int slot = node.hash & buckets.length - 1;
    Node<E> first = buckets[slot];
    if (first == node) {
      buckets[slot] = node.next;
    } else {
      while (first != null && first.next != node) {
        first = first.next;
      }
      if (first != null) {
        first.next = node.next;
      }
    }
    size--;
    for (int stage = 0; stage < counts.length; stage++) {
      counts[stage].remove(hash(key, ends[stage]));
    }
  }

  private void grow() {
    @Nullable Node<E>[] larger = newBuckets(buckets.length * 2);
    for (Node<E> first : buckets) {
      Node<E> node = first;
      while (node != null) {
        Node<E> next = node.next;
        int slot = node.hash & larger.length - 1;
        node.next = larger[slot];
        larger[slot] = node;
        node = next;
      }
    }
    buckets = larger;
  }
}
