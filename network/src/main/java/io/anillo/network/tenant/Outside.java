package io.anillo.network.tenant;

import io.anillo.network.flow.FieldText;
import java.util.List;
import java.util.Optional;

/**
 * How the outside looks to the switch with the way out.
 *
 * @param nextHop the IPv4 address of its first router, 0 for none
 * @param nextHop6 the IPv6 address of its first router, in the network of 64 bits in which logical
 *     routers make their own addresses outside; without one, IPv6 does not lead out
 */
public record Outside(int nextHop, Optional<Ipv6> nextHop6) {
  public static final Outside NONE = new Outside(0, Optional.empty());

  public Outside {
    nextHop6.ifPresent(address -> {
      if (address.prefixLength() != 128 || address.isLinkLocal() || address.isMulticast()) {
        throw new IllegalArgumentException(
            address
                + " is no router's address in a network outside; its /64 is where logical routers"
                + " make their own");
      }
    });
  }

  /** An outside that speaks IPv4 only. */
  public Outside(int nextHop) {
    this(nextHop, Optional.empty());
  }

  /** The IPv6 address that all guests of a router share outside. */
  public Optional<Ipv6> address6(LogicalRouter router) {
    return router.external() == 0
        ? Optional.empty()
        : nextHop6.map(hop -> hop.network64().of(router.externalEthernet()));
  }

  /** All addresses that guests of a router share outside, as people write them. */
  public List<String> addresses(NetworkModel model, LogicalRouter router) {
    if (router.external() == 0) {
      return List.of();
    }
    String four = FieldText.ipv4(router.external());
    boolean inside6 =
        router.switches().stream()
            .anyMatch(name -> model.logicalSwitch(name).network6().isPresent());
    return address6(router)
        .filter(six -> inside6)
        .map(six -> List.of(four, six.toString()))
        .orElse(List.of(four));
  }
}
