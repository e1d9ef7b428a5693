package io.anillo.network.uplink;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;

/**
 * The connections whose handshake is not complete, by the guest's address. Of too many the one to
 * give up is the oldest of the guest that has most: handshakes take a round trip, and so a flood of
 * them that are never finished keeps no other guest from connecting, and its own guest hardly.
 */
final class OpeningConnections {
  private final int maximum;
  private final Map<Endpoint, LinkedHashSet<TcpConnection>> byGuest = new HashMap<>();
  private int size;

  OpeningConnections(int maximum) {
    this.maximum = maximum;
  }

  void add(TcpConnection connection) {
    if (byGuest
        .computeIfAbsent(connection.key.guest(), g -> new LinkedHashSet<>())
        .add(connection)) {
      size++;
    }
  }

  /** Does nothing for a connection whose handshake was complete before. */
  void remove(TcpConnection connection) {
    LinkedHashSet<TcpConnection> same = byGuest.get(connection.key.guest());
    if (same == null || !same.remove(connection)) {
      return;
    }
    size--;
    if (same.isEmpty()) {
      byGuest.remove(connection.key.guest());
    }
  }

  /** The connection to give up before another may begin; empty while there is room. */
  Optional<TcpConnection> excess() {
    if (size < maximum) {
      return Optional.empty();
    }
    LinkedHashSet<TcpConnection> most = new LinkedHashSet<>();
    for (LinkedHashSet<TcpConnection> of : byGuest.values()) {
      most = of.size() > most.size() ? of : most;
    }
    return Optional.of(most.getFirst());
  }
}
