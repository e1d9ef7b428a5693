package io.anillo.network;

import io.anillo.network.host.HostInterface;
import io.anillo.network.uplink.UserNetwork;
import io.anillo.network.uplink.UserNetworkConfig;
import io.anillo.vmm.port.NetworkBackend;
import java.io.IOException;
import java.io.UncheckedIOException;

/** What a guest's card can be plugged into, as {@code --network} says it. */
public final class NetworkChoice {
  private NetworkChoice() {}

  /**
   * Opens the network that a text names: {@code user[,forward=tcp:8080:80][,restrict=on]}, {@code
   * tap=NAME} or {@code packet=INTERFACE}.
   *
   * @throws IllegalArgumentException with one clear sentence when the text says nothing sensible
   * @throws IOException with one clear sentence when the host refuses
   */
  public static NetworkBackend open(String text) throws IOException {
    int comma = text.indexOf(',');
    String kind = comma < 0 ? text : text.substring(0, comma);
    String options = comma < 0 ? "" : text.substring(comma + 1);
    if (kind.equals("user")) {
      try {
        return new UserNetwork(UserNetworkConfig.parse(options));
      } catch (UncheckedIOException e) {
        throw new IOException(e.getMessage(), e);
      }
    }
    if (!options.isEmpty()) {
      throw new IllegalArgumentException("network " + kind + " takes no options");
    }
    if (kind.startsWith("tap=")) {
      return HostInterface.tap(kind.substring(4));
    }
    if (kind.startsWith("packet=")) {
      return HostInterface.packetSocket(kind.substring(7));
    }
    throw new IllegalArgumentException(
        "unknown network \"" + kind + "\"; known are user, tap=NAME and packet=INTERFACE");
  }
}
