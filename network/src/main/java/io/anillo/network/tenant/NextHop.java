package io.anillo.network.tenant;

import io.anillo.network.controller.ReceivedPacket;
import io.anillo.network.packet.Bytes;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the controller says and hears at the port to the outside: it looks for the first router
 * there (RFC 826, RFC 4861), and answers for the IPv6 addresses of logical routers. Those of IPv4
 * are answered by flows, which cannot turn a solicitation into an advertisement.
 */
final class NextHop {
  private static final int BODY = 54;

  /** What came of a packet from outside. */
  enum Heard {
    NOTHING,
    SAME,
    CHANGED
  }

  private final Outside outside;
  private long ethernet;
  private long ethernet6;

  NextHop(Outside outside) {
    this.outside = outside;
  }

  /** The Ethernet address of the router outside, 0 while unknown. */
  long ethernet() {
    return ethernet;
  }

  /** The same of the one that IPv6 goes to. */
  long ethernet6() {
    return ethernet6;
  }

  /** The questions for what is not known yet, asked in a router's name. */
  List<byte[]> questions(LogicalRouter router) {
    List<byte[]> questions = new ArrayList<>();
    if (outside.nextHop() != 0 && ethernet == 0) {
      questions.add(
          FrameBuilder.arpRequest(router.externalEthernet(), router.external(), outside.nextHop()));
    }
    if (ethernet6 == 0) {
      outside
          .address6(router)
          .ifPresent(own -> questions.add(solicitation(router, own, outside.nextHop6().get())));
    }
    return questions;
  }

  private static byte[] solicitation(LogicalRouter router, Ipv6 own, Ipv6 target) {
    byte[] body = new byte[32];
    Bytes.putInt(body, 0, Ipv6Compiler.SOLICITATION << 24);
    Bytes.putLong(body, 8, target.high());
    Bytes.putLong(body, 16, target.low());
    Bytes.putShort(body, 24, 0x0101);
    Bytes.putAddress(body, 26, router.externalEthernet());
    Ipv6 group = target.solicitedNode();
    return FrameBuilder.icmpv6(
        router.externalEthernet(), own, group.multicastEthernet(), group, body);
  }

  /** Learns from an answer where the first router is. */
  Heard hear(ReceivedPacket packet) {
    byte[] frame = packet.frame();
    if (packet.etherType() == FlowCompiler.ARP) {
      if (frame.length < 42
          || Bytes.getShort(frame, 20) != 2
          || Bytes.getInt(frame, 28) != outside.nextHop()) {
        return Heard.NOTHING;
      }
      long found = Bytes.getAddress(frame, 22);
      boolean same = found == ethernet;
      ethernet = found;
      return same ? Heard.SAME : Heard.CHANGED;
    }
    if (!isNeighbourMessage(packet, Ipv6Compiler.ADVERTISEMENT)
        || !outside.nextHop6().equals(Optional.of(target(frame)))) {
      return Heard.NOTHING;
    }
    // Without the option with its Ethernet address, it is where the advertisement came from.
    boolean told = frame.length >= BODY + 32 && Bytes.getShort(frame, BODY + 24) == 0x0201;
    long found = told ? Bytes.getAddress(frame, BODY + 26) : packet.source();
    boolean same = found == ethernet6;
    ethernet6 = found;
    return same ? Heard.SAME : Heard.CHANGED;
  }

  /** The advertisement that answers who asks outside for a router of ours; empty otherwise. */
  Optional<byte[]> answer(ReceivedPacket packet, NetworkModel model) {
    if (!isNeighbourMessage(packet, Ipv6Compiler.SOLICITATION)) {
      return Optional.empty();
    }
    byte[] frame = packet.frame();
    Ipv6 asked = target(frame);
    Ipv6 asker = Ipv6.address(Bytes.getLong(frame, 22), Bytes.getLong(frame, 30));
    return model.routers().values().stream()
        .filter(router -> outside.address6(router).equals(Optional.of(asked)))
        .findFirst()
        .map(router ->
            NeighbourAnswers.neighbour(router.externalEthernet(), asked, packet.source(), asker));
  }

  private static boolean isNeighbourMessage(ReceivedPacket packet, int type) {
    byte[] frame = packet.frame();
    return packet.etherType() == FlowCompiler.IPV6
        && frame.length >= BODY + 24
        && frame[20] == 58
        && Bytes.getByte(frame, 21) == 255
        && Bytes.getByte(frame, BODY) == type
        && frame[BODY + 1] == 0;
  }

  private static Ipv6 target(byte[] frame) {
    return Ipv6.address(Bytes.getLong(frame, BODY + 8), Bytes.getLong(frame, BODY + 16));
  }
}
