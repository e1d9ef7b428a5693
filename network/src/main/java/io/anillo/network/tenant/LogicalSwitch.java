package io.anillo.network.tenant;

import java.util.Optional;

/**
 * One Ethernet of a tenant.
 *
 * @param number its VXLAN network identifier
 * @param name {@code TENANT/NAME}
 * @param network the addresses of its ports; the first is that of its gateway, DHCP and name server
 * @param network6 the IPv6 network, of 64 bits, in which ports make their own addresses; without
 *     one, IPv6 passes between ports as it is
 * @param isolated whether ports reach the gateway only and not each other, as at an access point
 */
public record LogicalSwitch(
    int number, String name, Ipv4 network, Optional<Ipv6> network6, boolean isolated) {
  public LogicalSwitch {
    Names.check(name);
    if (network.prefixLength() < 8 || network.prefixLength() > 29) {
      throw new IllegalArgumentException(
          "switch " + name + ": a network is between /8 and /29, not " + network);
    }
    network6.ifPresent(six -> {
      if (six.prefixLength() != 64
          || six.high() >>> 61 == 0
          || six.high() >>> 54 == 0x3fa
          || six.high() >>> 56 == 0xff) {
        throw new IllegalArgumentException(
            "switch "
                + name
                + ": an IPv6 network for guests is a /64 such as fd00:5::/64, not "
                + six);
      }
    });
  }

  /** The address of gateway, DHCP and name server. */
  public int gateway() {
    return network.first();
  }

  /** The Ethernet address that the gateway has on every host. */
  public long gatewayEthernet() {
    return 0x02_61_6e_00_0000L | number & 0xffffff;
  }

  /** The domain of its ports' names. */
  public String domain() {
    return Names.local(name) + "." + Names.tenant(name) + ".internal";
  }
}
