package io.anillo.network.tenant;

import io.anillo.network.controller.ConnectedSwitch;
import io.anillo.network.controller.ControllerApplication;
import io.anillo.network.controller.ReceivedPacket;
import io.anillo.network.controller.SwitchProgram;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.PortDescription;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Makes all switches together what tenants have asked for. A switch's ports say by their names what
 * they are: {@code lpN} is where logical port N is plugged in, {@code vxlanXXXXXXXX} a tunnel port
 * whose own IPv4 address is X in hexadecimal, {@code uplink} the way out.
 *
 * <p>What a switch had when its channel ended stays part of the picture until it says otherwise, so
 * that traffic does not suffer from a broken channel.
 */
public final class TenantNetworks implements ControllerApplication, AutoCloseable {
  public static final String UPLINK = "uplink";
  private static final String TUNNEL = "vxlan";
  private static final long PROBE_MILLIS = 1_000;

  /** How long a new controller waits for all switches before it takes for gone what is missing. */
  private static final long SETTLE_NANOS = 3_000_000_000L;

  /** A switch: the ports it has said it has, and what it is to do while it is connected. */
  private static final class Host {
    final Map<String, Integer> ports = new HashMap<>();
    Optional<ConnectedSwitch> device = Optional.empty();
    Optional<SwitchProgram> program = Optional.empty();
  }

  private final Outside outside;
  private final GuestServices services = new GuestServices();
  private final BackendProbes probes = new BackendProbes();
  private final Map<Long, Host> hosts = new TreeMap<>();
  private NetworkModel model = NetworkModel.EMPTY;
  private final NextHop nextHop;
  private final long startedNanos = System.nanoTime();
  private boolean settled;
  private long rounds;
  private volatile boolean closed;

  public TenantNetworks(Outside outside) {
    this.outside = outside;
    this.nextHop = new NextHop(outside);
    Thread.ofVirtual().name("tenant networks").start(this::repeat);
  }

  /** The name of the tunnel port of a host with an IPv4 address. */
  public static String tunnelName(int address) {
    return TUNNEL + HexFormat.of().toHexDigits(address);
  }

  public synchronized NetworkModel model() {
    return model;
  }

  public Outside outside() {
    return outside;
  }

  /** Makes the networks what a model says. */
  public synchronized void apply(NetworkModel changed) {
    model = changed;
    recompute();
  }

  /** The backends that get no connections at this moment, as {@code BALANCER BACKEND}. */
  public Set<String> deadBackends() {
    return probes.dead();
  }

  /** Where each logical port is plugged in, by its number. */
  public synchronized Map<Integer, Long> homes() {
    Map<Integer, Long> homes = new HashMap<>();
    hosts.forEach((id, host) ->
        model.ports().values().stream()
            .filter(port -> host.ports.containsKey(port.realName()))
            .forEach(port -> homes.put(port.number(), id)));
    return homes;
  }

  /** The ports of all switches that have connected, as names and numbers, by the switch. */
  public synchronized Map<Long, Map<String, Integer>> realPorts() {
    Map<Long, Map<String, Integer>> ports = new TreeMap<>();
    hosts.forEach((id, host) -> ports.put(id, Map.copyOf(host.ports)));
    return ports;
  }

  /** How many requests that change a switch have been sent to it since it connected. */
  public synchronized long changesSent(long datapathId) {
    Host host = hosts.get(datapathId);
    return host == null ? 0 : host.program.map(SwitchProgram::sent).orElse(0L);
  }

  // --- What switches say ---

  @Override
  public synchronized void switchUp(ConnectedSwitch device) {
    Host host = hosts.computeIfAbsent(device.datapathId(), id -> new Host());
    host.ports.clear();
    device.ports().forEach(port -> host.ports.put(port.name(), port.number()));
    SwitchProgram program = new SwitchProgram(device, FlowCompiler.COOKIE);
    host.device = Optional.of(device);
    host.program = Optional.of(program);
    recompute();
    program.resynchronize();
    askNextHop();
  }

  @Override
  public synchronized void promoted(ConnectedSwitch device) {
    Host host = hosts.get(device.datapathId());
    if (host != null) {
      host.program.ifPresent(SwitchProgram::resynchronize);
    }
  }

  @Override
  public synchronized void switchDown(ConnectedSwitch device) {
    Host host = hosts.get(device.datapathId());
    if (host != null && host.device.equals(Optional.of(device))) {
      host.device = Optional.empty();
      host.program = Optional.empty();
    }
  }

  @Override
  public synchronized void portChanged(
      ConnectedSwitch device, PortDescription port, boolean present) {
    Host host = hosts.get(device.datapathId());
    if (host == null) {
      return;
    }
    if (present) {
      host.ports.put(port.name(), port.number());
    } else {
      host.ports.remove(port.name(), port.number());
    }
    recompute();
  }

  @Override
  public synchronized boolean packetIn(ConnectedSwitch device, ReceivedPacket packet) {
    Host host = hosts.get(device.datapathId());
    if (host == null || !device.master()) {
      return false;
    }
    Integer uplink = host.ports.get(UPLINK);
    if (uplink != null && uplink == packet.inPort()) {
      return hearOutside(device, packet);
    }
    Optional<LogicalPort> port = portAt(host, packet.inPort());
    if (port.isEmpty() || port.get().ethernet() != packet.source()) {
      return false;
    }
    if (services.answer(device, packet, model, port.get())
        || NeighbourAnswers.answer(device, packet, model, port.get())) {
      return true;
    }
    return switch (probes.packetIn(device, packet, model, port.get())) {
      case NO_ANSWER -> false;
      case SAME -> true;
      case CHANGED -> {
        recompute();
        yield true;
      }
    };
  }

  private Optional<LogicalPort> portAt(Host host, int real) {
    return model.ports().values().stream()
        .filter(port -> {
          Integer number = host.ports.get(port.realName());
          return number != null && number == real;
        })
        .findFirst();
  }

  // --- The way out ---

  private boolean hearOutside(ConnectedSwitch device, ReceivedPacket packet) {
    Optional<byte[]> answer = nextHop.answer(packet, model);
    if (answer.isPresent()) {
      device.packetOut(answer.get(), Ports.CONTROLLER, new Action.Output(packet.inPort()));
      return true;
    }
    return switch (nextHop.hear(packet)) {
      case NOTHING -> false;
      case SAME -> true;
      case CHANGED -> {
        recompute();
        yield true;
      }
    };
  }

  private void askNextHop() {
    Optional<LogicalRouter> asking =
        model.routers().values().stream().filter(router -> router.external() != 0).findFirst();
    List<byte[]> questions = asking.map(nextHop::questions).orElse(List.of());
    for (Host host : hosts.values()) {
      Integer uplink = host.ports.get(UPLINK);
      if (uplink != null && host.device.isPresent() && host.device.get().master()) {
        for (byte[] question : questions) {
          host.device.get().packetOut(question, Ports.CONTROLLER, new Action.Output(uplink));
        }
      }
    }
  }

  // --- What switches are told ---

  private void recompute() {
    Map<Integer, Long> homes = homes();
    Map<Long, Integer> tunnels = new HashMap<>();
    long gateway = 0;
    for (Map.Entry<Long, Host> host : hosts.entrySet()) {
      tunnelPort(host.getValue())
          .flatMap(TenantNetworks::tunnelAddress)
          .ifPresent(address -> tunnels.put(host.getKey(), address));
      if (gateway == 0 && host.getValue().ports.containsKey(UPLINK)) {
        gateway = host.getKey();
      }
    }
    Set<String> dead = probes.dead();
    for (Map.Entry<Long, Host> entry : hosts.entrySet()) {
      Host host = entry.getValue();
      if (host.program.isEmpty()) {
        continue;
      }
      Map<Integer, Integer> local = new HashMap<>();
      for (LogicalPort port : model.ports().values()) {
        Integer real = host.ports.get(port.realName());
        if (real != null) {
          local.put(port.number(), real);
        }
      }
      int tunnel = tunnelPort(host).map(name -> host.ports.getOrDefault(name, 0)).orElse(0);
      Placement placement =
          new Placement(
              entry.getKey(),
              local,
              homes,
              tunnels,
              tunnel,
              host.ports.getOrDefault(UPLINK, 0),
              gateway,
              outside,
              nextHop.ethernet(),
              nextHop.ethernet6(),
              dead);
      host.program.get().want(new FlowCompiler(model, placement).compile(), settled);
    }
  }

  private static Optional<String> tunnelPort(Host host) {
    return host.ports.keySet().stream().filter(name -> tunnelAddress(name).isPresent()).findFirst();
  }

  /** The IPv4 address in the name of a tunnel port; empty for other ports. */
  public static Optional<Integer> tunnelAddress(String name) {
    return name.matches(TUNNEL + "[0-9a-f]{8}")
        ? Optional.of(HexFormat.fromHexDigits(name, TUNNEL.length(), name.length()))
        : Optional.empty();
  }

  private void repeat() {
    while (!closed) {
      try {
        Thread.sleep(PROBE_MILLIS);
      } catch (InterruptedException e) {
        return;
      }
      synchronized (this) {
        if (!settled && System.nanoTime() - startedNanos > SETTLE_NANOS) {
          settled = true;
          recompute();
        }
        if (acting()) {
          if (probes.ask(model, this::toPort)) {
            recompute();
          }
          askNextHop();
          if (++rounds % (NeighbourAnswers.EVERY_MILLIS / PROBE_MILLIS) == 0) {
            NeighbourAnswers.listeners(model)
                .forEach(port -> toPort(port, NeighbourAnswers.advertisement(model, port)));
          }
        }
      }
    }
  }

  /** Whether this controller is the one that changes switches. */
  private boolean acting() {
    return hosts.values().stream()
        .anyMatch(host -> host.device.map(ConnectedSwitch::master).orElse(false));
  }

  private boolean toPort(LogicalPort port, byte[] frame) {
    for (Host host : hosts.values()) {
      Integer real = host.ports.get(port.realName());
      if (real != null && host.device.isPresent() && host.device.get().master()) {
        host.device.get().packetOut(frame, Ports.CONTROLLER, new Action.Output(real));
        return true;
      }
    }
    return false;
  }

  @Override
  public void close() {
    closed = true;
  }
}
