package io.anillo.network.controller;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Meter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What one application wants one switch to do, and how the switch gets there: only differences are
 * sent. When a switch connects, or this controller becomes its master, the switch is first asked
 * what it has; flows that are right already stay as they are, so that a restart of controller or
 * switch disturbs no traffic.
 *
 * <p>An application's flows are told from others' by the upper half of their cookies.
 */
public final class SwitchProgram {
  private static final long COOKIE_MASK = 0xffffffff00000000L;

  /** A group to be. */
  public record WantedGroup(Group.Type type, List<Group.Bucket> buckets) {
    public WantedGroup {
      buckets = List.copyOf(buckets);
    }
  }

  /** A meter to be. */
  public record WantedMeter(int flags, List<Meter.Band> bands) {
    public WantedMeter {
      bands = List.copyOf(bands);
    }
  }

  /** Everything a switch shall have of one application. */
  public record Wanted(
      List<FlowModification> flows,
      Map<Integer, WantedGroup> groups,
      Map<Integer, WantedMeter> meters) {
    public Wanted {
      flows = List.copyOf(flows);
      groups = Map.copyOf(groups);
      meters = Map.copyOf(meters);
    }
  }

  private record FlowName(int table, int priority, io.anillo.network.flow.Match match) {
    static FlowName of(FlowModification flow) {
      return new FlowName(flow.table(), flow.priority(), flow.match());
    }
  }

  private final ConnectedSwitch device;
  private final long cookie;
  private final Map<FlowName, FlowModification> present = new HashMap<>();

  /** Flows of an earlier controller, or of this one before the channel broke. */
  private final Set<FlowName> inherited = new HashSet<>();

  private final Map<Integer, WantedGroup> groups = new HashMap<>();
  private final Map<Integer, WantedMeter> meters = new HashMap<>();
  private Optional<Wanted> latest = Optional.empty();
  private boolean known;
  private boolean settled = true;
  private long sent;

  /** Creates the program of an application whose cookies have the upper half of {@code cookie}. */
  public SwitchProgram(ConnectedSwitch device, long cookie) {
    this.device = device;
    this.cookie = cookie & COOKIE_MASK;
  }

  /** Asks the switch what it has; what is wanted is sent when the answer is there. */
  public synchronized void resynchronize() {
    known = false;
    groups.clear();
    meters.clear();
    device.requestFlows(cookie, COOKIE_MASK, this::learn);
  }

  private synchronized void learn(List<FlowModification> flows) {
    present.clear();
    flows.forEach(flow -> present.put(FlowName.of(flow), flow));
    inherited.clear();
    inherited.addAll(present.keySet());
    known = true;
    latest.ifPresent(this::send);
  }

  /**
   * Makes the switch do exactly this, now or once it can be told.
   *
   * @param complete false while the picture may lack what is only about to connect; until then
   *     flows that the switch had already are neither changed nor removed
   */
  public synchronized void want(Wanted wanted, boolean complete) {
    latest = Optional.of(wanted);
    settled = complete;
    if (known) {
      send(wanted);
    }
  }

  /** How many requests that change the switch have been sent. */
  public synchronized long sent() {
    return sent;
  }

  private void send(Wanted wanted) {
    if (!device.master()) {
      return;
    }
    wanted
        .meters()
        .forEach((number, meter) -> {
          if (!meter.equals(meters.put(number, meter))) {
            device.putMeter(number, meter.flags(), meter.bands());
            sent++;
          }
        });
    wanted
        .groups()
        .forEach((number, group) -> {
          if (!group.equals(groups.put(number, group))) {
            device.putGroup(number, group.type(), group.buckets());
            sent++;
          }
        });
    Map<FlowName, FlowModification> flows = new HashMap<>();
    wanted.flows().forEach(flow -> flows.put(FlowName.of(flow), flow));
    List<FlowModification> changes = new ArrayList<>();
    flows.forEach((name, flow) -> {
      if (!flow.equals(present.get(name)) && (settled || !inherited.contains(name))) {
        present.put(name, flow);
        inherited.remove(name);
        changes.add(flow);
      }
    });
    // A table's flows come before those that lead to it.
    changes.sort(Comparator.comparingInt(change -> -change.table()));
    List<FlowModification> gone = new ArrayList<>();
    present
        .entrySet()
        .removeIf(entry -> {
          boolean unwanted =
              !flows.containsKey(entry.getKey())
                  && (settled || !inherited.contains(entry.getKey()));
          if (unwanted) {
            gone.add(
                entry.getValue().withCommand(FlowModification.Command.DELETE_STRICT).withFlags(0));
          }
          return unwanted;
        });
    gone.sort(Comparator.comparingInt(FlowModification::table));
    changes.addAll(gone);
    changes.forEach(device::modify);
    sent += changes.size();
    removeUnwanted(wanted);
  }

  private void removeUnwanted(Wanted wanted) {
    for (int number : List.copyOf(groups.keySet())) {
      if (!wanted.groups().containsKey(number)) {
        groups.remove(number);
        device.deleteGroup(number);
        sent++;
      }
    }
    for (int number : List.copyOf(meters.keySet())) {
      if (!wanted.meters().containsKey(number)) {
        meters.remove(number);
        device.deleteMeter(number);
        sent++;
      }
    }
  }
}
