package io.anillo.network.service;

import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.tenant.Ipv4;
import io.anillo.network.tenant.LogicalPort;
import io.anillo.network.tenant.Names;
import io.anillo.network.tenant.NetworkModel;
import io.anillo.network.tenant.SampleFrame;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Says what would happen to a packet, with the names that people gave things. */
final class PacketTrace {
  private static final Pattern COOKIE = Pattern.compile("cookie 0x544e5400([0-9a-f]{8})");
  private static final Pattern REAL = Pattern.compile("\\(lp([0-9]+)\\)");

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
    String first = words.getFirst();
    boolean real = service.hostSwitch().port(first).isPresent();
    String realName = real ? first : model.port(Names.qualify(first, tenant)).realName();
    SwitchPort port =
        service
            .hostSwitch()
            .port(realName)
            .orElseThrow(() ->
                new IllegalArgumentException("port " + first + " is not plugged in on this host"));
    byte[] frame;
    if (words.size() == 2) {
      try {
        frame = HexFormat.of().parseHex(words.get(1));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("\"" + words.get(1) + "\" is no frame", e);
      }
    } else {
      LogicalPort from = model.port(Names.qualify(first, tenant));
      String[] target = words.get(2).split(":", 2);
      int address = Ipv4.parseAddress(target[0]);
      int number =
          target.length == 2 && target[1].matches("[0-9]{1,5}") ? Integer.parseInt(target[1]) : 0;
      frame = SampleFrame.of(model, from, words.get(1), address, number);
    }
    Map<Integer, String> things = things(model);
    StringBuilder text = new StringBuilder();
    for (String line : service.hostSwitch().trace(frame, port.number())) {
      text.append(name(line, things)).append('\n');
    }
    return text.toString();
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
