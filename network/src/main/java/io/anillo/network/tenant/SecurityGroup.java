package io.anillo.network.tenant;

import java.util.List;
import java.util.Optional;

/**
 * What ports may receive and send. Answers to what was let through always pass, and so do ARP,
 * neighbour discovery and DHCP. A port whose groups have no rule for what it sends may send
 * everything.
 */
public record SecurityGroup(String name, List<Rule> rules) {
  public SecurityGroup {
    Names.check(name);
    rules = List.copyOf(rules);
  }

  /** What a rule speaks of. */
  public enum Protocol {
    ANY,
    TCP,
    UDP,
    ICMP
  }

  /**
   * One thing that is allowed.
   *
   * @param incoming towards the port, or from it
   * @param firstPort the first destination port, 0 for all
   * @param remote the other side's addresses, when they are of IPv4 or any
   * @param remote6 the other side's addresses, when they are of IPv6
   * @param remoteGroup the group that the other side must be in, empty for {@code remote}
   */
  public record Rule(
      boolean incoming,
      Protocol protocol,
      int firstPort,
      int lastPort,
      Ipv4 remote,
      Optional<Ipv6> remote6,
      String remoteGroup) {
    public Rule {
      boolean ports = protocol == Protocol.TCP || protocol == Protocol.UDP;
      if (firstPort < 0 || lastPort > 65_535 || firstPort > lastPort || !ports && lastPort != 0) {
        throw new IllegalArgumentException(
            "ports " + firstPort + " to " + lastPort + " of " + protocol + " make no rule");
      }
    }

    /**
     * Reads {@code in tcp:80-90 from 10.0.0.0/8}, {@code in icmp from group web}, {@code out any}.
     */
    public static Rule parse(List<String> words, String tenant) {
      String whole = String.join(" ", words);
      if (words.isEmpty() || !words.getFirst().matches("in|out")) {
        throw wrong(whole);
      }
      boolean incoming = words.getFirst().equals("in");
      String[] what = (words.size() > 1 ? words.get(1) : "any").split(":", 2);
      Protocol protocol =
          switch (what[0]) {
            case "any" -> Protocol.ANY;
            case "tcp" -> Protocol.TCP;
            case "udp" -> Protocol.UDP;
            case "icmp" -> Protocol.ICMP;
            default -> throw wrong(whole);
          };
      int first = 0;
      int last = 0;
      if (what.length == 2) {
        if (!what[1].matches("[0-9]{1,5}(-[0-9]{1,5})?")) {
          throw wrong(whole);
        }
        String[] ports = what[1].split("-", 2);
        first = Integer.parseInt(ports[0]);
        last = Integer.parseInt(ports[ports.length - 1]);
      }
      Ipv4 remote = Ipv4.ANY;
      Optional<Ipv6> remote6 = Optional.empty();
      String group = "";
      if (words.size() > 2) {
        if (!words.get(2).equals(incoming ? "from" : "to") || words.size() > 5) {
          throw wrong(whole);
        }
        if (words.size() == 5 && words.get(3).equals("group")) {
          group = Names.qualify(words.get(4), tenant);
        } else if (words.size() == 4 && words.get(3).contains(":")) {
          remote6 = Optional.of(Ipv6.parse(words.get(3)));
        } else if (words.size() == 4) {
          remote = Ipv4.parse(words.get(3));
        } else {
          throw wrong(whole);
        }
      }
      return new Rule(incoming, protocol, first, last, remote, remote6, group);
    }

    private static IllegalArgumentException wrong(String text) {
      return new IllegalArgumentException(
          "\""
              + text
              + "\" is no rule; rules are such as: in tcp:80, in any from group web,"
              + " in icmp from 10.0.0.0/8, in udp from fd00::/8, out udp:53 to 10.1.0.1");
    }

    @Override
    public String toString() {
      String ports =
          lastPort == 0 ? "" : ":" + firstPort + (lastPort == firstPort ? "" : "-" + lastPort);
      String side =
          !remoteGroup.isEmpty()
              ? " group " + remoteGroup
              : remote6.isPresent()
                  ? " " + remote6.get()
                  : remote.equals(Ipv4.ANY) ? "" : " " + remote;
      return (incoming ? "in " : "out ")
          + protocol.name().toLowerCase(java.util.Locale.ROOT)
          + ports
          + (side.isEmpty() ? "" : (incoming ? " from" : " to") + side);
    }
  }
}
