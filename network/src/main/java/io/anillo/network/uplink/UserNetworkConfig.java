package io.anillo.network.uplink;

import io.anillo.network.packet.Ipv4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;

/**
 * How a user-mode network looks to the guest and what it lets through.
 *
 * @param network the IPv4 network's first address; gateway .2, name server .3, guests from .15 on,
 *     all in a /24
 * @param prefixHigh the upper half of the IPv6 /64 prefix; gateway ::2, name server ::3
 * @param forwards host ports that lead to guests
 * @param restricted whether guests reach nothing but this network's own services
 * @param hostReachable whether the gateway's address leads to the host's loopback
 */
public record UserNetworkConfig(
    int network,
    long prefixHigh,
    List<Forward> forwards,
    boolean restricted,
    boolean hostReachable,
    int maximumConnections,
    long maximumBufferBytes) {

  /** A host port that leads to a guest's. Guest address 0 is the first guest's. */
  public record Forward(boolean tcp, InetSocketAddress host, int guestAddress, int guestPort) {}

  public static final UserNetworkConfig DEFAULT =
      new UserNetworkConfig(
          0x0a000200, 0xfd00616e696c6c00L, List.of(), false, true, 20_000, 256L << 20);

  public UserNetworkConfig {
    if ((network & 0xff) != 0) {
      throw new IllegalArgumentException("the network's address must end in .0");
    }
    forwards = List.copyOf(forwards);
  }

  public int gateway() {
    return network | 2;
  }

  public int nameServer() {
    return network | 3;
  }

  public int firstGuest() {
    return network | 15;
  }

  /**
   * Reads what follows {@code user} in {@code --network user,forward=tcp:8080:80,restrict=on}.
   *
   * @throws IllegalArgumentException with one clear sentence when an option is wrong
   */
  public static UserNetworkConfig parse(String options) {
    UserNetworkConfig config = DEFAULT;
    List<Forward> forwards = new ArrayList<>();
    for (String option : options.split(",", -1)) {
      if (option.isBlank()) {
        continue;
      }
      int equals = option.indexOf('=');
      String key = equals < 0 ? option : option.substring(0, equals);
      String value = equals < 0 ? "" : option.substring(equals + 1);
      config =
          switch (key) {
            case "forward" -> {
              forwards.add(parseForward(value));
              yield config;
            }
            case "restrict" -> config.with(config.network, onOff(key, value), config.hostReachable);
            case "host" -> config.with(config.network, config.restricted, onOff(key, value));
            case "net" -> config.with(parseNetwork(value), config.restricted, config.hostReachable);
            default ->
                throw new IllegalArgumentException(
                    "user network: unknown option \""
                        + key
                        + "\"; known are forward, restrict, host and net");
          };
    }
    return new UserNetworkConfig(
        config.network,
        config.prefixHigh,
        forwards,
        config.restricted,
        config.hostReachable,
        config.maximumConnections,
        config.maximumBufferBytes);
  }

  private UserNetworkConfig with(int newNetwork, boolean newRestricted, boolean newReachable) {
    return new UserNetworkConfig(
        newNetwork,
        prefixHigh,
        forwards,
        newRestricted,
        newReachable,
        maximumConnections,
        maximumBufferBytes);
  }

  private static boolean onOff(String key, String value) {
    return switch (value) {
      case "on", "" -> true;
      case "off" -> false;
      default ->
          throw new IllegalArgumentException(
              "user network: " + key + " is on or off, not \"" + value + "\"");
    };
  }

  private static int parseNetwork(String value) {
    String address = value.endsWith("/24") ? value.substring(0, value.length() - 3) : value;
    int network = Ipv4Address.parse(address);
    if ((network & 0xff) != 0) {
      throw new IllegalArgumentException(
          "user network: net must be a /24 such as 10.0.2.0/24, not \"" + value + "\"");
    }
    return network;
  }

  /** {@code tcp:[ADDRESS:]PORT:[GUEST:]PORT}; the host's address is loopback unless given. */
  private static Forward parseForward(String value) {
    String[] parts = value.split(":", -1);
    boolean tcp = parts[0].equals("tcp");
    if (!tcp && !parts[0].equals("udp") || parts.length < 3 || parts.length > 5) {
      throw badForward(value);
    }
    String host = "127.0.0.1";
    int next = 1;
    if (parts.length >= 4 && parts[1].contains(".")) {
      host = parts[next++];
    }
    int hostPort = port(parts[next++], value);
    int guest = 0;
    if (parts.length - next == 2) {
      guest = Ipv4Address.parse(parts[next++]);
    }
    if (parts.length - next != 1) {
      throw badForward(value);
    }
    int guestPort = port(parts[next], value);
    try {
      return new Forward(
          tcp, new InetSocketAddress(InetAddress.getByName(host), hostPort), guest, guestPort);
    } catch (UnknownHostException e) {
      throw badForward(value);
    }
  }

  private static IllegalArgumentException badForward(String value) {
    return new IllegalArgumentException(
        "user network: forward=\""
            + value
            + "\" is not tcp:[ADDRESS:]PORT:[GUEST:]PORT, for example tcp:8080:80");
  }

  private static int port(String text, String whole) {
    try {
      int port = Integer.parseInt(text);
      if (port >= 0 && port <= 65535) {
        return port;
      }
    } catch (NumberFormatException e) {
      throw badForward(whole);
    }
    throw badForward(whole);
  }
}
