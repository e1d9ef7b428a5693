package io.anillo.network.tenant;

import io.anillo.network.controller.ConnectedSwitch;
import io.anillo.network.controller.ReceivedPacket;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.Bytes;
import java.util.List;
import java.util.Optional;

/**
 * What a logical switch's gateway says in IPv6's neighbour discovery (RFC 4861): that it is there,
 * what the network is, and whether it leads anywhere. OpenFlow 1.3 cannot turn a solicitation into
 * an advertisement, whose option is of another type, so the controller does.
 */
final class NeighbourAnswers {
  /** How often routers say by themselves that they are there. */
  static final long EVERY_MILLIS = 300_000;

  private static final int IP = 14;
  private static final int BODY = 54;
  private static final int ROUTER_SECONDS = 1_800;
  private static final int VALID_SECONDS = 86_400;
  private static final int PREFERRED_SECONDS = 14_400;
  private static final int ON_LINK = 0x80;
  private static final int MAKE_ADDRESSES = 0x40;

  private NeighbourAnswers() {}

  /** Answers a port's solicitation; false when it is none. */
  static boolean answer(
      ConnectedSwitch device, ReceivedPacket packet, NetworkModel model, LogicalPort port) {
    byte[] frame = packet.frame();
    LogicalSwitch owner = model.logicalSwitch(port.logicalSwitch());
    Optional<Ipv6> network = owner.network6();
    if (network.isEmpty()
        || packet.etherType() != FlowCompiler.IPV6
        || frame.length < BODY + 8
        || frame[IP + 6] != 58) {
      return false;
    }
    int type = Bytes.getByte(frame, BODY);
    if (type != Ipv6Compiler.ROUTER_SOLICITATION && type != Ipv6Compiler.SOLICITATION) {
      return false;
    }
    // Whatever a router has forwarded is from elsewhere (RFC 4861 §6.1.1, §7.1.1).
    if (Bytes.getByte(frame, IP + 7) == 255 && frame[BODY + 1] == 0) {
      Optional<byte[]> answer =
          type == Ipv6Compiler.ROUTER_SOLICITATION
              ? Optional.of(advertisement(model, port))
              : neighbour(frame, owner, network.get(), port);
      answer.ifPresent(
          sent -> device.packetOut(sent, Ports.CONTROLLER, new Action.Output(packet.inPort())));
    }
    return true;
  }

  private static Optional<byte[]> neighbour(
      byte[] frame, LogicalSwitch owner, Ipv6 network, LogicalPort port) {
    if (frame.length < BODY + 24) {
      return Optional.empty();
    }
    Ipv6 asker = Ipv6.address(Bytes.getLong(frame, IP + 8), Bytes.getLong(frame, IP + 16));
    Ipv6 target = Ipv6.address(Bytes.getLong(frame, BODY + 8), Bytes.getLong(frame, BODY + 16));
    boolean own =
        asker.equals(network.of(port.ethernet())) || asker.equals(Ipv6.linkLocal(port.ethernet()));
    // Who has no address yet learns that this one is taken (RFC 4861 §7.2.4).
    boolean none = asker.high() == 0 && asker.low() == 0;
    boolean ours =
        target.equals(network.first()) || target.equals(Ipv6.linkLocal(owner.gatewayEthernet()));
    if (!ours || !own && !none) {
      return Optional.empty();
    }
    return Optional.of(neighbour(owner.gatewayEthernet(), target, port.ethernet(), asker));
  }

  /** Tells an asker that a router has an address; one without an address is told as all are. */
  static byte[] neighbour(long ethernet, Ipv6 address, long askerEthernet, Ipv6 asker) {
    boolean none = asker.high() == 0 && asker.low() == 0;
    byte[] body = new byte[32];
    Bytes.putInt(body, 0, Ipv6Compiler.ADVERTISEMENT << 24);
    Bytes.putInt(body, 4, none ? 0xa0000000 : 0xe0000000);
    Bytes.putLong(body, 8, address.high());
    Bytes.putLong(body, 16, address.low());
    Bytes.putShort(body, 24, 0x0201);
    Bytes.putAddress(body, 26, ethernet);
    return FrameBuilder.icmpv6(
        ethernet, address, askerEthernet, none ? Ipv6.ALL_NODES : asker, body);
  }

  /** What a port is told of its network; the switch must have one. */
  static byte[] advertisement(NetworkModel model, LogicalPort port) {
    LogicalSwitch owner = model.logicalSwitch(port.logicalSwitch());
    Ipv6 network = owner.network6().orElseThrow();
    boolean router = model.routerOf(owner.name()).isPresent();
    byte[] body = new byte[64];
    Bytes.putInt(body, 0, Ipv6Compiler.ROUTER_ADVERTISEMENT << 24);
    Bytes.putInt(body, 4, 64 << 24 | (router ? ROUTER_SECONDS : 0));
    Bytes.putShort(body, 16, 0x0101);
    Bytes.putAddress(body, 18, owner.gatewayEthernet());
    Bytes.putInt(body, 24, 0x0501 << 16);
    Bytes.putInt(body, 28, GuestServices.MTU);
    Bytes.putShort(body, 32, 0x0304);
    Bytes.putByte(body, 34, network.prefixLength());
    // At an isolated switch all others are reached by the gateway, which refuses.
    Bytes.putByte(body, 35, MAKE_ADDRESSES | (owner.isolated() ? 0 : ON_LINK));
    Bytes.putInt(body, 36, VALID_SECONDS);
    Bytes.putInt(body, 40, PREFERRED_SECONDS);
    Bytes.putLong(body, 48, network.high());
    Bytes.putLong(body, 56, network.low());
    return FrameBuilder.icmpv6(
        owner.gatewayEthernet(),
        Ipv6.linkLocal(owner.gatewayEthernet()),
        port.ethernet(),
        Ipv6.ALL_NODES,
        body);
  }

  /** The ports that are told of their networks now and then. */
  static List<LogicalPort> listeners(NetworkModel model) {
    return model.ports().values().stream()
        .filter(port -> model.logicalSwitch(port.logicalSwitch()).network6().isPresent())
        .toList();
  }
}
