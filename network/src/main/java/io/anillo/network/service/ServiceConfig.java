package io.anillo.network.service;

import io.anillo.network.tenant.Ipv6;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * How the network of one host is run.
 *
 * @param folder holds the control socket and the description of the networks
 * @param uplink the way out: {@code none}, or what {@code NetworkChoice} reads, such as {@code
 *     user}
 * @param nextHop the first router outside, 0 for that of a user-mode uplink
 * @param nextHop6 the same for IPv6, which does not lead out without one
 * @param tunnel where other hosts' tunnels end here; empty for a host alone
 * @param listen where switches of other hosts find this controller; empty for this host only
 * @param controllers other hosts' controllers that this host's switch obeys; without {@code listen}
 *     it has none of its own
 * @param watched where a standby of this host's controller hears that it lives
 * @param standby where this host's controller hears that its master lives, whose standby it is
 */
public record ServiceConfig(
    Path folder,
    String uplink,
    int nextHop,
    Optional<Ipv6> nextHop6,
    Optional<InetSocketAddress> tunnel,
    Optional<InetSocketAddress> listen,
    List<InetSocketAddress> controllers,
    Optional<InetSocketAddress> watched,
    Optional<InetSocketAddress> standby) {

  public ServiceConfig {
    controllers = List.copyOf(controllers);
    if (watched.isPresent() && standby.isPresent()) {
      throw new IllegalArgumentException("a controller is a master or a standby");
    }
    if ((watched.isPresent() || standby.isPresent()) && listen.isEmpty()) {
      throw new IllegalArgumentException("a pair of controllers needs --listen at both");
    }
  }

  /** A host that is not one of a pair of controllers. */
  public ServiceConfig(
      Path folder,
      String uplink,
      int nextHop,
      Optional<InetSocketAddress> tunnel,
      Optional<InetSocketAddress> listen,
      List<InetSocketAddress> controllers) {
    this(
        folder,
        uplink,
        nextHop,
        Optional.empty(),
        tunnel,
        listen,
        controllers,
        Optional.empty(),
        Optional.empty());
  }

  /** Whether this host has a controller. */
  boolean controls() {
    return controllers.isEmpty() || listen.isPresent();
  }

  /** A host alone, with a way out through the user-mode network. */
  public static ServiceConfig alone(Path folder) {
    return new ServiceConfig(folder, "user", 0, Optional.empty(), Optional.empty(), List.of());
  }

  /** Where this user's network is, unless told otherwise. */
  public static Path folderOfUser() {
    String home = System.getenv("ANILLO_HOME");
    Path base =
        home != null && !home.isBlank()
            ? Path.of(home)
            : Path.of(System.getProperty("user.home"), ".local", "share", "anillo");
    return base.resolve("network");
  }

  static Path socket(Path folder) {
    return folder.resolve("control");
  }
}
