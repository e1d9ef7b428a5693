package io.anillo.network.service;

import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.flow.FieldText;
import io.anillo.network.packet.Ipv4Address;
import io.anillo.network.port.CaptureFile;
import io.anillo.network.port.FrameStream;
import io.anillo.network.port.StreamWire;
import io.anillo.network.tenant.Ipv4;
import io.anillo.network.tenant.Ipv6;
import io.anillo.network.tenant.LoadBalancer;
import io.anillo.network.tenant.LogicalPort;
import io.anillo.network.tenant.LogicalRouter;
import io.anillo.network.tenant.Names;
import io.anillo.network.tenant.NetworkModel;
import io.anillo.network.tenant.SecurityGroup;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import tools.jackson.core.JacksonException;

/**
 * Does what one connection of the control socket asks for. Requests are input of other programs.
 */
final class RequestHandler {
  /** Addresses outside that routers get when they ask for none: the upper part of the network. */
  private static final int FIRST_EXTERNAL = 100;

  /** How the names of ports begin that are made for a guest that gives none. */
  private static final String GUEST = "guest-";

  private final NetworkService service;
  private final SocketChannel channel;
  private String tenant = Names.DEFAULT_TENANT;

  RequestHandler(NetworkService service, SocketChannel channel) {
    this.service = service;
    this.channel = channel;
  }

  static boolean madeForOneGuest(String port) {
    return Names.local(port).startsWith(GUEST);
  }

  /** Serves one request; true when the connection belongs to a guest from now on. */
  boolean serve(String line) throws IOException {
    try {
      Request request = ModelFile.JSON.readValue(line, Request.class);
      tenant = request.find("tenant").orElse(Names.DEFAULT_TENANT);
      if (!service.decides() && !request.operation().matches("plug|stop|capture|trace")) {
        throw new IllegalArgumentException(
            "this host's switch obeys the controller at "
                + service.decider()
                + "; ask the network service there");
      }
      switch (request.operation()) {
        case "plug" -> {
          plug(request);
          return true;
        }
        case "capture" -> capture(request);
        case "stop" -> {
          reply(true, "the network service ends");
          service.close();
        }
        default -> {
          String done;
          try {
            done = change(request);
          } catch (IOException e) {
            // The host refuses; the channel to whoever asked is well.
            reply(false, String.valueOf(e.getMessage()));
            return false;
          }
          reply(true, done);
        }
      }
    } catch (JacksonException e) {
      reply(false, "the request cannot be read");
    } catch (IllegalArgumentException e) {
      reply(false, String.valueOf(e.getMessage()));
    }
    return false;
  }

  private void reply(boolean done, String text) throws IOException {
    ServiceClient.writeLine(
        channel, ModelFile.JSON.writeValueAsString(new Request.Reply(done, text)));
  }

  private String name(String text) {
    return Names.qualify(text, tenant);
  }

  private List<String> names(Request request, String value) {
    return request.find(value).stream()
        .flatMap(text -> Arrays.stream(text.split(",")))
        .map(this::name)
        .toList();
  }

  /** The policies that a request names; {@code none} is a word for no policy. */
  private List<String> groups(Request request) {
    return request.find("groups").orElse("none").equals("none")
        ? List.of()
        : names(request, "groups");
  }

  private String change(Request request) throws IOException {
    return switch (request.operation()) {
      case "create" -> create(request);
      case "delete" -> delete(request);
      case "attach" -> attach(request);
      case "port" -> {
        String port = name(request.need("name"));
        service.change(model -> {
          LogicalPort old = model.port(port);
          return model.changePort(
              port,
              request.find("groups").isPresent() ? groups(request) : old.groups(),
              request.find("rate").map(RequestHandler::kilobits).orElse(old.kilobits()));
        });
        yield "port " + Names.shown(port) + " has changed";
      }
      case "policy" -> policy(request);
      case "router" -> router(request);
      case "balance" -> balance(request);
      case "mirror" -> {
        String mirror = name(request.need("name"));
        service.change(model ->
            model.createMirror(mirror, name(request.need("source")), name(request.need("target"))));
        yield "mirror " + Names.shown(mirror) + " watches " + request.need("source");
      }
      case "show" -> new NetworkReport(service).show(request.find("format").orElse("table"));
      case "trace" -> new PacketTrace(service, tenant).trace(request.words());
      default -> throw new IllegalArgumentException("no operation \"" + request.operation() + "\"");
    };
  }

  private String create(Request request) throws IOException {
    String name = name(request.need("name"));
    Ipv4 network = Ipv4.parse(request.need("subnet"));
    boolean isolated = request.find("isolated").isPresent();
    Optional<Ipv6> network6 = request.find("subnet6").map(Ipv6::parse);
    service.change(model -> model.createSwitch(name, network, network6, isolated));
    return "switch "
        + Names.shown(name)
        + " is ready, its gateway is "
        + FieldText.ipv4(network.address() + 1);
  }

  private String delete(Request request) throws IOException {
    String name = name(request.need("name"));
    String kind = request.need("kind");
    service.change(model ->
        switch (kind) {
          case "switch" -> model.deleteSwitch(name);
          case "port" -> model.detach(name);
          case "router" -> model.deleteRouter(name);
          case "policy" -> model.deleteGroup(name);
          case "balancer" -> model.deleteBalancer(name);
          case "mirror" -> model.deleteMirror(name);
          default -> throw new IllegalArgumentException("no kind of thing is a " + kind);
        });
    if (kind.equals("port")) {
      // Whatever was plugged in there is nowhere now.
      Set<String> wanted = new HashSet<>();
      service.networks().model().ports().values().forEach(port -> wanted.add(port.realName()));
      service.hostSwitch().ports().stream()
          .filter(port -> port.name().startsWith("lp") && !wanted.contains(port.name()))
          .forEach(service.hostSwitch()::removePort);
      service.plugs().retain();
    }
    return kind + " " + Names.shown(name) + " is gone";
  }

  static long kilobits(String text) {
    if (!text.matches("[0-9]{1,9}[kMG]?")) {
      throw new IllegalArgumentException("\"" + text + "\" is not a rate such as 10M");
    }
    char unit = text.charAt(text.length() - 1);
    long number = Long.parseLong(text.replaceAll("[kMG]", ""));
    return switch (unit) {
      case 'k' -> number;
      case 'M' -> number * 1000;
      case 'G' -> number * 1_000_000;
      default -> number / 1000;
    };
  }

  private static long ethernet(String text) {
    if (!text.matches("([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")) {
      throw new IllegalArgumentException("\"" + text + "\" is not an Ethernet address");
    }
    return Long.parseLong(text.replace(":", ""), 16);
  }

  private LogicalPort addPort(Request request, String name) throws IOException {
    NetworkModel changed =
        service.change(model ->
            model.attach(
                name(request.need("switch")),
                name,
                request.find("ethernet").map(RequestHandler::ethernet).orElse(0L),
                request.find("address").map(Ipv4Address::parse).orElse(0),
                groups(request),
                request.find("rate").map(RequestHandler::kilobits).orElse(0L)));
    return changed.port(name);
  }

  private String attach(Request request) throws IOException {
    String name = name(request.need("name"));
    LogicalPort port = addPort(request, name);
    String text =
        "port "
            + Names.shown(name)
            + " has address "
            + FieldText.ipv4(port.address())
            + " and Ethernet address "
            + FieldText.address(port.ethernet())
            + "; its number is "
            + port.number();
    boolean complete = false;
    try {
      service
          .plugs()
          .plug(
              port,
              new HostPlugs.Plug(
                  request.find("backend").orElse(""), request.find("socket").orElse("")));
      complete = true;
    } finally {
      if (!complete) {
        service.change(model -> model.detach(name));
      }
    }
    return text;
  }

  /** Plugs this connection in as a guest, at a port that exists or at one made for it. */
  private void plug(Request request) throws IOException {
    String left = request.find("left").orElse("");
    if (left.equals(service.run())) {
      throw new IllegalArgumentException("its port was taken away");
    }
    if (request.find("number").isPresent()) {
      plugNumber(request);
      return;
    }
    if (!service.decides()) {
      throw new IllegalArgumentException(
          "this host obeys another's controller; make the port there and plug in by its number");
    }
    NetworkModel model = service.networks().model();
    LogicalPort port;
    // A port that an earlier run made for this guest alone may still be there after a crash.
    boolean made = request.find("temporary").isPresent();
    String given = request.find("name").map(this::name).orElse("");
    if (!given.isEmpty() && model.ports().containsKey(given)) {
      port = model.port(given);
    } else {
      String name = given.isEmpty() ? name(GUEST + (model.lastNumber() + 1)) : given;
      port = addPort(request, name);
      made = true;
    }
    if (service.hostSwitch().port(port.realName()).isPresent()) {
      throw new IllegalArgumentException(
          "port " + Names.shown(port.name()) + " has a guest already");
    }
    reply(
        true,
        new GuestPlug.Place(
                port.ethernet(),
                made ? port.name() : "-",
                made ? FieldText.ipv4(port.address()) : "-",
                service.run())
            .toString());
    boolean remove = made;
    StreamWire.attach(
        service.hostSwitch(),
        port.realName(),
        new FrameStream(channel, false),
        () -> {
          if (remove) {
            forget(port);
          }
        });
  }

  /** Plugs this connection in at a port that another host's controller knows by this number. */
  private void plugNumber(Request request) throws IOException {
    String text = request.need("number");
    int number = text.matches("[0-9]{1,5}") ? Integer.parseInt(text) : 0;
    if (number == 0) {
      throw new IllegalArgumentException("\"" + text + "\" is not the number of a port");
    }
    String real = LogicalPort.realName(number);
    if (service.hostSwitch().port(real).isPresent()) {
      throw new IllegalArgumentException("port " + number + " has a guest already");
    }
    long ethernet =
        request
            .find("ethernet")
            .map(RequestHandler::ethernet)
            .orElse(LogicalPort.ownEthernet(number));
    reply(true, new GuestPlug.Place(ethernet, "-", "-", service.run()).toString());
    StreamWire.attach(service.hostSwitch(), real, new FrameStream(channel, false), () -> {});
  }

  private void forget(LogicalPort port) {
    try {
      service.change(
          model -> model.ports().containsKey(port.name()) ? model.detach(port.name()) : model);
    } catch (IOException | IllegalArgumentException e) {
      System.getLogger(RequestHandler.class.getName())
          .log(System.Logger.Level.WARNING, "port " + port.name() + " stays: " + e.getMessage());
    }
  }

  private String policy(Request request) throws IOException {
    String name = name(request.need("name"));
    if (request.need("name").equals("none")) {
      throw new IllegalArgumentException("none is no name for a policy: it stands for no policy");
    }
    List<SecurityGroup.Rule> rules = new ArrayList<>();
    List<String> words = new ArrayList<>();
    for (String word : request.words()) {
      if (word.equals(",")) {
        rules.add(SecurityGroup.Rule.parse(words, tenant));
        words.clear();
      } else {
        words.add(word);
      }
    }
    if (!words.isEmpty()) {
      rules.add(SecurityGroup.Rule.parse(words, tenant));
    }
    service.change(model -> model.putGroup(name, rules));
    return "policy " + Names.shown(name) + " has " + rules.size() + " rules";
  }

  private String router(Request request) throws IOException {
    String name = name(request.need("name"));
    NetworkModel changed =
        service.change(model -> {
          LogicalRouter old = model.routers().get(name);
          List<String> joined =
              request.find("connect").isPresent() || old == null
                  ? names(request, "connect")
                  : old.switches();
          int external = old == null ? 0 : old.external();
          if (request.find("external").isPresent()) {
            String text = request.need("external");
            external = text.equals("auto") ? freeExternal(model) : Ipv4Address.parse(text);
          }
          Map<Integer, String> floating = new HashMap<>(old == null ? Map.of() : old.floating());
          for (String pair :
              request.find("floating").map(text -> text.split(",")).orElse(new String[0])) {
            String[] sides = pair.split("=", 2);
            if (sides.length != 2) {
              throw new IllegalArgumentException("\"" + pair + "\" is not ADDRESS=PORT");
            }
            floating.put(Ipv4Address.parse(sides[0]), name(sides[1]));
          }
          return model.putRouter(name, joined, external, floating);
        });
    LogicalRouter router = changed.routers().get(name);
    if (router == null) {
      throw new IllegalStateException("a router that was made exists");
    }
    return "router "
        + Names.shown(name)
        + " joins "
        + router.switches().stream().map(Names::shown).toList()
        + (router.external() == 0
            ? ""
            : " and leads out as "
                + String.join(" and ", service.networks().outside().addresses(changed, router)));
  }

  private int freeExternal(NetworkModel model) {
    int network = service.networks().outside().nextHop() & 0xffffff00;
    if (network == 0) {
      throw new IllegalArgumentException("there is no way out; start the service with --uplink");
    }
    Set<Integer> taken = new HashSet<>();
    model
        .routers()
        .values()
        .forEach(router -> {
          taken.add(router.external());
          taken.addAll(router.floating().keySet());
        });
    for (int last = FIRST_EXTERNAL; last < 255; last++) {
      if (!taken.contains(network | last)) {
        return network | last;
      }
    }
    throw new IllegalArgumentException("no address outside is free");
  }

  private String balance(Request request) throws IOException {
    String name = name(request.need("name"));
    String[] place = request.need("address").split(":", 2);
    if (place.length != 2 || !place[1].matches("[0-9]{1,5}")) {
      throw new IllegalArgumentException("a balancer needs ADDRESS:PORT");
    }
    int port = Integer.parseInt(place[1]);
    List<LoadBalancer.Backend> backends = new ArrayList<>();
    for (String word : request.words()) {
      String[] parts = word.split(":", 2);
      if (parts.length == 2 && !parts[1].matches("[0-9]{1,5}")) {
        throw new IllegalArgumentException("\"" + word + "\" is not a backend such as web1:8080");
      }
      int target = parts.length == 2 ? Integer.parseInt(parts[1]) : port;
      backends.add(new LoadBalancer.Backend(name(parts[0]), target));
    }
    boolean tcp = request.find("udp").isEmpty();
    boolean checked = tcp && request.find("unchecked").isEmpty();
    service.change(model ->
        model.putBalancer(
            name,
            name(request.need("switch")),
            tcp,
            Ipv4Address.parse(place[0]),
            port,
            backends,
            checked));
    return "balancer " + Names.shown(name) + " has " + backends.size() + " backends";
  }

  private static CaptureFile open(Path file, Predicate<SwitchPort> test) {
    try {
      return new CaptureFile(file, test, 65_535);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot write to " + file + ": " + e.getMessage(), e);
    }
  }

  /** Captures until the command goes away. */
  private void capture(Request request) throws IOException {
    NetworkModel model = service.networks().model();
    Set<String> wanted = new HashSet<>();
    for (String word : request.words()) {
      wanted.add(
          service.hostSwitch().port(word).isPresent() ? word : model.port(name(word)).realName());
    }
    Predicate<SwitchPort> test = port -> wanted.isEmpty() || wanted.contains(port.name());
    Path file = Path.of(request.need("file"));
    try (CaptureFile capture = open(file, test)) {
      service.hostSwitch().addTap(capture);
      try {
        reply(true, "capturing");
        ServiceClient.readLine(channel);
      } finally {
        service.hostSwitch().removeTap(capture);
      }
      reply(true, capture.frames() + " frames");
    }
  }
}
