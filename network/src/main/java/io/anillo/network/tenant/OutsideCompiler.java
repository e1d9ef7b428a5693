package io.anillo.network.tenant;

import static io.anillo.network.tenant.FlowCompiler.ARP;
import static io.anillo.network.tenant.FlowCompiler.IPV4;
import static io.anillo.network.tenant.FlowCompiler.IPV6;
import static io.anillo.network.tenant.FlowCompiler.KEEP;
import static io.anillo.network.tenant.FlowCompiler.match;
import static io.anillo.network.tenant.FlowCompiler.set;
import static io.anillo.network.tenant.FlowCompiler.then;
import static io.anillo.network.tenant.FlowCompiler.translate;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The flows about the way out: other hosts send what leaves to the one with the uplink, where
 * addresses are translated.
 */
final class OutsideCompiler {
  /** Established, and not invalid. */
  private static final int KNOWN = 0x02;

  /** New, and not invalid. */
  private static final int OPENING = 0x01;

  private static final int INVALID = 0x10;

  private final FlowCompiler flows;

  OutsideCompiler(FlowCompiler flows) {
    this.flows = flows;
  }

  void compile() {
    boolean here = flows.placement.isGateway() && flows.placement.uplinkPort() != 0;
    for (LogicalRouter router : flows.model.routers().values()) {
      if (router.external() == 0) {
        continue;
      }
      reachFromInside(router);
      Optional<Ipv6> address6 = flows.placement.outside().address6(router);
      leadOut(router, IPV4);
      if (address6.isPresent()) {
        leadOut(router, IPV6);
      }
      if (here) {
        leave(router);
        enter(router);
        address6.ifPresent(own -> exchange(router, own));
      }
    }
    if (here) {
      // Who answers our questions for the next hop tells the controller.
      Match.Builder answer = fromOutside(ARP).set(MatchField.ARP_OP, 2);
      flows.add(Stage.CLASSIFY, 100, 0, answer, toController());
      flows
          .placement
          .outside()
          .nextHop6()
          .ifPresent(hop ->
              flows.add(
                  Stage.CLASSIFY,
                  120,
                  0,
                  neighbourMessage(Ipv6Compiler.ADVERTISEMENT, hop),
                  toController()));
    }
  }

  /**
   * Ports of the same router reach a floating address without the way out: it becomes its port's in
   * the sender's zone, as a balanced one does.
   */
  private void reachFromInside(LogicalRouter router) {
    router
        .floating()
        .forEach((address, name) -> {
          LogicalPort port = flows.model.port(name);
          Action.Nat nat = translate(Action.Nat.DESTINATION, port.address(), 0);
          flows.add(
              Stage.BALANCE,
              50,
              port.number(),
              of(router, IPV4).set(MatchField.IPV4_DST, address & 0xffffffffL),
              Instructions.apply(
                  FlowCompiler.track(MatchField.REG1, true, Stage.GATEWAY.table(), nat)));
        });
  }

  private static Instructions toController() {
    return Instructions.apply(new Action.Output(Ports.CONTROLLER));
  }

  private Match.Builder fromOutside(int type) {
    return match()
        .set(MatchField.IN_PORT, flows.placement.uplinkPort())
        .set(MatchField.ETH_TYPE, type);
  }

  /** A message of neighbour discovery from outside about an address (RFC 4861 §4.3). */
  private Match.Builder neighbourMessage(int type, Ipv6 target) {
    Match.Builder message =
        fromOutside(IPV6).set(MatchField.IP_PROTO, 58).set(MatchField.ICMPV6_TYPE, type);
    return Ipv6Compiler.with(message, MatchField.IPV6_ND_TARGET, target);
  }

  private static Match.Builder of(LogicalRouter router, int type) {
    return match().set(MatchField.REG4, router.number()).set(MatchField.ETH_TYPE, type);
  }

  /** What is for nobody inside goes to the host with the way out. */
  private void leadOut(LogicalRouter router, int type) {
    Integer host = flows.placement.tunnels().get(flows.placement.gateway());
    for (String name : router.switches()) {
      LogicalSwitch owner = flows.model.logicalSwitch(name);
      Match.Builder leaving =
          match().set(MatchField.REG0, owner.number()).set(MatchField.ETH_TYPE, type);
      if (flows.placement.isGateway()) {
        flows.add(
            Stage.ROUTE,
            100,
            router.number(),
            leaving,
            then(Stage.LEAVE, new Action.DecrementNetworkTtl()));
      } else if (host != null && flows.placement.tunnelPort() != 0) {
        flows.add(
            Stage.ROUTE,
            100,
            router.number(),
            leaving.set(MatchField.REG3, 0),
            Instructions.apply(flows.tunnel(owner.number(), host).toArray(Action[]::new)));
      }
    }
  }

  private static Action track(LogicalRouter router, boolean commit, Stage next, Action.Nat nat) {
    return new Action.Track(
        commit, false, router.number(), List.of(), next.table(), 0, List.of(nat));
  }

  private void leave(LogicalRouter router) {
    router
        .floating()
        .forEach((address, name) -> {
          LogicalPort port = flows.model.port(name);
          flows.add(
              Stage.LEAVE,
              200,
              port.number(),
              of(router, IPV4).set(MatchField.IPV4_SRC, port.address() & 0xffffffffL),
              become(router, translate(Action.Nat.SOURCE, address, 0)));
        });
    flows.add(
        Stage.LEAVE,
        100,
        router.number(),
        of(router, IPV4),
        become(router, translate(Action.Nat.SOURCE, router.external(), 0)));
    send(router, IPV4, flows.placement.nextHop());
  }

  private static Instructions become(LogicalRouter router, Action.Nat outside) {
    return Instructions.apply(track(router, true, Stage.OUTSIDE, outside));
  }

  private void send(LogicalRouter router, int type, long nextHop) {
    if (nextHop != 0) {
      flows.add(
          Stage.OUTSIDE,
          100,
          router.number(),
          // What found no place among the translated ones stays inside.
          of(router, type).masked(MatchField.CT_STATE, 0, INVALID),
          Instructions.apply(
              set(MatchField.ETH_SRC, router.externalEthernet()),
              set(MatchField.ETH_DST, nextHop),
              new Action.Output(flows.placement.uplinkPort())));
    }
  }

  private Instructions translateBack(LogicalRouter router) {
    return Instructions.apply(
        set(MatchField.REG4, router.number()), track(router, false, Stage.ENTER, KEEP));
  }

  private void answers(LogicalRouter router, int type) {
    flows.add(
        Stage.ENTER,
        200,
        router.number(),
        of(router, type).masked(MatchField.CT_STATE, KNOWN, KNOWN | INVALID),
        then(Stage.ROUTE));
  }

  private void enter(LogicalRouter router) {
    List<Integer> addresses = new ArrayList<>(router.floating().keySet());
    addresses.add(router.external());
    for (int address : addresses) {
      flows.add(
          Stage.CLASSIFY,
          110,
          router.number(),
          fromOutside(ARP).set(MatchField.ARP_OP, 1).set(MatchField.ARP_TPA, address & 0xffffffffL),
          Instructions.apply(FlowCompiler.answer(address, router.externalEthernet())));
      flows.add(
          Stage.CLASSIFY,
          110,
          router.number(),
          fromOutside(IPV4).set(MatchField.IPV4_DST, address & 0xffffffffL),
          translateBack(router));
    }
    answers(router, IPV4);
    router
        .floating()
        .forEach((address, name) -> {
          LogicalPort port = flows.model.port(name);
          Action.Nat nat = translate(Action.Nat.DESTINATION, port.address(), 0);
          flows.add(
              Stage.ENTER,
              100,
              port.number(),
              of(router, IPV4)
                  .set(MatchField.IPV4_DST, address & 0xffffffffL)
                  .masked(MatchField.CT_STATE, OPENING, OPENING | INVALID),
              Instructions.apply(track(router, true, Stage.ROUTE, nat)));
        });
  }

  /** IPv6 to the outside and back, by the one address that all share there. */
  private void exchange(LogicalRouter router, Ipv6 own) {
    flows.add(
        Stage.LEAVE,
        100,
        router.number(),
        of(router, IPV6),
        become(router, translate(Action.Nat.SOURCE, own)));
    send(router, IPV6, flows.placement.nextHop6());
    flows.add(
        Stage.CLASSIFY,
        120,
        router.number(),
        neighbourMessage(Ipv6Compiler.SOLICITATION, own),
        toController());
    flows.add(
        Stage.CLASSIFY,
        110,
        router.number(),
        Ipv6Compiler.with(fromOutside(IPV6), MatchField.IPV6_DST, own),
        translateBack(router));
    answers(router, IPV6);
  }
}
