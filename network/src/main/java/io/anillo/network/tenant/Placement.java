package io.anillo.network.tenant;

import java.util.Map;
import java.util.Set;

/**
 * Where things are at this moment, as one switch's flows must know it.
 *
 * @param datapathId the switch
 * @param local its port numbers, by the numbers of the logical ports plugged into them
 * @param homes the switch that each plugged-in logical port is at
 * @param tunnels the IPv4 address of each switch's end of tunnels
 * @param tunnelPort this switch's tunnel port, 0 for none
 * @param uplinkPort this switch's port to the outside, 0 for none
 * @param gateway the switch with the way out, 0 for none
 * @param outside what is there
 * @param nextHop the Ethernet address of the first router outside, 0 while unknown
 * @param nextHop6 the same of the one that IPv6 goes to
 * @param dead balancers' backends that do not answer, as {@code BALANCER BACKEND}
 */
record Placement(
    long datapathId,
    Map<Integer, Integer> local,
    Map<Integer, Long> homes,
    Map<Long, Integer> tunnels,
    int tunnelPort,
    int uplinkPort,
    long gateway,
    Outside outside,
    long nextHop,
    long nextHop6,
    Set<String> dead) {

  boolean isGateway() {
    return gateway != 0 && gateway == datapathId;
  }

  static String backend(LoadBalancer balancer, LoadBalancer.Backend backend) {
    return balancer.name() + " " + backend.name();
  }
}
