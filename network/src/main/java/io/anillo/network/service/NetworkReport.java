package io.anillo.network.service;

import io.anillo.network.controller.ConnectedSwitch;
import io.anillo.network.controller.ConnectedSwitch.PortCounters;
import io.anillo.network.flow.FieldText;
import io.anillo.network.tenant.LoadBalancer;
import io.anillo.network.tenant.LogicalPort;
import io.anillo.network.tenant.LogicalRouter;
import io.anillo.network.tenant.LogicalSwitch;
import io.anillo.network.tenant.Names;
import io.anillo.network.tenant.NetworkModel;
import io.anillo.network.tenant.Outside;
import io.anillo.network.tenant.PortMirror;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What there is and what has passed, as a table, as JSON or as a picture. */
final class NetworkReport {
  private static final long PATIENCE_MILLIS = 2_000;
  private static final PortCounters NOTHING = new PortCounters(0, 0, 0, 0);

  /** A port, where it is plugged in (0 for nowhere), and what it has sent and received. */
  record PortLine(LogicalPort port, long home, PortCounters counters) {}

  private final NetworkModel model;
  private final Map<Long, Map<String, Integer>> hosts;
  private final Set<Long> connected;
  private final Outside outside;
  private final Set<String> dead;
  private final List<PortLine> ports = new ArrayList<>();

  NetworkReport(NetworkService service) {
    model = service.networks().model();
    hosts = service.networks().realPorts();
    outside = service.networks().outside();
    dead = service.networks().deadBackends();
    connected =
        java.util.stream.StreamSupport.stream(service.controller().switches().spliterator(), false)
            .map(ConnectedSwitch::datapathId)
            .collect(java.util.stream.Collectors.toSet());
    Map<Long, Map<Integer, PortCounters>> counters = new LinkedHashMap<>();
    service
        .controller()
        .switches()
        .forEach(device -> counters.put(device.datapathId(), device.portCounters(PATIENCE_MILLIS)));
    Map<Integer, Long> homes = service.networks().homes();
    for (LogicalPort port : model.ports().values()) {
      long home = homes.getOrDefault(port.number(), 0L);
      Integer real = hosts.getOrDefault(home, Map.of()).get(port.realName());
      PortCounters passed =
          real == null
              ? NOTHING
              : counters.getOrDefault(home, Map.of()).getOrDefault(real, NOTHING);
      ports.add(new PortLine(port, home, passed));
    }
  }

  String show(String format) {
    return switch (format) {
      case "table" -> table();
      case "json" -> ModelFile.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(tree());
      case "svg" -> new NetworkPicture(model, hosts, ports, dead).draw();
      default ->
          throw new IllegalArgumentException(
              "\"" + format + "\" is no format; table, json and svg are");
    };
  }

  static String host(long id) {
    return id == 0 ? "-" : id == 1 ? "this host" : FieldText.ipv4((int) id);
  }

  private static String rate(long kilobits) {
    return kilobits == 0 ? "-" : kilobits % 1000 == 0 ? kilobits / 1000 + "M" : kilobits + "k";
  }

  private static String list(List<String> names) {
    return names.isEmpty() ? "-" : String.join(",", names.stream().map(Names::shown).toList());
  }

  private String address(LogicalPort port) {
    String four = FieldText.ipv4(port.address());
    return model
        .logicalSwitch(port.logicalSwitch())
        .network6()
        .map(six -> four + "," + six.of(port.ethernet()))
        .orElse(four);
  }

  private String table() {
    TextTable switches = new TextTable("SWITCH", "NETWORK", "IPV6", "NUMBER", "ROUTER", "ISOLATED");
    for (LogicalSwitch owner : model.switches().values()) {
      switches.row(
          Names.shown(owner.name()),
          owner.network().toString(),
          owner.network6().map(Object::toString).orElse("-"),
          String.valueOf(owner.number()),
          model.routerOf(owner.name()).map(r -> Names.shown(r.name())).orElse("-"),
          owner.isolated() ? "yes" : "no");
    }
    TextTable portTable =
        new TextTable(
            "PORT", "SWITCH", "ADDRESS", "ETHERNET", "POLICY", "RATE", "AT", "SENT", "RECEIVED");
    for (PortLine line : ports) {
      portTable.row(
          Names.shown(line.port().name()),
          Names.shown(line.port().logicalSwitch()),
          address(line.port()),
          FieldText.address(line.port().ethernet()),
          list(line.port().groups()),
          rate(line.port().kilobits()),
          host(line.home()),
          bytes(line.counters().receivedBytes()),
          bytes(line.counters().sentBytes()));
    }
    TextTable routers = new TextTable("ROUTER", "JOINS", "OUTSIDE", "FLOATING");
    for (LogicalRouter router : model.routers().values()) {
      List<String> floating = new ArrayList<>();
      router
          .floating()
          .forEach((a, port) -> floating.add(FieldText.ipv4(a) + "=" + Names.shown(port)));
      routers.row(
          Names.shown(router.name()),
          list(router.switches()),
          router.external() == 0 ? "-" : String.join(",", outside.addresses(model, router)),
          floating.isEmpty() ? "-" : String.join(",", floating));
    }
    TextTable policies = new TextTable("POLICY", "RULES");
    model
        .groups()
        .values()
        .forEach(group ->
            policies.row(
                Names.shown(group.name()),
                group.rules().isEmpty()
                    ? "nothing in"
                    : String.join("; ", group.rules().stream().map(Object::toString).toList())));
    TextTable balancers = new TextTable("BALANCER", "ADDRESS", "BACKENDS");
    for (LoadBalancer balancer : model.balancers().values()) {
      List<String> backends = new ArrayList<>();
      balancer
          .backends()
          .forEach(b ->
              backends.add(
                  Names.shown(b.name())
                      + ":"
                      + b.port()
                      + (dead.contains(balancer.name() + " " + b.name()) ? " (dead)" : "")));
      balancers.row(
          Names.shown(balancer.name()),
          FieldText.ipv4(balancer.address()) + ":" + balancer.port(),
          String.join(", ", backends));
    }
    TextTable places = new TextTable("HOST", "CONNECTED", "PORTS");
    hosts.forEach((id, real) ->
        places.row(host(id), connected.contains(id) ? "yes" : "no", String.valueOf(real.size())));
    TextTable mirrors = new TextTable("MIRROR", "SOURCE", "TARGET");
    for (PortMirror mirror : model.mirrors().values()) {
      mirrors.row(
          Names.shown(mirror.name()), Names.shown(mirror.source()), Names.shown(mirror.target()));
    }
    StringBuilder text = new StringBuilder();
    for (TextTable table :
        List.of(places, switches, portTable, routers, policies, balancers, mirrors)) {
      if (!table.isEmpty()) {
        text.append(text.isEmpty() ? "" : "\n").append(table);
      }
    }
    return text.toString();
  }

  static String bytes(long count) {
    String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = count;
    int unit = 0;
    while (value >= 1024 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return unit == 0 ? count + " B" : "%.1f %s".formatted(value, units[unit]);
  }

  private Map<String, Object> tree() {
    Map<String, Object> tree = new LinkedHashMap<>();
    tree.put("model", model);
    List<Map<String, Object>> plugged = new ArrayList<>();
    for (PortLine line : ports) {
      plugged.add(
          Map.of(
              "port",
              line.port().name(),
              "address",
              address(line.port()),
              "host",
              host(line.home()),
              "counters",
              line.counters()));
    }
    tree.put("ports", plugged);
    tree.put("deadBackends", dead.stream().sorted().toList());
    return tree;
  }
}
