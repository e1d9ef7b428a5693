package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * Changes to tables, groups and meters, checked as OpenFlow 1.3.5 §6.4 to §6.8 demand. Guarded by
 * the switch's lock.
 */
final class FlowProgram {
  static final int MAXIMUM_FLOWS = 1_000_000;
  static final int MAXIMUM_GROUPS = 65_536;
  static final int MAXIMUM_BUCKETS = 1024;
  static final int MAXIMUM_METERS = 65_536;

  private final Pipeline pipeline;
  private final FlowCache cache;
  private final List<SwitchObserver> observers;

  /** The tables that hold flows, so that expiry need not visit the others. */
  private final Set<Integer> used = new TreeSet<>();

  FlowProgram(Pipeline pipeline, FlowCache cache, List<SwitchObserver> observers) {
    this.pipeline = pipeline;
    this.cache = cache;
    this.observers = observers;
  }

  void modify(FlowModification change, long nowNanos) throws FlowError {
    int table = change.table();
    boolean all = table == Ports.ALL_TABLES;
    boolean deletes =
        change.command() == FlowModification.Command.DELETE
            || change.command() == FlowModification.Command.DELETE_STRICT;
    if (!(all && deletes) && (table < 0 || table >= Pipeline.TABLES)) {
      throw new FlowError(FlowError.FLOW_MOD_FAILED, 2, "no table " + table);
    }
    switch (change.command()) {
      case ADD -> add(change, nowNanos);
      case MODIFY, MODIFY_STRICT -> {
        check(change);
        FlowTable flows = pipeline.table(table);
        for (FlowEntry entry : flows.select(change::means)) {
          cache.forget(entry);
          flows.modify(
              entry, change.instructions(), (change.flags() & FlowEntry.RESET_COUNTS) != 0);
        }
      }
      case DELETE, DELETE_STRICT -> {
        for (int id : all ? List.copyOf(used) : List.of(table)) {
          FlowTable flows = pipeline.table(id);
          if (change.command() == FlowModification.Command.DELETE_STRICT) {
            FlowEntry entry = flows.find(change.match(), change.priority());
            if (entry != null && change.means(entry)) {
              remove(flows, entry, FlowTable.Removal.DELETE);
            }
          } else {
            for (FlowEntry entry : flows.select(change::means)) {
              remove(flows, entry, FlowTable.Removal.DELETE);
            }
          }
        }
      }
    }
    pipeline.flowsChanged();
  }

  private void add(FlowModification change, long nowNanos) throws FlowError {
    check(change);
    FlowTable flows = pipeline.table(change.table());
    if (flows.size() >= MAXIMUM_FLOWS) {
      throw new FlowError(FlowError.FLOW_MOD_FAILED, 1, "table " + change.table() + " is full");
    }
    if ((change.flags() & FlowEntry.CHECK_OVERLAP) != 0
        && flows.overlaps(change.match(), change.priority())) {
      throw new FlowError(FlowError.FLOW_MOD_FAILED, 3, "the flow overlaps another one");
    }
    FlowEntry replaced = flows.find(change.match(), change.priority());
    if (replaced == null) {
      cache.forgetBelow(flows, change.match(), change.priority());
    } else {
      cache.forget(replaced);
    }
    flows.add(
        new FlowEntry(
            change.table(),
            change.priority(),
            change.match(),
            change.cookie(),
            change.flags(),
            change.idleSeconds(),
            change.hardSeconds(),
            change.instructions(),
            nowNanos));
    used.add(change.table());
  }

  private void check(FlowModification change) throws FlowError {
    Instructions instructions = change.instructions();
    int next = instructions.gotoTable();
    if (next >= 0 && (next <= change.table() || next >= Pipeline.TABLES)) {
      throw new FlowError(
          FlowError.BAD_INSTRUCTION, 2, "table " + change.table() + " cannot go to table " + next);
    }
    if (instructions.meter() != 0 && pipeline.meter(instructions.meter()) == null) {
      throw new FlowError(
          FlowError.METER_MOD_FAILED,
          2,
          "no meter " + Integer.toUnsignedString(instructions.meter()));
    }
    ActionCheck check = new ActionCheck(pipeline, change.match());
    check.check(instructions.apply());
    check.check(instructions.write());
  }

  private void remove(FlowTable flows, FlowEntry entry, FlowTable.Removal reason) {
    cache.forget(entry);
    flows.remove(entry);
    if (flows.size() == 0) {
      used.remove(flows.id());
    }
    if ((entry.flags() & FlowEntry.SEND_REMOVED) != 0) {
      observers.forEach(observer -> observer.flowRemoved(entry, reason));
    }
  }

  /** Whether some flow's end depends on when it was last used. */
  boolean hasIdleTimeouts() {
    return used.stream().anyMatch(id -> pipeline.table(id).hasIdleTimeouts());
  }

  /** Removes flows whose time is over. */
  void expire(long nowNanos) {
    boolean removed = false;
    for (int id : List.copyOf(used)) {
      FlowTable flows = pipeline.table(id);
      for (FlowEntry entry : flows.expiredAt(nowNanos)) {
        remove(flows, entry, FlowTable.expired(entry, nowNanos).orElseThrow());
        removed = true;
      }
    }
    if (removed) {
      pipeline.flowsChanged();
    }
  }

  void putGroup(int id, Group.Type type, List<Group.Bucket> buckets, boolean present, long nowNanos)
      throws FlowError {
    if (Integer.compareUnsigned(id, Ports.MAXIMUM_GROUP) > 0) {
      throw group(1, "group " + Integer.toUnsignedString(id) + " is reserved");
    }
    if (present != pipeline.groups.containsKey(id)) {
      throw present ? group(8, "no group " + id) : group(0, "group " + id + " exists");
    }
    if (!present && pipeline.groups.size() >= MAXIMUM_GROUPS) {
      throw group(3, "there are " + MAXIMUM_GROUPS + " groups already");
    }
    if (buckets.size() > MAXIMUM_BUCKETS) {
      throw group(4, buckets.size() + " buckets are too many");
    }
    if (type == Group.Type.INDIRECT && buckets.size() != 1) {
      throw group(1, "an indirect group has one bucket, not " + buckets.size());
    }
    for (Group.Bucket bucket : buckets) {
      if (type != Group.Type.SELECT && bucket.weight() > 1) {
        throw group(2, "only select groups have weights");
      }
      boolean unwatched = bucket.watchPort() == Ports.ANY && bucket.watchGroup() == Ports.ANY_GROUP;
      if (type == Group.Type.FAST_FAILOVER && unwatched) {
        throw group(9, "a fast-failover bucket must watch a port or a group");
      }
      for (Action action : bucket.actions()) {
        if (action instanceof Action.Group inner && reaches(inner.group(), id, 0)) {
          throw group(7, "group " + id + " would contain itself");
        }
      }
      ActionCheck.unknown(pipeline).check(bucket.actions());
    }
    pipeline.groups.put(id, new Group(id, type, buckets, nowNanos));
    pipeline.changed();
  }

  private boolean reaches(int from, int target, int depth) {
    if (from == target || depth > 32) {
      return true;
    }
    Group group = pipeline.group(from);
    if (group == null) {
      return false;
    }
    for (Group.Bucket bucket : group.buckets()) {
      for (Action action : bucket.actions()) {
        if (action instanceof Action.Group inner && reaches(inner.group(), target, depth + 1)) {
          return true;
        }
      }
    }
    return false;
  }

  private static FlowError group(int code, String message) {
    return new FlowError(FlowError.GROUP_MOD_FAILED, code, message);
  }

  /** Deletes a group, or all, and the flows and buckets that lead to it. */
  void deleteGroup(int id) {
    List<Integer> gone = new ArrayList<>();
    if (id == Ports.ALL_GROUPS) {
      gone.addAll(pipeline.groups.keySet());
    } else if (pipeline.groups.containsKey(id)) {
      gone.add(id);
    }
    for (int group : gone) {
      pipeline.groups.remove(group);
      Action leads = new Action.Group(group);
      for (int table : List.copyOf(used)) {
        FlowTable flows = pipeline.table(table);
        for (FlowEntry entry : flows.select(e -> FlowModification.refersTo(e, leads, false))) {
          remove(flows, entry, FlowTable.Removal.GROUP_DELETE);
        }
      }
    }
    pipeline.changed();
  }

  void putMeter(Meter meter, boolean present) throws FlowError {
    int id = meter.id();
    if (id == 0 || Integer.compareUnsigned(id, Ports.MAXIMUM_METER) > 0) {
      throw meter(2, "meter " + Integer.toUnsignedString(id) + " is reserved");
    }
    if (present != pipeline.meters.containsKey(id)) {
      throw present ? meter(3, "no meter " + id) : meter(1, "meter " + id + " exists");
    }
    if (!present && pipeline.meters.size() >= MAXIMUM_METERS) {
      throw meter(10, "there are " + MAXIMUM_METERS + " meters already");
    }
    pipeline.meters.put(id, meter);
    pipeline.changed();
  }

  private static FlowError meter(int code, String message) {
    return new FlowError(FlowError.METER_MOD_FAILED, code, message);
  }

  /** Deletes a meter, or all, and the flows that pass it (OpenFlow 1.3.5 §6.8). */
  void deleteMeter(int id) {
    boolean all = id == Ports.ALL_METERS;
    if (all) {
      pipeline.meters.clear();
    } else {
      pipeline.meters.remove(id);
    }
    for (int table : List.copyOf(used)) {
      FlowTable flows = pipeline.table(table);
      List<FlowEntry> passing =
          flows.select(
              e -> e.instructions().meter() != 0 && (all || e.instructions().meter() == id));
      passing.forEach(entry -> remove(flows, entry, FlowTable.Removal.DELETE));
    }
    pipeline.changed();
  }
}
