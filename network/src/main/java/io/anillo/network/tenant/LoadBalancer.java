package io.anillo.network.tenant;

import java.util.List;

/**
 * Spreads the connections to one address over several ports.
 *
 * @param logicalSwitch the switch whose network the address belongs to
 * @param checked whether a backend that does not answer gets no more connections (TCP only)
 */
public record LoadBalancer(
    int number,
    String name,
    String logicalSwitch,
    boolean tcp,
    int address,
    int port,
    List<Backend> backends,
    boolean checked) {

  /** A logical port by name and the transport port on it. */
  public record Backend(String name, int port) {}

  public LoadBalancer {
    Names.check(name);
    backends = List.copyOf(backends);
    if (port < 1 || port > 65_535) {
      throw new IllegalArgumentException("balancer " + name + ": port " + port + " is none");
    }
    if (checked && !tcp) {
      throw new IllegalArgumentException("balancer " + name + ": only TCP can be checked");
    }
  }
}
