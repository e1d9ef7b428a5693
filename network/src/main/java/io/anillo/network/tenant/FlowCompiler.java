package io.anillo.network.tenant;

import io.anillo.network.controller.SwitchProgram;
import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Turns what tenants have asked for into the flows, groups and meters of one switch: the stages
 * about switching and routing. {@link PortCompiler} has those about one port, {@link
 * OutsideCompiler} those about the way out.
 */
final class FlowCompiler {
  /** The upper half of all cookies; the lower is the number of what the flow is about. */
  static final long COOKIE = 0x54_4e_54_00L << 32;

  /** Tunnel identifiers from here on lead straight to the port of that number: mirrors. */
  static final int DIRECT = 0x800000;

  static final int ARP = 0x0806;
  static final int IPV4 = 0x0800;
  static final int IPV6 = 0x86dd;

  final NetworkModel model;
  final Placement placement;
  final List<FlowModification> flows = new ArrayList<>();
  final Map<Integer, SwitchProgram.WantedGroup> groups = new HashMap<>();
  final Map<Integer, SwitchProgram.WantedMeter> meters = new HashMap<>();

  FlowCompiler(NetworkModel model, Placement placement) {
    this.model = model;
    this.placement = placement;
  }

  SwitchProgram.Wanted compile() {
    PortCompiler ports = new PortCompiler(this);
    model.ports().values().stream()
        .filter(port -> placement.local().containsKey(port.number()))
        .forEach(ports::compile);
    model.switches().values().forEach(this::compileSwitch);
    model.balancers().values().forEach(this::balance);
    trackRules();
    new Ipv6Compiler(this).keepOnLink();
    if (placement.tunnelPort() != 0) {
      mirrorsArrive();
    }
    new OutsideCompiler(this).compile();
    return new SwitchProgram.Wanted(flows, groups, meters);
  }

  // --- Shared words ---

  void add(Stage stage, int priority, int number, Match.Builder match, Instructions instructions) {
    flows.add(
        FlowModification.add(stage.table(), priority, match.build(), instructions)
            .withCookie(COOKIE | number));
  }

  static Match.Builder match() {
    return Match.builder();
  }

  static Action set(MatchField field, long value) {
    return new Action.SetField(field, value);
  }

  static Instructions then(Stage next, Action... actions) {
    return Instructions.apply(actions).withGoto(next.table());
  }

  /** Tracks a connection in the zone that a register names. */
  static Action track(MatchField zone, boolean commit, int table, Action... inner) {
    return new Action.Track(
        commit, false, 0, List.of(new Action.ZoneField(zone, 0, 16)), table, 0, List.of(inner));
  }

  /** Undoes or redoes the translation that a connection has. */
  static final Action.Nat KEEP = new Action.Nat(0, new byte[0], new byte[0], 0, 0);

  static Action.Nat translate(int flags, int address, int port) {
    byte[] bytes = ByteBuffer.allocate(4).putInt(address).array();
    return new Action.Nat(flags, bytes, new byte[0], port, 0);
  }

  static Action.Nat translate(int flags, Ipv6 address) {
    byte[] bytes = ByteBuffer.allocate(16).putLong(address.high()).putLong(address.low()).array();
    return new Action.Nat(flags, bytes, new byte[0], 0, 0);
  }

  /** Addresses are reachable from each other exactly within one of these. */
  int domain(LogicalSwitch owner) {
    return model.routerOf(owner.name()).map(LogicalRouter::number).orElse(owner.number());
  }

  List<LogicalPort> portsOf(LogicalSwitch owner) {
    return model.ports().values().stream()
        .filter(port -> port.logicalSwitch().equals(owner.name()))
        .toList();
  }

  /**
   * Whether connections in a routing domain may be for balanced or floating addresses, so that all
   * must be tracked.
   */
  boolean translated(int domain) {
    return model.balancers().values().stream()
            .anyMatch(b -> domain(model.logicalSwitch(b.logicalSwitch())) == domain)
        || model.routers().values().stream()
            .anyMatch(router -> router.number() == domain && !router.floating().isEmpty());
  }

  /** The actions that carry a packet on a logical switch to another host. */
  List<Action> tunnel(int network, int host) {
    return List.of(
        set(MatchField.TUNNEL_ID, network),
        set(MatchField.TUN_IPV4_DST, host & 0xffffffffL),
        new Action.Output(placement.tunnelPort()));
  }

  /** The far end of the tunnel to where a port is plugged in. */
  Optional<Integer> tunnelTo(LogicalPort port) {
    Long home = placement.homes().get(port.number());
    if (home == null || home == placement.datapathId() || placement.tunnelPort() == 0) {
      return Optional.empty();
    }
    return Optional.ofNullable(placement.tunnels().get(home));
  }

  // --- Switches ---

  private void compileSwitch(LogicalSwitch owner) {
    int network = owner.number();
    int domain = domain(owner);
    Ipv6Compiler six = new Ipv6Compiler(this);
    owner.network6().ifPresent(prefix -> six.confine(owner, domain, prefix));
    if (placement.tunnelPort() != 0) {
      add(
          Stage.CLASSIFY,
          100,
          network,
          match()
              .set(MatchField.IN_PORT, placement.tunnelPort())
              .set(MatchField.TUNNEL_ID, network),
          then(
              Stage.GATEWAY,
              set(MatchField.REG0, network),
              set(MatchField.REG3, 1),
              set(MatchField.REG4, domain)));
    }
    resolve(owner, owner.gateway(), owner.gatewayEthernet());
    add(
        Stage.GATEWAY,
        100,
        network,
        match().set(MatchField.REG0, network).set(MatchField.ETH_DST, owner.gatewayEthernet()),
        then(Stage.ROUTE));
    List<LogicalPort> ports = portsOf(owner);
    for (LogicalPort port : ports) {
      if (!owner.isolated()) {
        resolve(owner, port.address(), port.ethernet());
      }
      forward(owner, port);
      route(owner, domain, port);
      owner.network6().ifPresent(prefix -> six.route(owner, domain, port, prefix));
    }
    model.balancers().values().stream()
        .filter(balancer -> balancer.logicalSwitch().equals(owner.name()))
        .mapToInt(LoadBalancer::address)
        .distinct()
        .forEach(address -> resolve(owner, address, owner.gatewayEthernet()));
    if (!owner.isolated()) {
      flood(owner, ports);
    }
    // What nobody has is nowhere, and not outside either.
    add(
        Stage.ROUTE,
        150,
        network,
        match()
            .set(MatchField.REG4, domain)
            .set(MatchField.ETH_TYPE, IPV4)
            .masked(
                MatchField.IPV4_DST,
                owner.network().address() & 0xffffffffL,
                owner.network().mask() & 0xffffffffL),
        Instructions.DROP);
    if (owner.isolated()) {
      add(
          Stage.ROUTE,
          300,
          network,
          match()
              .set(MatchField.REG0, network)
              .set(MatchField.ETH_TYPE, IPV4)
              .masked(
                  MatchField.IPV4_DST,
                  owner.network().address() & 0xffffffffL,
                  owner.network().mask() & 0xffffffffL),
          Instructions.DROP);
    }
  }

  /** Answers requests for an address on the spot (RFC 826). */
  private void resolve(LogicalSwitch owner, int address, long ethernet) {
    add(
        Stage.RESOLVE,
        100,
        owner.number(),
        match()
            .set(MatchField.REG0, owner.number())
            .set(MatchField.ETH_TYPE, ARP)
            .set(MatchField.ARP_OP, 1)
            .set(MatchField.ARP_TPA, address & 0xffffffffL),
        Instructions.apply(answer(address, ethernet)));
  }

  /** Turns an ARP request into its answer and sends it back. */
  static Action[] answer(int address, long ethernet) {
    return new Action[] {
      new Action.Move(MatchField.ETH_SRC, 0, MatchField.ETH_DST, 0, 48),
      set(MatchField.ETH_SRC, ethernet),
      set(MatchField.ARP_OP, 2),
      new Action.Move(MatchField.ARP_SHA, 0, MatchField.ARP_THA, 0, 48),
      new Action.Move(MatchField.ARP_SPA, 0, MatchField.ARP_TPA, 0, 32),
      set(MatchField.ARP_SHA, ethernet),
      set(MatchField.ARP_SPA, address & 0xffffffffL),
      new Action.Output(Ports.IN_PORT)
    };
  }

  private void forward(LogicalSwitch owner, LogicalPort port) {
    Match.Builder there =
        match().set(MatchField.REG0, owner.number()).set(MatchField.ETH_DST, port.ethernet());
    boolean local = placement.local().containsKey(port.number());
    Optional<Integer> host = tunnelTo(port);
    if (!local && host.isEmpty()) {
      return;
    }
    if (owner.isolated()) {
      // From its own switch only what the gateway has routed.
      there.set(MatchField.REG5, 1);
      if (local) {
        Match.Builder arrived =
            match()
                .set(MatchField.REG0, owner.number())
                .set(MatchField.ETH_DST, port.ethernet())
                .set(MatchField.REG3, 1);
        add(Stage.FORWARD, 101, port.number(), arrived, deliver(port));
      }
    }
    if (local) {
      add(Stage.FORWARD, 100, port.number(), there, deliver(port));
    } else {
      // What came through a tunnel goes through none again.
      there.set(MatchField.REG3, 0);
      Action[] actions = tunnel(owner.number(), host.get()).toArray(Action[]::new);
      add(Stage.FORWARD, 100, port.number(), there, Instructions.apply(actions));
    }
  }

  private static Instructions deliver(LogicalPort port) {
    return then(Stage.DELIVER, set(MatchField.REG2, port.number()));
  }

  /** What the gateway's router does with a packet for a port. */
  static Instructions routed(LogicalSwitch owner, LogicalPort port) {
    return then(
        Stage.FORWARD,
        new Action.DecrementNetworkTtl(),
        set(MatchField.ETH_SRC, owner.gatewayEthernet()),
        set(MatchField.ETH_DST, port.ethernet()),
        set(MatchField.REG0, owner.number()),
        set(MatchField.REG3, 0),
        set(MatchField.REG5, 1));
  }

  private void route(LogicalSwitch owner, int domain, LogicalPort port) {
    add(
        Stage.ROUTE,
        200,
        port.number(),
        match()
            .set(MatchField.REG4, domain)
            .set(MatchField.ETH_TYPE, IPV4)
            .set(MatchField.IPV4_DST, port.address() & 0xffffffffL),
        routed(owner, port));
  }

  /** Frames to several: one copy for each port here and, unless they came from there, each host. */
  private void flood(LogicalSwitch owner, List<LogicalPort> ports) {
    List<Action> here = new ArrayList<>();
    List<Action> hosts = new ArrayList<>();
    List<Integer> reached = new ArrayList<>();
    for (LogicalPort port : ports) {
      if (placement.local().containsKey(port.number())) {
        here.add(set(MatchField.REG2, port.number()));
        here.add(new Action.Resubmit(Ports.IN_PORT, Stage.DELIVER.table()));
      }
      Optional<Integer> host = tunnelTo(port);
      if (host.isPresent() && !reached.contains(host.get())) {
        reached.add(host.get());
        hosts.addAll(tunnel(owner.number(), host.get()));
      }
    }
    for (int arrived = 0; arrived <= 1; arrived++) {
      List<Action> actions = new ArrayList<>(arrived == 0 ? hosts : List.of());
      actions.addAll(here);
      add(
          Stage.FORWARD,
          50,
          owner.number(),
          match()
              .set(MatchField.REG0, owner.number())
              .set(MatchField.REG3, arrived)
              .masked(MatchField.ETH_DST, 1L << 40, 1L << 40),
          Instructions.apply(actions.toArray(Action[]::new)));
    }
  }

  // --- Balancers ---

  private void balance(LoadBalancer balancer) {
    LogicalSwitch owner = model.logicalSwitch(balancer.logicalSwitch());
    int domain = domain(owner);
    List<Group.Bucket> buckets = new ArrayList<>();
    for (LoadBalancer.Backend backend : balancer.backends()) {
      LogicalPort port = model.port(backend.name());
      boolean reachable = domain(model.logicalSwitch(port.logicalSwitch())) == domain;
      if (reachable && !placement.dead().contains(Placement.backend(balancer, backend))) {
        Action.Nat nat = translate(Action.Nat.DESTINATION, port.address(), backend.port());
        buckets.add(new Group.Bucket(track(MatchField.REG1, true, Stage.GATEWAY.table(), nat)));
      }
    }
    groups.put(balancer.number(), new SwitchProgram.WantedGroup(Group.Type.SELECT, buckets));
    add(
        Stage.BALANCE,
        100,
        balancer.number(),
        match()
            .set(MatchField.REG4, domain)
            .set(MatchField.ETH_TYPE, IPV4)
            .set(MatchField.IP_PROTO, balancer.tcp() ? 6 : 17)
            .set(MatchField.IPV4_DST, balancer.address() & 0xffffffffL)
            .set(balancer.tcp() ? MatchField.TCP_DST : MatchField.UDP_DST, balancer.port()),
        Instructions.apply(new Action.Group(balancer.number())));
  }

  // --- Rules that hold for all ports ---

  private static final int ESTABLISHED = 0x02;
  private static final int RELATED = 0x04;
  private static final int INVALID = 0x10;

  private void trackRules() {
    for (Stage rules : List.of(Stage.OUTGOING_RULES, Stage.DELIVER_RULES)) {
      Stage next = rules == Stage.OUTGOING_RULES ? Stage.GATEWAY : Stage.OUTPUT;
      for (int type : new int[] {IPV4, IPV6}) {
        add(rules, 900, 0, state(type, INVALID), Instructions.DROP);
        add(rules, 800, 0, state(type, ESTABLISHED), then(next));
        add(rules, 800, 0, state(type, RELATED), then(next));
      }
      for (int neighbour = 133; neighbour <= 137; neighbour++) {
        add(
            rules,
            1000,
            0,
            match()
                .set(MatchField.ETH_TYPE, IPV6)
                .set(MatchField.IP_PROTO, 58)
                .set(MatchField.ICMPV6_TYPE, neighbour),
            then(next));
      }
    }
    // What is not balanced goes on as it is, once its connection is known.
    for (int type : new int[] {IPV4, IPV6}) {
      add(
          Stage.BALANCE,
          10,
          0,
          match().set(MatchField.ETH_TYPE, type),
          then(Stage.GATEWAY, track(MatchField.REG1, true, Action.Track.NO_TABLE)));
    }
    add(Stage.GATEWAY, 0, 0, match(), then(Stage.FORWARD));
  }

  private static Match.Builder state(int type, int bit) {
    return match().set(MatchField.ETH_TYPE, type).masked(MatchField.CT_STATE, bit, bit);
  }

  private void mirrorsArrive() {
    for (PortMirror mirror : model.mirrors().values()) {
      int target = model.port(mirror.target()).number();
      Integer port = placement.local().get(target);
      if (port != null) {
        add(
            Stage.CLASSIFY,
            100,
            target,
            match()
                .set(MatchField.IN_PORT, placement.tunnelPort())
                .set(MatchField.TUNNEL_ID, DIRECT | target),
            Instructions.apply(new Action.Output(port)));
      }
    }
  }

  /** A rate in kilobits a second, with a burst of a quarter of a second and at least 1 Mbit. */
  int limit(int number, long kilobits) {
    Meter.Band band = new Meter.Band(true, kilobits, Math.max(1_000, kilobits / 4), 0);
    meters.put(number, new SwitchProgram.WantedMeter(Meter.KILOBITS | Meter.BURST, List.of(band)));
    return number;
  }
}
