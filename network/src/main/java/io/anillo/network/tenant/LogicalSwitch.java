package io.anillo.network.tenant;

/**
 * One Ethernet of a tenant.
 *
 * @param number its VXLAN network identifier
 * @param name {@code TENANT/NAME}
 * @param network the addresses of its ports; the first is that of its gateway, DHCP and name server
 * @param isolated whether ports reach the gateway only and not each other, as at an access point
 */
public record LogicalSwitch(int number, String name, Ipv4 network, boolean isolated) {
  public LogicalSwitch {
    Names.check(name);
    if (network.prefixLength() < 8 || network.prefixLength() > 29) {
      throw new IllegalArgumentException(
          "switch " + name + ": a network is between /8 and /29, not " + network);
    }
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
