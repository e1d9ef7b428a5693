package io.anillo.network.flow;

import io.anillo.network.packet.FlowKey;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The entries that share one mask, in a hash table over the masked words: one tuple of a tuple
 * space search.
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

  final long[] mask;
  private final int[] indexes;
  private final long[] masks;
  private @Nullable Node<E>[] buckets;
  private int size;

  public TupleSpace(long[] mask) {
    this.mask = mask.clone();
    int count = 0;
    int[] found = new int[mask.length];
    for (int i = 0; i < mask.length; i++) {
      if (mask[i] != 0) {
        found[count++] = i;
      }
    }
    indexes = Arrays.copyOf(found, count);
    masks = new long[count];
    for (int i = 0; i < count; i++) {
      masks[i] = mask[indexes[i]];
    }
    buckets = newBuckets(16);
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static <E> @Nullable Node<E>[] newBuckets(int count) {
    return (Node<E>[]) new Node[count];
  }

  public long[] mask() {
    return mask;
  }

  public int size() {
    return size;
  }

  public @Nullable E find(long[] key) {
    Node<E> node = node(key);
    return node == null ? null : node.value;
  }

  private int hash(long[] key) {
    long hash = 0;
    for (int i = 0; i < indexes.length; i++) {
      hash = FlowKey.mix(hash, key[indexes[i]] & masks[i]);
    }
    return FlowKey.finish(hash);
  }

  @Nullable Node<E> node(long[] key) {
    int hash = hash(key);
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
    Node<E> present = node(key);
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
    int hash = hash(key);
    int slot = hash & buckets.length - 1;
    buckets[slot] = new Node<>(masked, hash, value, buckets[slot]);
    size++;
  }

  public void remove(long[] key) {
    Node<E> node = node(key);
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
