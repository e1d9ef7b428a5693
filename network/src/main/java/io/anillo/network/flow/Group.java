package io.anillo.network.flow;

import java.util.ArrayList;
import java.util.List;

/**
 * A group of action buckets with its counters (OpenFlow 1.3.5 §5.6). Guarded by the switch's lock.
 */
public final class Group {
  /** How buckets are chosen; in the order of the numbers on the wire. */
  public enum Type {
    ALL,
    SELECT,
    INDIRECT,
    FAST_FAILOVER
  }

  /** One bucket; watch port or group {@link Ports#ANY} means none. */
  public record Bucket(int weight, int watchPort, int watchGroup, List<Action> actions) {
    public Bucket(Action... actions) {
      this(1, Ports.ANY, Ports.ANY_GROUP, List.of(actions));
    }
  }

  /** Packets and bytes that passed a bucket. */
  public static final class Counter {
    public long packets;
    public long bytes;

    void add(long size) {
      packets++;
      bytes += size;
    }
  }

  private final int id;
  private final Type type;
  private final List<Bucket> buckets;
  private final List<Counter> counters = new ArrayList<>();
  private final long createdNanos;
  private final Counter total = new Counter();

  public Group(int id, Type type, List<Bucket> buckets, long nowNanos) {
    this.id = id;
    this.type = type;
    this.buckets = List.copyOf(buckets);
    this.createdNanos = nowNanos;
    for (int i = 0; i < buckets.size(); i++) {
      counters.add(new Counter());
    }
  }

  public int id() {
    return id;
  }

  public Type type() {
    return type;
  }

  public List<Bucket> buckets() {
    return buckets;
  }

  public Counter total() {
    return total;
  }

  public Counter counter(int bucket) {
    return counters.get(bucket);
  }

  public long createdNanos() {
    return createdNanos;
  }

  public void creditGroup(long size) {
    total.add(size);
  }

  public void creditBucket(int bucket, long size) {
    counters.get(bucket).add(size);
  }
}
