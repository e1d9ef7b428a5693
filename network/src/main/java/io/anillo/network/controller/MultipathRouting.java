package io.anillo.network.controller;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.packet.MatchField;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Joins all switches into one Ethernet without loops: frames to known hosts take all shortest
 * paths, spread by flow through select groups; others follow a spanning tree.
 *
 * <p>Table 0 learns sources: a frame whose source is not known at its port goes to the controller
 * too. Table 1 forwards. All flows carry this application's cookie, and what is already right on a
 * switch is left alone.
 */
public final class MultipathRouting implements ControllerApplication {
  private static final long COOKIE = 0x0a_4d_50_52L << 32;
  private static final int LEARN = 0;
  private static final int FORWARD = 1;
  private static final int KNOWN = 100;
  private static final int TREE = 10;

  /** Who makes up addresses makes hosts known for long be found anew, and no more. */
  private static final int MAXIMUM_HOSTS = 16_384;

  /** How long a port must have been silent of LLDP before it counts as one for hosts. */
  private static final long SETTLE_NANOS = 2_200_000_000L;

  /** How long hosts that were not known are gathered. */
  private static final long GATHER_MILLIS = 5;

  private final Topology topology;

  /** Delays after which a computation comes that has not begun yet. */
  private final Set<Long> pending = new HashSet<>();

  private final Map<Topology.Place, Long> firstSeen = new HashMap<>();
  private final Set<Long> resynchronized = new HashSet<>();

  /** The hosts, those known for longest first. */
  private final Map<Long, Topology.Place> hosts = new LinkedHashMap<>();

  /** What each switch was told, so that only differences are sent. */
  private final Map<Long, Map<String, FlowModification>> installed = new HashMap<>();

  private final Map<Long, Map<Integer, List<Group.Bucket>>> groups = new HashMap<>();
  private final Map<Long, Map<Set<Integer>, Integer>> groupNumbers = new HashMap<>();

  public MultipathRouting(Topology topology) {
    this.topology = topology;
    topology.addListener(this::recompute);
  }

  /** Where hosts were seen, by Ethernet address. */
  public synchronized Map<Long, Topology.Place> hosts() {
    return Map.copyOf(hosts);
  }

  @Override
  public synchronized void switchUp(ConnectedSwitch device) {
    long id = device.datapathId();
    installed.remove(id);
    groups.remove(id);
    groupNumbers.remove(id);
    resynchronized.remove(id);
    firstSeen.keySet().removeIf(place -> place.datapathId() == id);
    recompute();
  }

  /** Whether the switch has been known long enough for its links to be found. */
  private boolean settled(Topology.Place place, long now) {
    boolean settled = now - firstSeen.computeIfAbsent(place, p -> now) > SETTLE_NANOS;
    if (!settled) {
      recomputeIn(SETTLE_NANOS / 1_000_000 + 50);
    }
    return settled;
  }

  /** Many hosts and ports that appear at once are one computation. */
  private void recomputeIn(long millis) {
    if (!pending.add(millis)) {
      return;
    }
    Thread.ofVirtual()
        .name("routing")
        .start(() -> {
          try {
            Thread.sleep(millis);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
          }
          synchronized (this) {
            pending.remove(millis);
            recompute();
          }
        });
  }

  /**
   * Removes what an earlier controller has left and this one does not want; run once a switch is
   * programmed.
   */
  private synchronized void removeStale(ConnectedSwitch device, List<FlowModification> flows) {
    Map<String, FlowModification> wanted = installed.get(device.datapathId());
    if (wanted == null) {
      return;
    }
    for (FlowModification flow : flows) {
      if (!wanted.containsKey(name(flow))) {
        device.modify(flow.withCommand(FlowModification.Command.DELETE_STRICT));
      }
    }
  }

  @Override
  public synchronized void switchDown(ConnectedSwitch device) {
    installed.remove(device.datapathId());
    hosts.values().removeIf(place -> place.datapathId() == device.datapathId());
    recompute();
  }

  @Override
  public synchronized void portChanged(
      ConnectedSwitch device, PortDescription port, boolean present) {
    if (!present || (port.state() & PortDescription.LINK_DOWN) != 0) {
      hosts.values().removeIf(new Topology.Place(device.datapathId(), port.number())::equals);
    }
    recompute();
  }

  @Override
  public synchronized boolean packetIn(ConnectedSwitch device, ReceivedPacket packet) {
    Topology.Place place = new Topology.Place(device.datapathId(), packet.inPort());
    long source = packet.source();
    if ((source >>> 40 & 1) != 0
        || device.port(packet.inPort()).isEmpty()
        || topology.isLink(place)
        || !settled(place, System.nanoTime())) {
      return true;
    }
    if (!place.equals(hosts.put(source, place))) {
      if (hosts.size() > MAXIMUM_HOSTS) {
        hosts.remove(hosts.keySet().iterator().next());
      }
      recomputeIn(GATHER_MILLIS);
    }
    return true;
  }

  /** Computes every switch's flows anew and sends what has changed. */
  private synchronized void recompute() {
    Map<Topology.Place, Topology.Place> links = topology.links();
    Map<Long, Map<Long, Set<Integer>>> neighbours = new TreeMap<>();
    topology.switches().forEach(device -> neighbours.put(device.datapathId(), new TreeMap<>()));
    links.forEach((from, to) -> {
      Map<Long, Set<Integer>> out = neighbours.get(from.datapathId());
      if (out != null && neighbours.containsKey(to.datapathId())) {
        out.computeIfAbsent(to.datapathId(), id -> new TreeSet<>()).add(from.port());
      }
    });
    Set<Topology.Place> tree = spanningTree(neighbours, links);
    Map<Long, Map<Long, Integer>> distances = new HashMap<>();
    neighbours.keySet().forEach(id -> distances.put(id, distances(id, neighbours)));
    for (ConnectedSwitch device : topology.switches()) {
      install(device, neighbours, distances, tree, links);
    }
  }

  /** The ports of a spanning tree, rooted at the switch with the lowest number in each island. */
  private static Set<Topology.Place> spanningTree(
      Map<Long, Map<Long, Set<Integer>>> neighbours, Map<Topology.Place, Topology.Place> links) {
    Set<Topology.Place> tree = new HashSet<>();
    Set<Long> reached = new HashSet<>();
    for (long root : neighbours.keySet()) {
      if (!reached.add(root)) {
        continue;
      }
      ArrayDeque<Long> queue = new ArrayDeque<>(List.of(root));
      while (!queue.isEmpty()) {
        long here = queue.poll();
        neighbours
            .getOrDefault(here, Map.of())
            .forEach((next, ports) -> {
              if (reached.add(next)) {
                Topology.Place near = new Topology.Place(here, ports.iterator().next());
                tree.add(near);
                Topology.Place far = links.get(near);
                if (far != null) {
                  tree.add(far);
                }
                queue.add(next);
              }
            });
      }
    }
    return tree;
  }

  private static Map<Long, Integer> distances(
      long from, Map<Long, Map<Long, Set<Integer>>> neighbours) {
    Map<Long, Integer> distances = new HashMap<>(Map.of(from, 0));
    ArrayDeque<Long> queue = new ArrayDeque<>(List.of(from));
    while (!queue.isEmpty()) {
      long here = queue.poll();
      int farther = distances.getOrDefault(here, 0) + 1;
      for (long next : neighbours.getOrDefault(here, Map.of()).keySet()) {
        if (distances.putIfAbsent(next, farther) == null) {
          queue.add(next);
        }
      }
    }
    return distances;
  }

  private void install(
      ConnectedSwitch device,
      Map<Long, Map<Long, Set<Integer>>> neighbours,
      Map<Long, Map<Long, Integer>> distances,
      Set<Topology.Place> tree,
      Map<Topology.Place, Topology.Place> links) {
    long id = device.datapathId();
    long now = System.nanoTime();
    if (!settled(new Topology.Place(id, Ports.LOCAL), now)) {
      return;
    }
    Map<String, FlowModification> wanted = new HashMap<>();
    Action toController = new Action.Output(Ports.CONTROLLER);
    put(wanted, flow(LEARN, 0, Match.ANY, Instructions.apply(toController).withGoto(FORWARD)));
    List<Integer> flood = new ArrayList<>();
    for (PortDescription port : device.ports()) {
      Topology.Place place = new Topology.Place(id, port.number());
      if (links.containsKey(place)) {
        // Sources that come over links were learnt at the edge.
        Match match = Match.builder().set(MatchField.IN_PORT, port.number()).build();
        put(wanted, flow(LEARN, KNOWN, match, Instructions.DROP.withGoto(FORWARD)));
        if (!tree.contains(place)) {
          // Frames to all that come in off the tree would be doubles.
          Match broadcast =
              Match.builder()
                  .set(MatchField.IN_PORT, port.number())
                  .masked(MatchField.ETH_DST, 1L << 40, 1L << 40)
                  .build();
          put(wanted, flow(LEARN, KNOWN + 1, broadcast, Instructions.DROP));
        }
      }
      if (tree.contains(place) || !links.containsKey(place) && settled(place, now)) {
        flood.add(port.number());
      }
    }
    Action[] outputs = flood.stream().map(Action.Output::new).toArray(Action[]::new);
    put(wanted, flow(FORWARD, TREE, Match.ANY, Instructions.apply(outputs)));
    Map<Integer, List<Group.Bucket>> wantedGroups = new HashMap<>();
    hosts.forEach((address, place) -> {
      Action action;
      if (place.datapathId() == id) {
        Match known =
            Match.builder()
                .set(MatchField.IN_PORT, place.port())
                .set(MatchField.ETH_SRC, address)
                .build();
        put(wanted, flow(LEARN, KNOWN, known, Instructions.DROP.withGoto(FORWARD)));
        action = new Action.Output(place.port());
      } else {
        Set<Integer> ports = nextHops(id, place.datapathId(), neighbours, distances);
        if (ports.isEmpty()) {
          return;
        }
        action =
            ports.size() == 1
                ? new Action.Output(ports.iterator().next())
                : new Action.Group(group(id, ports, wantedGroups));
      }
      Match match = Match.builder().set(MatchField.ETH_DST, address).build();
      put(wanted, flow(FORWARD, KNOWN, match, Instructions.apply(action)));
    });
    send(device, wanted, wantedGroups);
  }

  private static Set<Integer> nextHops(
      long from,
      long to,
      Map<Long, Map<Long, Set<Integer>>> neighbours,
      Map<Long, Map<Long, Integer>> distances) {
    Map<Long, Integer> away = distances.getOrDefault(to, Map.of());
    Integer here = away.get(from);
    Set<Integer> ports = new TreeSet<>();
    if (here != null) {
      neighbours
          .getOrDefault(from, Map.of())
          .forEach((next, through) -> {
            Integer there = away.get(next);
            if (there != null && there == here - 1) {
              ports.addAll(through);
            }
          });
    }
    return ports;
  }

  private int group(long id, Set<Integer> ports, Map<Integer, List<Group.Bucket>> wanted) {
    Map<Set<Integer>, Integer> numbers = groupNumbers.computeIfAbsent(id, k -> new HashMap<>());
    int number = numbers.computeIfAbsent(ports, k -> numbers.size() + 1);
    wanted.put(
        number,
        ports.stream()
            .map(port ->
                new Group.Bucket(1, port, Ports.ANY_GROUP, List.of(new Action.Output(port))))
            .toList());
    return number;
  }

  private static FlowModification flow(
      int table, int priority, Match match, Instructions instructions) {
    return FlowModification.add(table, priority, match, instructions).withCookie(COOKIE);
  }

  private static void put(Map<String, FlowModification> flows, FlowModification flow) {
    flows.put(name(flow), flow);
  }

  private static String name(FlowModification flow) {
    return flow.table() + " " + flow.priority() + " " + flow.match();
  }

  /**
   * Sends what differs: groups before the flows that use them, and nothing that is right already.
   */
  private void send(
      ConnectedSwitch device,
      Map<String, FlowModification> wanted,
      Map<Integer, List<Group.Bucket>> wantedGroups) {
    long id = device.datapathId();
    Map<Integer, List<Group.Bucket>> presentGroups =
        groups.computeIfAbsent(id, key -> new HashMap<>());
    wantedGroups.forEach((number, buckets) -> {
      if (!buckets.equals(presentGroups.put(number, buckets))) {
        device.putGroup(number, Group.Type.SELECT, buckets);
      }
    });
    Map<String, FlowModification> present = installed.get(id);
    if (present == null) {
      present = new HashMap<>();
      installed.put(id, present);
    }
    List<FlowModification> changes = new ArrayList<>();
    for (Map.Entry<String, FlowModification> flow : wanted.entrySet()) {
      if (!flow.getValue().equals(present.put(flow.getKey(), flow.getValue()))) {
        changes.add(flow.getValue());
      }
    }
    for (String key : List.copyOf(present.keySet())) {
      if (!wanted.containsKey(key)) {
        FlowModification gone = present.remove(key);
        if (gone != null) {
          changes.add(gone.withCommand(FlowModification.Command.DELETE_STRICT));
        }
      }
    }
    changes.sort(Comparator.comparingInt(change -> -change.table()));
    changes.forEach(device::modify);
    if (resynchronized.add(id)) {
      device.requestFlows(COOKIE, -1L, flows -> removeStale(device, flows));
    }
  }
}
