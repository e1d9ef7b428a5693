package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.Packet;

/**
 * Answers ARP and neighbour discovery for the gateway's addresses and advertises it as a router
 * (RFC 826, RFC 4861).
 */
final class NeighbourService {
  private static final Endpoint ALL_NODES = new Endpoint(0xff02L << 48, 1);
  private static final long LINK_LOCAL = 0xfe80L << 48;
  private static final int LIFETIME_SECONDS = 1800;

  private final UserNetworkConfig config;
  private final GuestLink link;
  private final Endpoint router = new Endpoint(LINK_LOCAL, 2);

  NeighbourService(UserNetworkConfig config, GuestLink link) {
    this.config = config;
    this.link = link;
  }

  /** Whether an address is one that this gateway answers for. */
  boolean owns(Endpoint address) {
    if (address.isIpv4()) {
      return address.ipv4() == config.gateway() || address.ipv4() == config.nameServer();
    }
    return (address.high() == config.prefixHigh() || address.high() == LINK_LOCAL)
        && (address.low() == 2 || address.low() == 3);
  }

  void arp(Packet packet) {
    byte[] data = packet.data();
    int at = packet.networkOffset();
    if (at < 0) {
      return;
    }
    int sender = Bytes.getInt(data, at + 14);
    long ethernet = Bytes.getAddress(data, at + 8);
    int target = Bytes.getInt(data, at + 24);
    if ((sender & 0xffffff00) == config.network() && !owns(Endpoint.ipv4(sender))) {
      link.learn(Endpoint.ipv4(sender), ethernet);
    }
    if (Bytes.getShort(data, at + 6) == 1 && owns(Endpoint.ipv4(target))) {
      link.sendArp(2, target, ethernet, sender);
    }
  }

  /** Takes an ICMPv6 message of neighbour discovery; false when it is something else. */
  boolean icmpv6(Packet packet, Endpoint source) {
    byte[] data = packet.data();
    int at = packet.transportOffset();
    int type = Bytes.getByte(data, at);
    int available = packet.start() + packet.length() - at;
    if (type == 133) {
      advertiseRouter(source.high() == 0 ? ALL_NODES : source);
      return true;
    }
    if (type == 135 && available >= 24) {
      Endpoint target = new Endpoint(Bytes.getLong(data, at + 8), Bytes.getLong(data, at + 16));
      if (owns(target)) {
        answer(target, source.high() == 0 ? ALL_NODES : source);
      }
      return true;
    }
    return type == 134 || type == 136;
  }

  private void answer(Endpoint target, Endpoint asker) {
    int at = link.begin(target, asker, 58);
    byte[] data = link.buffer();
    boolean solicited = !asker.equals(ALL_NODES);
    Bytes.putInt(data, at, 136 << 24);
    Bytes.putInt(data, at + 4, 0xa0000000 | (solicited ? 0x40000000 : 0));
    Bytes.putLong(data, at + 8, target.high());
    Bytes.putLong(data, at + 16, target.low());
    Bytes.putShort(data, at + 24, 0x0201);
    Bytes.putAddress(data, at + 26, GuestLink.ADDRESS);
    link.send(58, 32, 2);
  }

  /** Advertises prefix, MTU and name server (RFC 4861 §4.2, RFC 8106 §5.1). */
  void advertiseRouter(Endpoint to) {
    int at = link.begin(router, to, 58);
    byte[] data = link.buffer();
    Bytes.putInt(data, at, 134 << 24);
    Bytes.putInt(data, at + 4, 64 << 24 | LIFETIME_SECONDS);
    Bytes.putLong(data, at + 8, 0);
    Bytes.putShort(data, at + 16, 0x0101);
    Bytes.putAddress(data, at + 18, GuestLink.ADDRESS);
    Bytes.putLong(data, at + 24, 0x0501L << 48 | GuestLink.MTU);
    int prefix = at + 32;
    Bytes.putInt(data, prefix, 0x03044000 | 0xc0);
    Bytes.putInt(data, prefix + 4, 86_400);
    Bytes.putInt(data, prefix + 8, 14_400);
    Bytes.putInt(data, prefix + 12, 0);
    Bytes.putLong(data, prefix + 16, config.prefixHigh());
    Bytes.putLong(data, prefix + 24, 0);
    int names = prefix + 32;
    Bytes.putInt(data, names, 0x19030000);
    Bytes.putInt(data, names + 4, LIFETIME_SECONDS);
    Bytes.putLong(data, names + 8, config.prefixHigh());
    Bytes.putLong(data, names + 16, 3);
    link.send(58, names + 24 - at, 2);
  }
}
