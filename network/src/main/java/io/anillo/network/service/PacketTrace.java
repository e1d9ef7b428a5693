package io.anillo.network.service;

import io.anillo.network.controller.ConnectedSwitch;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.TracedPath;
import io.anillo.network.packet.Ipv4Address;
import io.anillo.network.tenant.LogicalPort;
import io.anillo.network.tenant.Names;
import io.anillo.network.tenant.NetworkModel;
import io.anillo.network.tenant.SampleFrame;
import io.anillo.network.tenant.TenantNetworks;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Says what would happen to a packet, with the names that people gave things. */
final class PacketTrace {
  private static final Pattern COOKIE = Pattern.compile("cookie 0x544e5400([0-9a-f]{8})");
  private static final Pattern REAL = Pattern.compile("\\(lp([0-9]+)\\)");

  private static final int MAXIMUM_HOPS = 16;
  private static final long PATIENCE_MILLIS = 2_000;

  private final NetworkService service;
  private final String tenant;

  PacketTrace(NetworkService service, String tenant) {
    this.service = service;
    this.tenant = tenant;
  }

  /** {@code PORT tcp|udp ADDRESS:PORT}, {@code PORT icmp ADDRESS} or {@code PORT HEXADECIMAL}. */
  String trace(List<String> words) {
    NetworkModel model = service.networks().model();
    if (words.size() < 2) {
      throw new IllegalArgumentException(
          "a packet is PORT tcp ADDRESS:PORT, PORT icmp ADDRESS or PORT and a frame in"
              + " hexadecimal");
    }
    Start start = start(model, words.getFirst());
    byte[] frame = words.size() == 2 ? bytes(words.get(1)) : frame(model, words);
    Map<Integer, String> things = things(model);
    StringBuilder text = new StringBuilder();
    Deque<Hop> hops = new ArrayDeque<>();
    hops.add(new Hop(start.host(), new TracedPath.Entry(start.port(), frame)));
    for (int i = 0; i < MAXIMUM_HOPS && !hops.isEmpty(); i++) {
      Hop hop = hops.remove();
      if (i > 0 || hop.host() != service.hostSwitch().datapathId()) {
        text.append("at ").append(NetworkReport.host(hop.host())).append(":\n");
      }
      Optional<TracedPath> path = follow(hop);
      if (path.isEmpty()) {
        text.append("  its switch does not say; on Open vSwitch's host, ovs-appctl ofproto/trace")
            .append('\n');
        continue;
      }
      for (String line : path.get().steps()) {
        text.append(name(line, things)).append('\n');
      }
      path.get().exits().forEach(exit -> next(hop.host(), exit).ifPresent(hops::add));
    }
    return text.toString();
  }

  /** Where a packet comes into a host's switch. */
  private record Hop(long host, TracedPath.Entry entry) {}

  private record Start(long host, int port) {}

  /** A real port of this host's switch, or where a logical port is plugged in. */
  private Start start(NetworkModel model, String name) {
    long here = service.hostSwitch().datapathId();
    Optional<SwitchPort> real = service.hostSwitch().port(name);
    if (real.isPresent()) {
      return new Start(here, real.get().number());
    }
    String realName = model.port(Names.qualify(name, tenant)).realName();
    real = service.hostSwitch().port(realName);
    if (real.isPresent()) {
      return new Start(here, real.get().number());
    }
    for (Map.Entry<Long, Map<String, Integer>> host : service.networks().realPorts().entrySet()) {
      Integer number = host.getValue().get(realName);
      if (number != null) {
        return new Start(host.getKey(), number);
      }
    }
    throw new IllegalArgumentException("port " + name + " is not plugged in anywhere");
  }

  private static byte[] bytes(String hexadecimal) {
    try {
      return HexFormat.of().parseHex(hexadecimal);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("\"" + hexadecimal + "\" is no frame", e);
    }
  }

  private byte[] frame(NetworkModel model, List<String> words) {
    LogicalPort from = model.port(Names.qualify(words.getFirst(), tenant));
    String[] target = words.get(2).split(":", 2);
    int address = Ipv4Address.parse(target[0]);
    int number =
        target.length == 2 && target[1].matches("[0-9]{1,5}") ? Integer.parseInt(target[1]) : 0;
    return SampleFrame.of(model, from, words.get(1), address, number);
  }

  private Optional<TracedPath> follow(Hop hop) {
    if (hop.host() == service.hostSwitch().datapathId()) {
      return Optional.of(service.hostSwitch().trace(hop.entry()));
    }
    for (ConnectedSwitch device : service.controller().switches()) {
      if (device.datapathId() == hop.host()) {
        return device.trace(hop.entry(), PATIENCE_MILLIS);
      }
    }
    return Optional.empty();
  }

  /** Where a copy that leaves a host by its tunnel port arrives. */
  private Optional<Hop> next(long host, TracedPath.Exit exit) {
    Map<Long, Map<String, Integer>> hosts = service.networks().realPorts();
    Optional<Integer> source =
        hosts.getOrDefault(host, Map.of()).entrySet().stream()
            .filter(port -> port.getValue() == exit.port())
            .flatMap(port -> TenantNetworks.tunnelAddress(port.getKey()).stream())
            .findFirst();
    if (source.isEmpty()) {
      return Optional.empty();
    }
    String arrival = TenantNetworks.tunnelName(exit.destination());
    return hosts.entrySet().stream()
        .filter(other -> other.getValue().containsKey(arrival))
        .map(other ->
            new Hop(
                other.getKey(),
                new TracedPath.Entry(
                    other.getValue().getOrDefault(arrival, 0),
                    exit.tunnel(),
                    source.get(),
                    exit.destination(),
                    exit.frame())))
        .findFirst();
  }

  private static Map<Integer, String> things(NetworkModel model) {
    Map<Integer, String> things = new TreeMap<>();
    model.switches().values().forEach(s -> things.put(s.number(), "switch " + s.name()));
    model.ports().values().forEach(p -> things.put(p.number(), "port " + p.name()));
    model.routers().values().forEach(r -> things.put(r.number(), "router " + r.name()));
    model.balancers().values().forEach(b -> things.put(b.number(), "balancer " + b.name()));
    return things;
  }

  private static String name(String line, Map<Integer, String> things) {
    Matcher cookie = COOKIE.matcher(line);
    if (cookie.find()) {
      int number = Integer.parseInt(cookie.group(1), 16);
      String thing = number == 0 ? "rule for all" : things.getOrDefault(number, "something gone");
      line = line.substring(0, cookie.start()) + thing;
      Matcher table = Pattern.compile("table ([0-9]+):").matcher(line);
      if (table.find()) {
        String stage = SampleFrame.stage(Integer.parseInt(table.group(1)));
        line = table.replaceFirst(stage + ":");
      }
    }
    Matcher next = Pattern.compile("then table ([0-9]+)").matcher(line);
    if (next.find()) {
      line = next.replaceFirst("then " + SampleFrame.stage(Integer.parseInt(next.group(1))));
    }
    Matcher real = REAL.matcher(line);
    return real.replaceAll(found ->
        Matcher.quoteReplacement(
            "(" + things.getOrDefault(Integer.parseInt(found.group(1)), found.group()) + ")"));
  }
}
