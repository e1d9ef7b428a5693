package io.anillo.network;

import io.anillo.network.host.HostInterface;
import io.anillo.network.service.Request;
import io.anillo.network.service.ServiceClient;
import io.anillo.network.service.ServiceConfig;
import io.anillo.network.tenant.Names;
import io.anillo.network.uplink.UserNetwork;
import io.anillo.network.uplink.UserNetworkConfig;
import io.anillo.vmm.port.NetworkBackend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;

/** What a guest's card can be plugged into, as {@code --network} says it. */
public final class NetworkChoice {
  private NetworkChoice() {}

  /**
   * Opens the network that a text names: {@code user[,forward=tcp:8080:80][,restrict=on]}, {@code
   * tap=NAME}, {@code packet=INTERFACE}, or {@code
   * net=[TENANT/]SWITCH[,name=NAME][,address=A][,policy=P+Q][,rate=10M]} for a port of the network
   * service that runs on this host, or {@code port=NUMBER} for one that another host's knows.
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
    if (kind.startsWith("net=")) {
      return plug(kind.substring(4), options);
    }
    if (kind.startsWith("port=")) {
      Request request = Request.of("plug").with("number", kind.substring(5));
      for (String option : options.split(",", -1)) {
        if (!option.startsWith("ethernet=") && !option.isBlank()) {
          throw new IllegalArgumentException(
              "network port: unknown option \"" + option + "\"; known is ethernet");
        }
        request = option.isBlank() ? request : request.with("ethernet", option.substring(9));
      }
      return ServiceClient.plug(ServiceConfig.folderOfUser(), request);
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
        "unknown network \""
            + kind
            + "\"; known are user, net=SWITCH, port=NUMBER, tap=NAME and packet=INTERFACE");
  }

  private static NetworkBackend plug(String switchName, String options) throws IOException {
    Path folder = ServiceConfig.folderOfUser();
    String qualified = Names.qualify(switchName, Names.DEFAULT_TENANT);
    Request request =
        Request.of("plug").with("switch", qualified).with("tenant", Names.tenant(qualified));
    for (String option : options.split(",", -1)) {
      if (option.isBlank()) {
        continue;
      }
      String[] parts = option.split("=", 2);
      String value = parts.length == 2 ? parts[1] : "";
      request =
          switch (parts[0]) {
            case "name", "address", "rate" -> request.with(parts[0], value);
            case "policy" -> request.with("groups", value.replace('+', ','));
            default ->
                throw new IllegalArgumentException(
                    "network net: unknown option \""
                        + parts[0]
                        + "\"; known are name, address, policy and rate");
          };
    }
    return ServiceClient.plug(folder, request);
  }
}
