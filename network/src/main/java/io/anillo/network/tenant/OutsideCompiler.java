package io.anillo.network.tenant;

import static io.anillo.network.tenant.FlowCompiler.ARP;
import static io.anillo.network.tenant.FlowCompiler.IPV4;
import static io.anillo.network.tenant.FlowCompiler.KEEP;
import static io.anillo.network.tenant.FlowCompiler.match;
import static io.anillo.network.tenant.FlowCompiler.set;
import static io.anillo.network.tenant.FlowCompiler.then;
import static io.anillo.network.tenant.FlowCompiler.translate;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.List;

/**
 * The flows about the way out: other hosts send what leaves to the one with the uplink, where
 * addresses are translated.
 */
final class OutsideCompiler {
  private final FlowCompiler flows;

  OutsideCompiler(FlowCompiler flows) {
    this.flows = flows;
  }

  void compile() {
    for (LogicalRouter router : flows.model.routers().values()) {
      if (router.external() != 0) {
        leadOut(router);
        if (flows.placement.isGateway() && flows.placement.uplinkPort() != 0) {
          leave(router);
          enter(router);
        }
      }
    }
    if (flows.placement.isGateway() && flows.placement.uplinkPort() != 0) {
      // Who answers our questions for the next hop tells the controller.
      flows.add(
          Stage.CLASSIFY,
          100,
          0,
          match()
              .set(MatchField.IN_PORT, flows.placement.uplinkPort())
              .set(MatchField.ETH_TYPE, ARP)
              .set(MatchField.ARP_OP, 2),
          Instructions.apply(new Action.Output(Ports.CONTROLLER)));
    }
  }

  /** What is for nobody inside goes to the host with the way out. */
  private void leadOut(LogicalRouter router) {
    Integer host = flows.placement.tunnels().get(flows.placement.gateway());
    for (String name : router.switches()) {
      LogicalSwitch owner = flows.model.logicalSwitch(name);
      if (flows.placement.isGateway()) {
        flows.add(
            Stage.ROUTE,
            100,
            router.number(),
            match().set(MatchField.REG0, owner.number()).set(MatchField.ETH_TYPE, IPV4),
            then(Stage.LEAVE, new Action.DecrementNetworkTtl()));
      } else if (host != null && flows.placement.tunnelPort() != 0) {
        flows.add(
            Stage.ROUTE,
            100,
            router.number(),
            match()
                .set(MatchField.REG0, owner.number())
                .set(MatchField.REG3, 0)
                .set(MatchField.ETH_TYPE, IPV4),
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
          Action.Nat nat = translate(Action.Nat.SOURCE, address, 0);
          flows.add(
              Stage.LEAVE,
              200,
              port.number(),
              match()
                  .set(MatchField.REG4, router.number())
                  .set(MatchField.ETH_TYPE, IPV4)
                  .set(MatchField.IPV4_SRC, port.address() & 0xffffffffL),
              Instructions.apply(track(router, true, Stage.OUTSIDE, nat)));
        });
    Action.Nat nat = translate(Action.Nat.SOURCE, router.external(), 0);
    flows.add(
        Stage.LEAVE,
        100,
        router.number(),
        match().set(MatchField.REG4, router.number()).set(MatchField.ETH_TYPE, IPV4),
        Instructions.apply(track(router, true, Stage.OUTSIDE, nat)));
    if (flows.placement.nextHop() != 0) {
      flows.add(
          Stage.OUTSIDE,
          100,
          router.number(),
          match().set(MatchField.REG4, router.number()).set(MatchField.ETH_TYPE, IPV4),
          Instructions.apply(
              set(MatchField.ETH_SRC, router.externalEthernet()),
              set(MatchField.ETH_DST, flows.placement.nextHop()),
              new Action.Output(flows.placement.uplinkPort())));
    }
  }

  private void enter(LogicalRouter router) {
    int uplink = flows.placement.uplinkPort();
    List<Integer> addresses = new ArrayList<>(router.floating().keySet());
    addresses.add(router.external());
    for (int address : addresses) {
      flows.add(
          Stage.CLASSIFY,
          110,
          router.number(),
          match()
              .set(MatchField.IN_PORT, uplink)
              .set(MatchField.ETH_TYPE, ARP)
              .set(MatchField.ARP_OP, 1)
              .set(MatchField.ARP_TPA, address & 0xffffffffL),
          Instructions.apply(FlowCompiler.answer(address, router.externalEthernet())));
      flows.add(
          Stage.CLASSIFY,
          110,
          router.number(),
          match()
              .set(MatchField.IN_PORT, uplink)
              .set(MatchField.ETH_TYPE, IPV4)
              .set(MatchField.IPV4_DST, address & 0xffffffffL),
          Instructions.apply(
              set(MatchField.REG4, router.number()), track(router, false, Stage.ENTER, KEEP)));
    }
    flows.add(
        Stage.ENTER,
        200,
        router.number(),
        match()
            .set(MatchField.REG4, router.number())
            .set(MatchField.ETH_TYPE, IPV4)
            .masked(MatchField.CT_STATE, 0x02, 0x12),
        then(Stage.ROUTE));
    router
        .floating()
        .forEach((address, name) -> {
          LogicalPort port = flows.model.port(name);
          Action.Nat nat = translate(Action.Nat.DESTINATION, port.address(), 0);
          flows.add(
              Stage.ENTER,
              100,
              port.number(),
              match()
                  .set(MatchField.REG4, router.number())
                  .set(MatchField.ETH_TYPE, IPV4)
                  .set(MatchField.IPV4_DST, address & 0xffffffffL)
                  .masked(MatchField.CT_STATE, 0x01, 0x11),
              Instructions.apply(track(router, true, Stage.ROUTE, nat)));
        });
  }
}
