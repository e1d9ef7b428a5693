package io.anillo.network.service;

import io.anillo.network.flow.FieldText;
import io.anillo.network.tenant.LoadBalancer;
import io.anillo.network.tenant.LogicalRouter;
import io.anillo.network.tenant.LogicalSwitch;
import io.anillo.network.tenant.Names;
import io.anillo.network.tenant.NetworkModel;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Draws the networks as SVG 1.1: routers above, switches as bars below them, ports hanging from
 * their switch with what has passed, and the hosts they are plugged into.
 */
final class NetworkPicture {
  private static final int PORT_WIDTH = 150;
  private static final int GAP = 24;
  private static final int ROUTER_Y = 50;
  private static final int SWITCH_Y = 150;
  private static final int PORT_Y = 215;
  private static final int HEIGHT = 400;

  private final NetworkModel model;
  private final Map<Long, Map<String, Integer>> hosts;
  private final List<NetworkReport.PortLine> ports;
  private final Set<String> dead;
  private final StringBuilder svg = new StringBuilder();
  private final Map<String, Integer> centres = new HashMap<>();

  NetworkPicture(
      NetworkModel model,
      Map<Long, Map<String, Integer>> hosts,
      List<NetworkReport.PortLine> ports,
      Set<String> dead) {
    this.model = model;
    this.hosts = hosts;
    this.ports = ports;
    this.dead = dead;
  }

  String draw() {
    int x = GAP;
    StringBuilder switches = new StringBuilder();
    for (LogicalSwitch owner : model.switches().values()) {
      x = drawSwitch(owner, x) + GAP;
    }
    switches.append(svg);
    svg.setLength(0);
    int width = Math.max(x, 480);
    svg.append(
        """
        <svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">
        <style>text{font:12px sans-serif;fill:#222} .s{font-size:10px;fill:#555}</style>
        <rect width="100%%" height="100%%" fill="#fff"/>
        """
            .formatted(width, HEIGHT, width, HEIGHT));
    drawRouters();
    svg.append(switches);
    drawHosts();
    return svg.append("</svg>\n").toString();
  }

  private void text(int x, int y, String style, String content) {
    svg.append(
        "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" class=\"%s\">%s</text>%n"
            .formatted(x, y, style, escape(content)));
  }

  private static String escape(String content) {
    return content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  private void box(int x, int y, int width, int height, String fill) {
    svg.append(
        "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"%s\" stroke=\"#555\"/>%n"
            .formatted(x, y, width, height, fill));
  }

  private void line(int fromX, int fromY, int toX, int toY, double weight) {
    svg.append(
        String.format(
            Locale.ROOT,
            "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#555\""
                + " stroke-width=\"%.1f\"/>%n",
            fromX,
            fromY,
            toX,
            toY,
            weight));
  }

  private int drawSwitch(LogicalSwitch owner, int x) {
    List<NetworkReport.PortLine> own =
        ports.stream().filter(p -> p.port().logicalSwitch().equals(owner.name())).toList();
    int width = Math.max(1, own.size()) * (PORT_WIDTH + 8);
    int centre = x + width / 2;
    centres.put(owner.name(), centre);
    for (int i = 0; i < own.size(); i++) {
      NetworkReport.PortLine entry = own.get(i);
      int left = x + i * (PORT_WIDTH + 8);
      int middle = left + PORT_WIDTH / 2;
      long passed = entry.counters().receivedBytes() + entry.counters().sentBytes();
      // The more has passed the thicker the line, by the logarithm.
      line(middle, SWITCH_Y + 30, middle, PORT_Y, 1 + Math.log10(1 + passed / 1000.0));
      box(left, PORT_Y, PORT_WIDTH, 84, entry.home() == 0 ? "#eee" : "#e3f1e3");
      text(middle, PORT_Y + 16, "", Names.local(entry.port().name()));
      text(middle, PORT_Y + 32, "s", FieldText.ipv4(entry.port().address()));
      text(
          middle,
          PORT_Y + 46,
          "s",
          "sent " + NetworkReport.bytes(entry.counters().receivedBytes()));
      text(
          middle,
          PORT_Y + 60,
          "s",
          "received " + NetworkReport.bytes(entry.counters().sentBytes()));
      text(
          middle,
          PORT_Y + 74,
          "s",
          entry.home() == 0 ? "not plugged in" : "at " + NetworkReport.host(entry.home()));
    }
    box(x, SWITCH_Y, width, 30, "#dce9f7");
    text(
        centre,
        SWITCH_Y + 19,
        "",
        Names.shown(owner.name()) + " " + owner.network() + (owner.isolated() ? " isolated" : ""));
    int at = SWITCH_Y - 8;
    for (LoadBalancer balancer : model.balancers().values()) {
      if (balancer.logicalSwitch().equals(owner.name())) {
        long living =
            balancer.backends().stream()
                .filter(b -> !dead.contains(balancer.name() + " " + b.name()))
                .count();
        text(
            centre,
            at,
            "s",
            "balancer %s %s:%d, %d of %d backends"
                .formatted(
                    Names.local(balancer.name()),
                    FieldText.ipv4(balancer.address()),
                    balancer.port(),
                    living,
                    balancer.backends().size()));
        at -= 12;
      }
    }
    return x + width;
  }

  private void drawRouters() {
    for (LogicalRouter router : model.routers().values()) {
      List<Integer> joined =
          router.switches().stream().map(name -> centres.getOrDefault(name, 60)).toList();
      int centre = (int) joined.stream().mapToInt(Integer::intValue).average().orElse(120);
      joined.forEach(end -> line(centre, ROUTER_Y + 15, end, SWITCH_Y, 1.5));
      if (router.external() != 0) {
        line(centre, 18, centre, ROUTER_Y - 15, 1.5);
        text(centre, 14, "s", "outside as " + FieldText.ipv4(router.external()));
      }
      box(centre - 60, ROUTER_Y - 15, 120, 30, "#f7e6cf");
      text(centre, ROUTER_Y + 4, "", Names.shown(router.name()));
    }
  }

  private void drawHosts() {
    int x = GAP;
    for (Map.Entry<Long, Map<String, Integer>> host : hosts.entrySet()) {
      int count = host.getValue().size();
      box(x, HEIGHT - 60, 200, 36, "#f3f3f3");
      text(
          x + 100,
          HEIGHT - 38,
          "",
          NetworkReport.host(host.getKey()) + ": " + count + (count == 1 ? " port" : " ports"));
      x += 200 + GAP;
    }
  }
}
