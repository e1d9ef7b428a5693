package io.anillo.network.tenant;

import static io.anillo.network.tenant.FlowCompiler.IPV4;
import static io.anillo.network.tenant.FlowCompiler.IPV6;
import static io.anillo.network.tenant.FlowCompiler.KEEP;
import static io.anillo.network.tenant.FlowCompiler.match;
import static io.anillo.network.tenant.FlowCompiler.set;
import static io.anillo.network.tenant.FlowCompiler.then;
import static io.anillo.network.tenant.FlowCompiler.track;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The flows about one port that is plugged in here: what it may send, and what reaches it. */
final class PortCompiler {
  /** Where answers to the balancer's probes go. */
  static final int PROBE_PORT = 61_000;

  private final FlowCompiler flows;

  PortCompiler(FlowCompiler flows) {
    this.flows = flows;
  }

  void compile(LogicalPort port) {
    LogicalSwitch owner = flows.model.logicalSwitch(port.logicalSwitch());
    int real = flows.placement.local().getOrDefault(port.number(), 0);
    List<Action> mirrors = mirrors(port);
    classify(port, owner, real, mirrors);
    admit(port, owner);
    boolean tracked = !port.groups().isEmpty() || flows.translated(flows.domain(owner));
    connections(port, tracked);
    rules(port);
    output(port, real, mirrors);
  }

  private void classify(LogicalPort port, LogicalSwitch owner, int real, List<Action> mirrors) {
    List<Action> actions = new ArrayList<>(mirrors);
    actions.add(set(MatchField.REG0, owner.number()));
    actions.add(set(MatchField.REG1, port.number()));
    actions.add(set(MatchField.REG4, flows.domain(owner)));
    Instructions instructions = then(Stage.ADMIT, actions.toArray(Action[]::new));
    if (port.kilobits() > 0) {
      instructions = instructions.withMeter(flows.limit(port.number() * 2, port.kilobits()));
    }
    flows.add(
        Stage.CLASSIFY, 100, port.number(), match().set(MatchField.IN_PORT, real), instructions);
  }

  private Match.Builder from(LogicalPort port) {
    return match().set(MatchField.REG1, port.number()).set(MatchField.ETH_SRC, port.ethernet());
  }

  private Match.Builder fromAddress(LogicalPort port) {
    return from(port)
        .set(MatchField.ETH_TYPE, IPV4)
        .set(MatchField.IPV4_SRC, port.address() & 0xffffffffL);
  }

  private void admit(LogicalPort port, LogicalSwitch owner) {
    int number = port.number();
    long gateway = owner.gateway() & 0xffffffffL;
    Instructions controller = Instructions.apply(new Action.Output(Ports.CONTROLLER));
    flows.add(
        Stage.ADMIT,
        200,
        number,
        from(port)
            .set(MatchField.ETH_TYPE, IPV4)
            .set(MatchField.IP_PROTO, 17)
            .set(MatchField.UDP_SRC, 68)
            .set(MatchField.UDP_DST, 67),
        controller);
    flows.add(
        Stage.ADMIT,
        190,
        number,
        fromAddress(port)
            .set(MatchField.IPV4_DST, gateway)
            .set(MatchField.IP_PROTO, 17)
            .set(MatchField.UDP_DST, 53),
        controller);
    flows.add(
        Stage.ADMIT,
        190,
        number,
        fromAddress(port)
            .set(MatchField.IPV4_DST, gateway)
            .set(MatchField.IP_PROTO, 6)
            .set(MatchField.TCP_DST, PROBE_PORT),
        controller);
    // The gateway answers echo requests where they arise.
    flows.add(
        Stage.ADMIT,
        190,
        number,
        fromAddress(port)
            .set(MatchField.IPV4_DST, gateway)
            .set(MatchField.IP_PROTO, 1)
            .set(MatchField.ICMPV4_TYPE, 8),
        Instructions.apply(
            set(MatchField.ETH_DST, port.ethernet()),
            set(MatchField.ETH_SRC, owner.gatewayEthernet()),
            set(MatchField.IPV4_DST, port.address() & 0xffffffffL),
            set(MatchField.IPV4_SRC, gateway),
            set(MatchField.ICMPV4_TYPE, 0),
            new Action.Output(Ports.IN_PORT)));
    flows.add(Stage.ADMIT, 100, number, fromAddress(port), then(Stage.OUTGOING));
    owner
        .network6()
        .ifPresentOrElse(
            network -> new Ipv6Compiler(flows).admit(port, owner, network),
            () ->
                flows.add(
                    Stage.ADMIT,
                    100,
                    number,
                    from(port).set(MatchField.ETH_TYPE, IPV6),
                    then(Stage.OUTGOING)));
    for (long sender : new long[] {port.address() & 0xffffffffL, 0}) {
      flows.add(
          Stage.ADMIT,
          100,
          number,
          from(port)
              .set(MatchField.ETH_TYPE, FlowCompiler.ARP)
              .set(MatchField.ARP_SHA, port.ethernet())
              .set(MatchField.ARP_SPA, sender),
          then(Stage.RESOLVE));
    }
    // Who asks for its own address looks for others that have it (RFC 5227): there are none.
    flows.add(
        Stage.RESOLVE,
        200,
        number,
        match()
            .set(MatchField.REG1, number)
            .set(MatchField.ETH_TYPE, FlowCompiler.ARP)
            .set(MatchField.ARP_TPA, port.address() & 0xffffffffL),
        Instructions.DROP);
  }

  private void connections(LogicalPort port, boolean tracked) {
    int number = port.number();
    for (int type : new int[] {IPV4, IPV6}) {
      Match.Builder out = match().set(MatchField.REG1, number).set(MatchField.ETH_TYPE, type);
      Match.Builder in = match().set(MatchField.REG2, number).set(MatchField.ETH_TYPE, type);
      if (tracked) {
        Action outgoing = track(MatchField.REG1, false, Stage.OUTGOING_RULES.table(), KEEP);
        Action incoming = track(MatchField.REG2, false, Stage.DELIVER_RULES.table(), KEEP);
        flows.add(Stage.OUTGOING, 100, number, out, Instructions.apply(outgoing));
        flows.add(Stage.DELIVER, 100, number, in, Instructions.apply(incoming));
      } else {
        flows.add(Stage.OUTGOING, 100, number, out, then(Stage.GATEWAY));
        flows.add(Stage.DELIVER, 100, number, in, then(Stage.OUTPUT));
      }
    }
    flows.add(Stage.DELIVER, 50, number, match().set(MatchField.REG2, number), then(Stage.OUTPUT));
  }

  private void rules(LogicalPort port) {
    List<SecurityGroup.Rule> rules =
        port.groups().stream()
            .map(flows.model.groups()::get)
            .flatMap(group -> group.rules().stream())
            .distinct()
            .toList();
    boolean outgoing = rules.stream().anyMatch(rule -> !rule.incoming());
    if (!outgoing) {
      allow(port, false, match());
    }
    if (port.groups().isEmpty()) {
      allow(port, true, match().set(MatchField.ETH_TYPE, IPV4));
      allow(port, true, match().set(MatchField.ETH_TYPE, IPV6));
    }
    for (SecurityGroup.Rule rule : rules) {
      rule(port, rule);
    }
  }

  /** The packets whose other side is one that a rule speaks of, by their EtherType. */
  private record Side(int type, Match.Builder packets) {}

  private List<Side> sides(SecurityGroup.Rule rule) {
    List<Side> sides = new ArrayList<>();
    if (!rule.remoteGroup().isEmpty()) {
      for (LogicalPort member : flows.model.ports().values()) {
        if (member.groups().contains(rule.remoteGroup())) {
          sides.add(side(rule, new Ipv4(member.address(), 32)));
          flows
              .model
              .logicalSwitch(member.logicalSwitch())
              .network6()
              .ifPresent(network -> {
                sides.add(side(rule, network.of(member.ethernet())));
                sides.add(side(rule, Ipv6.linkLocal(member.ethernet())));
              });
        }
      }
    } else if (rule.remote6().isPresent()) {
      sides.add(side(rule, rule.remote6().get()));
    } else {
      sides.add(side(rule, rule.remote()));
      if (rule.remote().equals(Ipv4.ANY)) {
        sides.add(new Side(IPV6, match().set(MatchField.ETH_TYPE, IPV6)));
      }
    }
    return sides;
  }

  private static Side side(SecurityGroup.Rule rule, Ipv4 remote) {
    Match.Builder packets = match().set(MatchField.ETH_TYPE, IPV4);
    MatchField field = rule.incoming() ? MatchField.IPV4_SRC : MatchField.IPV4_DST;
    return new Side(
        IPV4, packets.masked(field, remote.address() & 0xffffffffL, remote.mask() & 0xffffffffL));
  }

  private static Side side(SecurityGroup.Rule rule, Ipv6 remote) {
    Match.Builder packets = match().set(MatchField.ETH_TYPE, IPV6);
    MatchField field = rule.incoming() ? MatchField.IPV6_SRC : MatchField.IPV6_DST;
    return new Side(
        IPV6, packets.set(field, remote.high(), remote.low(), remote.maskHigh(), remote.maskLow()));
  }

  private void rule(LogicalPort port, SecurityGroup.Rule rule) {
    for (Side side : sides(rule)) {
      Match.Builder base = side.packets();
      MatchField destination = MatchField.TCP_DST;
      switch (rule.protocol()) {
        case ANY -> {}
        case TCP -> base.set(MatchField.IP_PROTO, 6);
        case UDP -> {
          base.set(MatchField.IP_PROTO, 17);
          destination = MatchField.UDP_DST;
        }
        case ICMP -> base.set(MatchField.IP_PROTO, side.type() == IPV4 ? 1 : 58);
      }
      if (rule.lastPort() == 0) {
        allow(port, rule.incoming(), base);
        continue;
      }
      Match plain = base.build();
      for (int[] range : ranges(rule.firstPort(), rule.lastPort())) {
        Match.Builder ranged = match();
        for (MatchField field : plain.fields()) {
          ranged.set(
              field,
              field.high(plain.value()),
              field.low(plain.value()),
              field.high(plain.mask()),
              field.low(plain.mask()));
        }
        ranged.masked(destination, range[0], range[1]);
        allow(port, rule.incoming(), ranged);
      }
    }
  }

  /** A range of ports as values with masks. */
  static List<int[]> ranges(int first, int last) {
    List<int[]> ranges = new ArrayList<>();
    int at = first;
    while (at <= last) {
      int size = at == 0 ? 1 << 16 : Integer.lowestOneBit(at);
      while (at + size - 1 > last) {
        size >>= 1;
      }
      ranges.add(new int[] {at, 0xffff & -size});
      at += size;
    }
    return ranges;
  }

  private void allow(LogicalPort port, boolean incoming, Match.Builder what) {
    int number = port.number();
    if (!incoming) {
      what.set(MatchField.REG1, number);
      flows.add(Stage.OUTGOING_RULES, 100, number, what, then(Stage.BALANCE));
      return;
    }
    what.set(MatchField.REG2, number);
    Action commit = track(MatchField.REG2, true, Action.Track.NO_TABLE);
    flows.add(Stage.DELIVER_RULES, 100, number, what, then(Stage.OUTPUT, commit));
  }

  private void output(LogicalPort port, int real, List<Action> mirrors) {
    List<Action> actions = new ArrayList<>();
    actions.add(new Action.Output(real));
    actions.addAll(mirrors);
    Instructions instructions = Instructions.apply(actions.toArray(Action[]::new));
    if (port.kilobits() > 0) {
      instructions = instructions.withMeter(flows.limit(port.number() * 2 + 1, port.kilobits()));
    }
    flows.add(
        Stage.OUTPUT,
        100,
        port.number(),
        match().set(MatchField.REG2, port.number()),
        instructions);
  }

  /** What copies a packet to those who watch a port. */
  private List<Action> mirrors(LogicalPort port) {
    List<Action> actions = new ArrayList<>();
    for (PortMirror mirror : flows.model.mirrors().values()) {
      if (!mirror.source().equals(port.name())) {
        continue;
      }
      LogicalPort target = flows.model.port(mirror.target());
      Integer real = flows.placement.local().get(target.number());
      if (real != null) {
        actions.add(new Action.Output(real));
      } else {
        Optional<Integer> host = flows.tunnelTo(target);
        host.ifPresent(
            far -> actions.addAll(flows.tunnel(FlowCompiler.DIRECT | target.number(), far)));
      }
    }
    return actions;
  }
}
