package io.anillo.network.flow;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * One table of flows, searched tuple by tuple in the order of the highest priority each holds.
 * Guarded by the switch's lock.
 */
public final class FlowTable {
  /**
   * Flows of one mask, and the highest priority among them (which may have been removed since: only
   * costs time).
   */
  private static final class Tuple {
    final TupleSpace<FlowEntry> space;
    int maximumPriority;

    Tuple(long[] mask) {
      space = new TupleSpace<>(mask);
    }
  }

  private record MaskKey(long[] mask) {
    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof MaskKey key && Arrays.equals(mask, key.mask);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(mask);
    }
  }

  private final int id;
  private final Map<MaskKey, Tuple> tuplesByMask = new HashMap<>();
  private final Set<FlowEntry> entries = new LinkedHashSet<>();

  /** The flows that end by themselves, which alone are looked at for it. */
  private final Set<FlowEntry> timed = new LinkedHashSet<>();

  /** The flows that something may depend on, by priority. */
  private final NavigableMap<Integer, Set<FlowEntry>> used = new TreeMap<>();

  private final Dependents silence = new Dependents();
  private int idling;
  private Tuple[] tuples = new Tuple[0];
  private long lookups;
  private long matched;

  public FlowTable(int id) {
    this.id = id;
  }

  public int id() {
    return id;
  }

  public int size() {
    return entries.size();
  }

  public long lookups() {
    return lookups;
  }

  public long matched() {
    return matched;
  }

  /** Counts packets that were looked up here, all with the same outcome. */
  public void credit(long packets, boolean hit) {
    lookups += packets;
    if (hit) {
      matched += packets;
    }
  }

  public Iterable<FlowEntry> entries() {
    return entries;
  }

  /** Whether some flow ends when no packet has matched it for a while. */
  public boolean hasIdleTimeouts() {
    return idling > 0;
  }

  /** The flows whose time has come. */
  public List<FlowEntry> expiredAt(long nowNanos) {
    return timed.isEmpty()
        ? List.of()
        : timed.stream().filter(entry -> expired(entry, nowNanos).isPresent()).toList();
  }

  /**
   * The flow of the highest priority that matches.
   *
   * @param examined collects the bits that the answer depends on, so that it can be cached
   */
  public @Nullable FlowEntry lookup(long[] key, long[] examined) {
    FlowEntry best = null;
    for (Tuple tuple : tuples) {
      if (best != null && best.priority() >= tuple.maximumPriority) {
        break;
      }
      FlowEntry entry = tuple.space.find(key, examined);
      if (entry != null && (best == null || entry.priority() > best.priority())) {
        best = entry;
      }
    }
    return best;
  }

  /** Notes that something was derived from a flow of this table being the one that matches. */
  public void depend(FlowEntry entry, Dependents.Dependent dependent) {
    entry.dependents().add(dependent);
    if (!entry.listed) {
      entry.listed = true;
      used.computeIfAbsent(entry.priority(), priority -> new LinkedHashSet<>()).add(entry);
    }
  }

  /** What was derived from no flow of this table matching. */
  public Dependents silence() {
    return silence;
  }

  /**
   * Visits what may no longer be right when a flow is added: what was derived from flows of lower
   * priorities that some packet matches too, or from there being none. (Which of several flows of
   * one priority a packet takes is undefined, OpenFlow 1.3.5 §5.3.)
   */
  public void forEachBelow(Match match, int priority, Consumer<Dependents.Dependent> visitor) {
    silence.forEach(visitor);
    for (Set<FlowEntry> flows : used.headMap(priority).values()) {
      flows.removeIf(flow -> {
        if (flow.match().overlaps(match) && flow.dependents().forEach(visitor) == 0) {
          flow.listed = false;
          return true;
        }
        return false;
      });
    }
  }

  /** The flow with exactly this match and priority. */
  public @Nullable FlowEntry find(Match match, int priority) {
    Tuple tuple = tuplesByMask.get(new MaskKey(match.mask()));
    if (tuple == null) {
      return null;
    }
    FlowEntry entry = tuple.space.find(match.value());
    while (entry != null && entry.priority() != priority) {
      entry = entry.lower;
    }
    return entry;
  }

  public boolean overlaps(Match match, int priority) {
    for (FlowEntry entry : entries) {
      if (entry.priority() == priority && entry.match().overlaps(match)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Adds a flow in place of one with the same match and priority, whose counters it keeps unless
   * told to reset.
   */
  public void add(FlowEntry entry) {
    FlowEntry old = find(entry.match(), entry.priority());
    if (old != null) {
      if ((entry.flags() & FlowEntry.RESET_COUNTS) == 0) {
        entry.inheritCounts(old);
      }
      remove(old);
    }
    entries.add(entry);
    if (entry.idleSeconds() > 0 || entry.hardSeconds() > 0) {
      timed.add(entry);
      idling += entry.idleSeconds() > 0 ? 1 : 0;
    }
    MaskKey maskKey = new MaskKey(entry.match().mask());
    Tuple tuple = tuplesByMask.get(maskKey);
    boolean sort = false;
    if (tuple == null) {
      tuple = new Tuple(maskKey.mask());
      tuplesByMask.put(maskKey, tuple);
      tuples = Arrays.copyOf(tuples, tuples.length + 1);
      tuples[tuples.length - 1] = tuple;
      tuple.maximumPriority = entry.priority();
      sort = true;
    } else if (entry.priority() > tuple.maximumPriority) {
      tuple.maximumPriority = entry.priority();
      sort = true;
    }
    if (sort) {
      Arrays.sort(tuples, Comparator.comparingInt((Tuple t) -> t.maximumPriority).reversed());
    }
    long[] key = entry.match().value();
    FlowEntry first = tuple.space.find(key);
    if (first == null || first.priority() < entry.priority()) {
      entry.lower = first;
      tuple.space.put(key, entry);
      return;
    }
    FlowEntry above = first;
    while (above.lower != null && above.lower.priority() > entry.priority()) {
      above = above.lower;
    }
    entry.lower = above.lower;
    above.lower = entry;
  }

  public void modify(FlowEntry entry, Instructions instructions, boolean resetCounts) {
    entry.replaceInstructions(instructions, resetCounts);
  }

  public void remove(FlowEntry entry) {
    if (!entries.remove(entry)) {
      return;
    }
    if (timed.remove(entry)) {
      idling -= entry.idleSeconds() > 0 ? 1 : 0;
    }
    if (entry.listed) {
      Set<FlowEntry> flows = used.get(entry.priority());
      if (flows != null && flows.remove(entry) && flows.isEmpty()) {
        used.remove(entry.priority());
      }
      entry.listed = false;
    }
    MaskKey maskKey = new MaskKey(entry.match().mask());
    Tuple tuple = tuplesByMask.get(maskKey);
    if (tuple == null) {
      return;
    }
    long[] key = entry.match().value();
    FlowEntry first = tuple.space.find(key);
    if (first == entry) {
      if (entry.lower == null) {
        tuple.space.remove(key);
      } else {
        tuple.space.put(key, entry.lower);
      }
    } else {
      while (first != null && first.lower != entry) {
        first = first.lower;
      }
      if (first != null) {
        first.lower = entry.lower;
      }
    }
    if (tuple.space.size() == 0) {
      tuplesByMask.remove(maskKey);
      Tuple gone = tuple;
      tuples = Arrays.stream(tuples).filter(t -> t != gone).toArray(Tuple[]::new);
    }
  }

  /** The flows that a non-strict request with this filter means. */
  public List<FlowEntry> select(Predicate<FlowEntry> filter) {
    List<FlowEntry> selected = new ArrayList<>();
    for (FlowEntry entry : entries) {
      if (filter.test(entry)) {
        selected.add(entry);
      }
    }
    return selected;
  }

  /** Why a flow left its table, as flow-removed says it (OpenFlow 1.3.5 §7.4.2). */
  public enum Removal {
    IDLE_TIMEOUT,
    HARD_TIMEOUT,
    DELETE,
    GROUP_DELETE
  }

  /** Which timeout a flow has run out of, if any. */
  public static java.util.Optional<Removal> expired(FlowEntry entry, long nowNanos) {
    if (entry.hardAt(nowNanos)) {
      return java.util.Optional.of(Removal.HARD_TIMEOUT);
    }
    return entry.idleAt(nowNanos)
        ? java.util.Optional.of(Removal.IDLE_TIMEOUT)
        : java.util.Optional.empty();
  }
}
