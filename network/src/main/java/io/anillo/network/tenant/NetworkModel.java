package io.anillo.network.tenant;

import io.anillo.network.flow.FieldText;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Everything that tenants have asked for. Immutable; checked as a whole when it is made, so that
 * whatever exists can be turned into flows. Numbers are given once and stay, so that a restarted
 * controller wants the same flows.
 */
public record NetworkModel(
    int lastNumber,
    Map<String, LogicalSwitch> switches,
    Map<String, LogicalPort> ports,
    Map<String, LogicalRouter> routers,
    Map<String, SecurityGroup> groups,
    Map<String, LoadBalancer> balancers,
    Map<String, PortMirror> mirrors) {

  /** Numbers are zones of connection tracking, which have 16 bits. */
  private static final int MAXIMUM_NUMBER = 65_000;

  public static final NetworkModel EMPTY =
      new NetworkModel(0, Map.of(), Map.of(), Map.of(), Map.of(), Map.of(), Map.of());

  public NetworkModel {
    switches = java.util.Collections.unmodifiableMap(new TreeMap<>(switches));
    ports = java.util.Collections.unmodifiableMap(new TreeMap<>(ports));
    routers = java.util.Collections.unmodifiableMap(new TreeMap<>(routers));
    groups = java.util.Collections.unmodifiableMap(new TreeMap<>(groups));
    balancers = java.util.Collections.unmodifiableMap(new TreeMap<>(balancers));
    mirrors = java.util.Collections.unmodifiableMap(new TreeMap<>(mirrors));
    if (lastNumber > MAXIMUM_NUMBER) {
      throw new IllegalArgumentException("there are no more numbers for switches and ports");
    }
    checkPorts(switches, ports, groups);
    checkRouters(switches, ports, routers);
    checkBalancers(switches, ports, balancers);
    for (SecurityGroup group : groups.values()) {
      for (SecurityGroup.Rule rule : group.rules()) {
        if (!rule.remoteGroup().isEmpty()) {
          exists(groups, rule.remoteGroup(), "group");
          sameTenant(group.name(), rule.remoteGroup());
        }
      }
    }
    for (PortMirror mirror : mirrors.values()) {
      sameTenant(mirror.name(), exists(ports, mirror.source(), "port").name());
      sameTenant(mirror.name(), exists(ports, mirror.target(), "port").name());
    }
  }

  private static <T> T exists(Map<String, T> things, String name, String kind) {
    T found = things.get(name);
    if (found == null) {
      throw new IllegalArgumentException("there is no " + kind + " " + Names.shown(name));
    }
    return found;
  }

  private static void sameTenant(String one, String other) {
    if (!Names.tenant(one).equals(Names.tenant(other))) {
      throw new IllegalArgumentException(one + " and " + other + " belong to different tenants");
    }
  }

  private static void checkPorts(
      Map<String, LogicalSwitch> switches,
      Map<String, LogicalPort> ports,
      Map<String, SecurityGroup> groups) {
    Set<String> places = new HashSet<>();
    for (LogicalPort port : ports.values()) {
      LogicalSwitch owner = exists(switches, port.logicalSwitch(), "switch");
      sameTenant(port.name(), owner.name());
      Ipv4 network = owner.network();
      if (!network.contains(port.address())
          || port.address() == network.address()
          || port.address() == network.last()
          || port.address() == owner.gateway()) {
        throw new IllegalArgumentException(
            FieldText.ipv4(port.address()) + " is no address for a port in " + network);
      }
      if (!places.add(owner.name() + " " + port.address())) {
        throw new IllegalArgumentException(
            FieldText.ipv4(port.address()) + " is taken at switch " + Names.shown(owner.name()));
      }
      if (!places.add(owner.name() + " " + FieldText.address(port.ethernet()))) {
        throw new IllegalArgumentException(
            FieldText.address(port.ethernet())
                + " is taken at switch "
                + Names.shown(owner.name()));
      }
      for (String group : port.groups()) {
        sameTenant(port.name(), exists(groups, group, "policy").name());
      }
    }
  }

  private static void checkRouters(
      Map<String, LogicalSwitch> switches,
      Map<String, LogicalPort> ports,
      Map<String, LogicalRouter> routers) {
    Set<String> joined = new HashSet<>();
    Set<Integer> outside = new HashSet<>();
    for (LogicalRouter router : routers.values()) {
      for (String name : router.switches()) {
        LogicalSwitch owner = exists(switches, name, "switch");
        sameTenant(router.name(), name);
        if (!joined.add(name)) {
          throw new IllegalArgumentException(
              "switch " + Names.shown(name) + " has a router already");
        }
        for (String other : router.switches()) {
          LogicalSwitch neighbour = exists(switches, other, "switch");
          if (!other.equals(name)) {
            apart(router, owner, neighbour);
          }
        }
      }
      if (router.external() == 0 && !router.floating().isEmpty()) {
        throw new IllegalArgumentException(
            "router " + Names.shown(router.name()) + " has no way out for floating addresses");
      }
      if (router.external() != 0 && !outside.add(router.external())) {
        throw new IllegalArgumentException(FieldText.ipv4(router.external()) + " is taken");
      }
      router
          .floating()
          .forEach((address, name) -> {
            LogicalPort port = exists(ports, name, "port");
            if (!router.switches().contains(port.logicalSwitch())) {
              throw new IllegalArgumentException(
                  "port "
                      + Names.shown(name)
                      + " is at no switch of router "
                      + Names.shown(router.name()));
            }
            if (!outside.add(address)) {
              throw new IllegalArgumentException(FieldText.ipv4(address) + " is taken");
            }
          });
    }
  }

  private static void apart(LogicalRouter router, LogicalSwitch one, LogicalSwitch other) {
    boolean four = one.network().overlaps(other.network());
    boolean six =
        one.network6().isPresent()
            && other.network6().isPresent()
            && one.network6().get().overlaps(other.network6().get());
    if (four || six) {
      throw new IllegalArgumentException(
          "router "
              + Names.shown(router.name())
              + " cannot join networks that overlap: "
              + (four ? one.network() : one.network6().get())
              + " and "
              + (four ? other.network() : other.network6().get()));
    }
  }

  private static void checkBalancers(
      Map<String, LogicalSwitch> switches,
      Map<String, LogicalPort> ports,
      Map<String, LoadBalancer> balancers) {
    Set<String> taken = new HashSet<>();
    for (LoadBalancer balancer : balancers.values()) {
      LogicalSwitch owner = exists(switches, balancer.logicalSwitch(), "switch");
      sameTenant(balancer.name(), owner.name());
      boolean used =
          ports.values().stream()
              .anyMatch(
                  p -> p.logicalSwitch().equals(owner.name()) && p.address() == balancer.address());
      if (used
          || !owner.network().contains(balancer.address())
          || balancer.address() == owner.gateway()) {
        throw new IllegalArgumentException(
            FieldText.ipv4(balancer.address())
                + " is no free address of switch "
                + Names.shown(owner.name()));
      }
      String place =
          owner.name() + " " + balancer.address() + " " + balancer.port() + balancer.tcp();
      if (!taken.add(place)) {
        throw new IllegalArgumentException(
            "balancer " + Names.shown(balancer.name()) + ": another has the same address and port");
      }
      for (LoadBalancer.Backend backend : balancer.backends()) {
        sameTenant(balancer.name(), exists(ports, backend.name(), "port").name());
      }
    }
  }

  private void refuseWhileUsed(String kind, String name, Predicate<LogicalPort> use) {
    refuseWhile(kind, name, "port", ports, use);
  }

  /** Refuses to delete a thing while others need it, and names these. */
  private static <T> void refuseWhile(
      String kind, String name, String userKind, Map<String, T> users, Predicate<T> use) {
    List<String> using =
        users.entrySet().stream()
            .filter(entry -> use.test(entry.getValue()))
            .map(entry -> Names.shown(entry.getKey()))
            .toList();
    if (!using.isEmpty()) {
      throw new IllegalArgumentException(
          kind
              + " "
              + Names.shown(name)
              + " is needed by "
              + userKind
              + " "
              + String.join(", ", using)
              + "; delete or change that first");
    }
  }

  private static <T> Map<String, T> with(Map<String, T> things, String name, T added) {
    Map<String, T> changed = new TreeMap<>(things);
    changed.put(name, added);
    return changed;
  }

  private static <T> Map<String, T> without(Map<String, T> things, String name, String kind) {
    exists(things, name, kind);
    Map<String, T> changed = new TreeMap<>(things);
    changed.remove(name);
    return changed;
  }

  private static void isNew(Map<String, ?> things, String name, String kind) {
    if (things.containsKey(name)) {
      throw new IllegalArgumentException(kind + " " + Names.shown(name) + " exists already");
    }
  }

  public LogicalSwitch logicalSwitch(String name) {
    return exists(switches, name, "switch");
  }

  public LogicalPort port(String name) {
    return exists(ports, name, "port");
  }

  /** The router that a switch is joined to. */
  public Optional<LogicalRouter> routerOf(String switchName) {
    return routers.values().stream().filter(r -> r.switches().contains(switchName)).findFirst();
  }

  public NetworkModel createSwitch(String name, Ipv4 network, boolean isolated) {
    return createSwitch(name, network, Optional.empty(), isolated);
  }

  public NetworkModel createSwitch(
      String name, Ipv4 network, Optional<Ipv6> network6, boolean isolated) {
    isNew(switches, name, "switch");
    LogicalSwitch added = new LogicalSwitch(lastNumber + 1, name, network, network6, isolated);
    return new NetworkModel(
        lastNumber + 1, with(switches, name, added), ports, routers, groups, balancers, mirrors);
  }

  public NetworkModel deleteSwitch(String name) {
    refuseWhileUsed("switch", name, port -> port.logicalSwitch().equals(name));
    refuseWhile("switch", name, "router", routers, router -> router.switches().contains(name));
    refuseWhile(
        "switch", name, "balancer", balancers, balancer -> balancer.logicalSwitch().equals(name));
    return new NetworkModel(
        lastNumber, without(switches, name, "switch"), ports, routers, groups, balancers, mirrors);
  }

  /**
   * Adds a port.
   *
   * @param ethernet its Ethernet address, 0 for one of its own
   * @param address its IPv4 address, 0 for the first that is free
   */
  public NetworkModel attach(
      String switchName,
      String name,
      long ethernet,
      int address,
      List<String> portGroups,
      long kilobits) {
    isNew(ports, name, "port");
    LogicalSwitch owner = logicalSwitch(switchName);
    int number = lastNumber + 1;
    LogicalPort added =
        new LogicalPort(
            number,
            name,
            switchName,
            ethernet == 0 ? LogicalPort.ownEthernet(number) : ethernet,
            address == 0 ? freeAddress(owner) : address,
            portGroups,
            kilobits);
    return new NetworkModel(
        number, switches, with(ports, name, added), routers, groups, balancers, mirrors);
  }

  private int freeAddress(LogicalSwitch owner) {
    Set<Integer> taken = new HashSet<>();
    ports.values().stream()
        .filter(port -> port.logicalSwitch().equals(owner.name()))
        .forEach(port -> taken.add(port.address()));
    balancers.values().stream()
        .filter(balancer -> balancer.logicalSwitch().equals(owner.name()))
        .forEach(balancer -> taken.add(balancer.address()));
    for (int address = owner.gateway() + 1; address != owner.network().last(); address++) {
      if (!taken.contains(address)) {
        return address;
      }
    }
    throw new IllegalArgumentException("switch " + owner.name() + " has no free address");
  }

  public NetworkModel changePort(String name, List<String> portGroups, long kilobits) {
    LogicalPort changed = port(name).withGroups(portGroups).withRate(kilobits);
    return new NetworkModel(
        lastNumber, switches, with(ports, name, changed), routers, groups, balancers, mirrors);
  }

  public NetworkModel detach(String name) {
    refuseWhile("port", name, "router", routers, router -> router.floating().containsValue(name));
    refuseWhile(
        "port",
        name,
        "balancer",
        balancers,
        balancer -> balancer.backends().stream().anyMatch(b -> b.name().equals(name)));
    refuseWhile(
        "port",
        name,
        "mirror",
        mirrors,
        mirror -> mirror.source().equals(name) || mirror.target().equals(name));
    return new NetworkModel(
        lastNumber, switches, without(ports, name, "port"), routers, groups, balancers, mirrors);
  }

  /** Makes a router or gives one other switches and addresses. */
  public NetworkModel putRouter(
      String name, List<String> joined, int external, Map<Integer, String> floating) {
    LogicalRouter old = routers.get(name);
    int number = old == null ? lastNumber + 1 : old.number();
    LogicalRouter added = new LogicalRouter(number, name, joined, external, floating);
    return new NetworkModel(
        Math.max(lastNumber, number),
        switches,
        ports,
        with(routers, name, added),
        groups,
        balancers,
        mirrors);
  }

  public NetworkModel deleteRouter(String name) {
    return new NetworkModel(
        lastNumber, switches, ports, without(routers, name, "router"), groups, balancers, mirrors);
  }

  public NetworkModel putGroup(String name, List<SecurityGroup.Rule> rules) {
    return new NetworkModel(
        lastNumber,
        switches,
        ports,
        routers,
        with(groups, name, new SecurityGroup(name, rules)),
        balancers,
        mirrors);
  }

  public NetworkModel deleteGroup(String name) {
    refuseWhileUsed("policy", name, port -> port.groups().contains(name));
    return new NetworkModel(
        lastNumber, switches, ports, routers, without(groups, name, "policy"), balancers, mirrors);
  }

  /** Makes a balancer or changes one. */
  public NetworkModel putBalancer(
      String name,
      String switchName,
      boolean tcp,
      int address,
      int port,
      List<LoadBalancer.Backend> backends,
      boolean checked) {
    LoadBalancer old = balancers.get(name);
    int number = old == null ? lastNumber + 1 : old.number();
    LoadBalancer added =
        new LoadBalancer(number, name, switchName, tcp, address, port, backends, checked);
    return new NetworkModel(
        Math.max(lastNumber, number),
        switches,
        ports,
        routers,
        groups,
        with(balancers, name, added),
        mirrors);
  }

  public NetworkModel deleteBalancer(String name) {
    return new NetworkModel(
        lastNumber,
        switches,
        ports,
        routers,
        groups,
        without(balancers, name, "balancer"),
        mirrors);
  }

  public NetworkModel createMirror(String name, String source, String target) {
    isNew(mirrors, name, "mirror");
    return new NetworkModel(
        lastNumber,
        switches,
        ports,
        routers,
        groups,
        balancers,
        with(mirrors, name, new PortMirror(name, source, target)));
  }

  public NetworkModel deleteMirror(String name) {
    return new NetworkModel(
        lastNumber, switches, ports, routers, groups, balancers, without(mirrors, name, "mirror"));
  }
}
