package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Meter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Tables, groups, meters and ports: everything that decides a packet's path. Guarded by the
 * switch's lock. Each change but those of flows moves the generation on, which empties the flow
 * cache.
 */
final class Pipeline {
  static final int TABLES = 254;
  private static final int MAXIMUM_RESUME_POINTS = 1 << 16;

  private final FlowTable[] tables = new FlowTable[TABLES];
  final Map<Integer, Group> groups = new TreeMap<>(Integer::compareUnsigned);
  final Map<Integer, Meter> meters = new TreeMap<>(Integer::compareUnsigned);
  final Map<Integer, SwitchPort> ports = new TreeMap<>(Integer::compareUnsigned);
  private final List<ResumePoint> resumePoints = new ArrayList<>();
  private final Map<ResumePoint, Integer> resumeNumbers = new HashMap<>();
  private final Map<Integer, Operation.Output> outputs = new HashMap<>();
  private final Map<List<Integer>, FlowTable[]> visits = new HashMap<>();
  private long generation;
  private boolean flowsIgnored;

  Pipeline() {
    for (int i = 0; i < TABLES; i++) {
      tables[i] = new FlowTable(i);
    }
    resumePoints.add(new ResumePoint(0, List.of()));
  }

  long generation() {
    return generation;
  }

  /** Groups, meters or ports have changed: no path that was learnt holds. */
  void changed() {
    generation++;
    outputs.clear();
    forgetResumePoints();
  }

  /** Flows have changed; the flow cache has been told which paths no longer hold. */
  void flowsChanged() {
    if (forgetResumePoints()) {
      generation++;
    }
  }

  boolean flowsIgnored() {
    return flowsIgnored;
  }

  void ignoreFlows(boolean ignored) {
    flowsIgnored = ignored;
    changed();
  }

  private boolean forgetResumePoints() {
    if (resumePoints.size() > MAXIMUM_RESUME_POINTS) {
      // No packet is under way while the lock is held by a change, so old numbers can be forgotten.
      resumePoints.subList(1, resumePoints.size()).clear();
      resumeNumbers.clear();
      return true;
    }
    return false;
  }

  FlowTable table(int id) {
    return tables[id];
  }

  @Nullable Group group(int id) {
    return groups.get(id);
  }

  @Nullable Meter meter(int id) {
    return meters.get(id);
  }

  @Nullable SwitchPort port(int number) {
    return ports.get(number);
  }

  /**
   * The one operation for a port, so that all paths share it and it stays in the processor's
   * caches.
   */
  Operation.Output output(SwitchPort port) {
    return outputs.computeIfAbsent(port.number(), number -> new Operation.Output(port));
  }

  /** The one array for tables visited in this order. */
  FlowTable[] visits(List<FlowTable> visited) {
    if (visits.size() > 1024) {
      visits.clear();
    }
    return visits.computeIfAbsent(
        visited.stream().map(FlowTable::id).toList(), ids -> visited.toArray(FlowTable[]::new));
  }

  Collection<SwitchPort> ports() {
    return ports.values();
  }

  ResumePoint resumePoint(int number) {
    return resumePoints.get(number);
  }

  int resumeAt(int table, List<Action> actionSet) {
    ResumePoint point = new ResumePoint(table, actionSet);
    return resumeNumbers.computeIfAbsent(
        point,
        added -> {
          resumePoints.add(added);
          return resumePoints.size() - 1;
        });
  }
}
