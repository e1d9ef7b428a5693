package io.anillo.network.tenant;

import java.util.List;
import java.util.Map;

/**
 * Joins logical switches, and leads out.
 *
 * @param number its connection tracking zone
 * @param switches the switches whose gateway it is
 * @param external the address that its guests share outside, 0 for no way out
 * @param floating addresses outside that lead to one port each, and that the port has outside
 */
public record LogicalRouter(
    int number, String name, List<String> switches, int external, Map<Integer, String> floating) {
  public LogicalRouter {
    Names.check(name);
    switches = List.copyOf(switches);
    floating = Map.copyOf(floating);
  }

  /** The Ethernet address of all its addresses outside. */
  public long externalEthernet() {
    return 0x02_61_72_00_0000L | number & 0xffffff;
  }
}
