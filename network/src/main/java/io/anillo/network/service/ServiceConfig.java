package io.anillo.network.service;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How the network of one host is run.
 *
 * @param folder holds the control socket and the description of the networks
 * @param uplink the way out: {@code none}, or what {@code NetworkChoice} reads, such as {@code
 *     user}
 * @param nextHop the first router outside, 0 for that of a user-mode uplink
 * @param tunnel where other hosts' tunnels end here; empty for a host alone
 * @param listen where switches of other hosts find this controller; empty for this host only
 * @param controllers other hosts' controllers that this host's switch obeys, instead of its own
 */
public record ServiceConfig(
    Path folder,
    String uplink,
    int nextHop,
    Optional<InetSocketAddress> tunnel,
    Optional<InetSocketAddress> listen,
    java.util.List<InetSocketAddress> controllers) {

  public ServiceConfig {
    controllers = java.util.List.copyOf(controllers);
  }

  /** A host alone, with a way out through the user-mode network. */
  public static ServiceConfig alone(Path folder) {
    return new ServiceConfig(
        folder, "user", 0, Optional.empty(), Optional.empty(), java.util.List.of());
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
