package io.anillo.network.tenant;

import io.anillo.network.Peers;
import io.anillo.network.flow.FieldText;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * A network namespace that is plugged in as a logical port, or stands for the outside: the host's
 * own network stack as a guest. The other end of its cable is an interface with the port's real
 * name.
 */
final class Namespace implements AutoCloseable {
  /** How long a busy host may take for a command whose own patience is seconds. */
  private static final int PATIENCE_SECONDS = 60;

  private final String realName;
  private final String name;
  private final List<Process> servers = new ArrayList<>();

  Namespace(LogicalPort port) {
    this("ant" + port.number(), port.realName(), port.ethernet());
  }

  Namespace(String name, String realName, long ethernet) {
    this.name = name;
    this.realName = realName;
    remove();
    Peers.succeed("ip", "netns", "add", name);
    Peers.succeed(
        "ip", "link", "add", realName, "type", "veth", "peer", "name", "eth0", "netns", name);
    Peers.succeed("ip", "link", "set", realName, "up");
    succeed("ip", "link", "set", "eth0", "address", FieldText.address(ethernet));
    // The host answers for nothing here, and Open vSwitch completes no checksums.
    succeed("ethtool", "-K", "eth0", "tx", "off");
    succeed("ip", "link", "set", "lo", "up");
  }

  /** Brings the card up, once the other end is plugged in. */
  void up() {
    succeed("ip", "link", "set", "eth0", "up");
  }

  private String[] line(String... command) {
    List<String> line = new ArrayList<>(List.of("ip", "netns", "exec", name));
    line.addAll(List.of(command));
    return line.toArray(String[]::new);
  }

  void succeed(String... command) {
    Peers.succeed(line(command));
  }

  boolean ping(int ipv4) {
    return Peers.run(PATIENCE_SECONDS, line("ping", "-c", "1", "-W", "1", FieldText.ipv4(ipv4)))
            .exitCode()
        == 0;
  }

  boolean connects(int ipv4, int to) {
    return connects(FieldText.ipv4(ipv4), to);
  }

  boolean ping(Ipv6 address) {
    String[] command = line("ping", "-6", "-c", "1", "-W", "1", address.toString());
    return Peers.run(PATIENCE_SECONDS, command).exitCode() == 0;
  }

  boolean pingLink(Ipv6 address) {
    String[] command = line("ping", "-6", "-c", "1", "-W", "1", address + "%eth0");
    return Peers.run(PATIENCE_SECONDS, command).exitCode() == 0;
  }

  /** Pings from another of its own addresses than the kernel would take. */
  boolean pingFrom(Ipv6 source, Ipv6 address) {
    String[] command =
        line("ping", "-6", "-c", "1", "-W", "1", "-I", source + "%eth0", address.toString());
    return Peers.run(PATIENCE_SECONDS, command).exitCode() == 0;
  }

  boolean connects(Ipv6 address, int to) {
    return connects(address.toString(), to);
  }

  private boolean connects(String address, int to) {
    String target = "exec 3<>/dev/tcp/" + address + "/" + to;
    return Peers.run(PATIENCE_SECONDS, line("timeout", "2", "bash", "-c", target)).exitCode() == 0;
  }

  /** What the kernel knows of its own addresses, routes or neighbours. */
  String show(String... command) {
    return Peers.run(PATIENCE_SECONDS, line(command)).output();
  }

  void serve(int at) throws IOException {
    servers.add(
        new ProcessBuilder(line("iperf3", "-s", "-p", String.valueOf(at)))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start());
  }

  private void remove() {
    Peers.run(5, "ip", "netns", "del", name);
    Peers.run(5, "ip", "link", "del", realName);
  }

  @Override
  public void close() {
    servers.forEach(Process::destroy);
    remove();
  }
}
