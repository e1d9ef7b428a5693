package io.anillo.network.tenant;

import java.util.List;

/**
 * A place at a logical switch for one guest. The real port that has the name {@link #realName} on
 * any of the switches is where it is plugged in.
 *
 * @param number its connection tracking zone, unique among all ports and routers
 * @param name {@code TENANT/NAME}
 * @param ethernet the only Ethernet address it may send from
 * @param address the only IPv4 address it may send from, given to it by DHCP
 * @param groups its security groups; without any everything passes
 * @param kilobits the rate it may send at, and be sent at, per second; 0 for any
 */
public record LogicalPort(
    int number,
    String name,
    String logicalSwitch,
    long ethernet,
    int address,
    List<String> groups,
    long kilobits) {
  public LogicalPort {
    Names.check(name);
    groups = List.copyOf(groups);
    if (ethernet <= 0 || ethernet >>> 48 != 0 || (ethernet >>> 40 & 1) != 0) {
      throw new IllegalArgumentException(
          "port " + name + ": 0x" + Long.toHexString(ethernet) + " is no card's address");
    }
    if (kilobits < 0) {
      throw new IllegalArgumentException("port " + name + ": a rate is not negative");
    }
  }

  /** The name of the real port that this one is plugged into. */
  public String realName() {
    return realName(number);
  }

  public static String realName(int number) {
    return "lp" + number;
  }

  /** The Ethernet address of a port that was not given another. */
  public static long ownEthernet(int number) {
    return 0x02_61_70_00_0000L | number;
  }

  LogicalPort withGroups(List<String> changed) {
    return new LogicalPort(number, name, logicalSwitch, ethernet, address, changed, kilobits);
  }

  LogicalPort withRate(long changed) {
    return new LogicalPort(number, name, logicalSwitch, ethernet, address, groups, changed);
  }
}
