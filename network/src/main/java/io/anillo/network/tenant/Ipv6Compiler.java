package io.anillo.network.tenant;

import static io.anillo.network.tenant.FlowCompiler.IPV6;
import static io.anillo.network.tenant.FlowCompiler.match;
import static io.anillo.network.tenant.FlowCompiler.set;
import static io.anillo.network.tenant.FlowCompiler.then;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.util.List;

/**
 * The flows about a logical switch's IPv6 network. A port has the two addresses that its card makes
 * for itself, one on the link and one in the network; router and neighbour advertisements of the
 * gateway are the controller's ({@link NeighbourAnswers}).
 */
final class Ipv6Compiler {
  static final int ROUTER_SOLICITATION = 133;
  static final int ROUTER_ADVERTISEMENT = 134;
  static final int SOLICITATION = 135;
  static final int ADVERTISEMENT = 136;
  private static final int REDIRECT = 137;
  private static final int ECHO_REQUEST = 128;
  private static final int ECHO_REPLY = 129;
  private static final int ICMP = 58;

  private final FlowCompiler flows;

  Ipv6Compiler(FlowCompiler flows) {
    this.flows = flows;
  }

  private static Match.Builder from(LogicalPort port) {
    return match()
        .set(MatchField.REG1, port.number())
        .set(MatchField.ETH_SRC, port.ethernet())
        .set(MatchField.ETH_TYPE, IPV6);
  }

  private static Match.Builder message(LogicalPort port, int type) {
    return from(port)
        .set(MatchField.IP_PROTO, ICMP)
        .set(MatchField.ICMPV6_TYPE, type)
        .set(MatchField.ICMPV6_CODE, 0);
  }

  static Match.Builder with(Match.Builder match, MatchField field, Ipv6 address) {
    return match.wide(field, address.high(), address.low());
  }

  static Action set128(MatchField field, Ipv6 address) {
    return new Action.SetField(field, address.high(), address.low());
  }

  /** What a port may send: from its own addresses, and claims to these only (RFC 4861, 6105). */
  void admit(LogicalPort port, LogicalSwitch owner, Ipv6 network) {
    int number = port.number();
    List<Ipv6> own = List.of(network.of(port.ethernet()), Ipv6.linkLocal(port.ethernet()));
    List<Ipv6> gateway = List.of(network.first(), Ipv6.linkLocal(owner.gatewayEthernet()));
    Instructions onward = then(Stage.OUTGOING);
    Instructions controller = Instructions.apply(new Action.Output(Ports.CONTROLLER));
    flows.add(Stage.ADMIT, 300, number, message(port, ROUTER_ADVERTISEMENT), Instructions.DROP);
    flows.add(Stage.ADMIT, 300, number, message(port, REDIRECT), Instructions.DROP);
    flows.add(Stage.ADMIT, 200, number, message(port, ROUTER_SOLICITATION), controller);
    for (Ipv6 address : gateway) {
      Match.Builder question = message(port, SOLICITATION);
      flows.add(
          Stage.ADMIT, 200, number, with(question, MatchField.IPV6_ND_TARGET, address), controller);
    }
    for (Ipv6 address : own) {
      // Is anybody else here with my address (RFC 4862 §5.4)?
      Match.Builder detection = message(port, SOLICITATION).wide(MatchField.IPV6_SRC, 0, 0);
      flows.add(
          Stage.ADMIT, 180, number, with(detection, MatchField.IPV6_ND_TARGET, address), onward);
      // The option with the Ethernet address may be left out, and is 0 then.
      for (long link : new long[] {port.ethernet(), 0}) {
        Match.Builder question = message(port, SOLICITATION).set(MatchField.IPV6_ND_SLL, link);
        flows.add(Stage.ADMIT, 180, number, with(question, MatchField.IPV6_SRC, address), onward);
        Match.Builder answer = message(port, ADVERTISEMENT).set(MatchField.IPV6_ND_TLL, link);
        flows.add(
            Stage.ADMIT, 180, number, with(answer, MatchField.IPV6_ND_TARGET, address), onward);
      }
      flows.add(Stage.ADMIT, 100, number, with(from(port), MatchField.IPV6_SRC, address), onward);
    }
    flows.add(Stage.ADMIT, 170, number, message(port, SOLICITATION), Instructions.DROP);
    flows.add(Stage.ADMIT, 170, number, message(port, ADVERTISEMENT), Instructions.DROP);
    for (Ipv6 asker : own) {
      for (Ipv6 asked : gateway) {
        echo(port, owner, asker, asked);
      }
    }
  }

  /** The gateway answers echo requests where they arise. */
  private void echo(LogicalPort port, LogicalSwitch owner, Ipv6 own, Ipv6 gateway) {
    Match.Builder request =
        with(
            with(message(port, ECHO_REQUEST), MatchField.IPV6_SRC, own),
            MatchField.IPV6_DST,
            gateway);
    flows.add(
        Stage.ADMIT,
        190,
        port.number(),
        request,
        Instructions.apply(
            set(MatchField.ETH_DST, port.ethernet()),
            set(MatchField.ETH_SRC, owner.gatewayEthernet()),
            set128(MatchField.IPV6_DST, own),
            set128(MatchField.IPV6_SRC, gateway),
            set(MatchField.ICMPV6_TYPE, ECHO_REPLY),
            new Action.Output(Ports.IN_PORT)));
  }

  /** How the gateway's router finds a port. */
  void route(LogicalSwitch owner, int domain, LogicalPort port, Ipv6 network) {
    Match.Builder there = match().set(MatchField.REG4, domain).set(MatchField.ETH_TYPE, IPV6);
    flows.add(
        Stage.ROUTE,
        200,
        port.number(),
        with(there, MatchField.IPV6_DST, network.of(port.ethernet())),
        FlowCompiler.routed(owner, port));
  }

  /** What is from or for a link stays there (RFC 4291 §2.5.6), and groups are not routed. */
  void keepOnLink() {
    Ipv6 link = Ipv6.LINK_LOCAL_NETWORK;
    for (Match.Builder stays :
        List.of(
            within(MatchField.IPV6_SRC, link),
            within(MatchField.IPV6_DST, link),
            within(MatchField.IPV6_DST, Ipv6.GROUPS))) {
      flows.add(Stage.ROUTE, 400, 0, stays, Instructions.DROP);
    }
  }

  private static Match.Builder within(MatchField field, Ipv6 network) {
    return match()
        .set(MatchField.ETH_TYPE, IPV6)
        .set(field, network.high(), network.low(), network.maskHigh(), network.maskLow());
  }

  /** What nobody has is nowhere; the ports of an isolated switch do not meet by their router. */
  void confine(LogicalSwitch owner, int domain, Ipv6 network) {
    add(owner, 150, match().set(MatchField.REG4, domain), network);
    if (owner.isolated()) {
      add(owner, 300, match().set(MatchField.REG0, owner.number()), network);
    }
  }

  private void add(LogicalSwitch owner, int priority, Match.Builder from, Ipv6 network) {
    from.set(MatchField.ETH_TYPE, IPV6)
        .set(
            MatchField.IPV6_DST,
            network.high(),
            network.low(),
            network.maskHigh(),
            network.maskLow());
    flows.add(Stage.ROUTE, priority, owner.number(), from, Instructions.DROP);
  }
}
