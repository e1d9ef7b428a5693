package io.anillo.network.tenant;

import io.anillo.network.controller.ConnectedSwitch;
import io.anillo.network.controller.ReceivedPacket;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.Bytes;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Finds out which backends of balancers answer: once in a while each gets a TCP SYN in the name of
 * its gateway, and who accepts lives. The connection is reset at once. A backend dies after {@value
 * #FAILURES} probes without an answer, or when it refuses one; what it has not been asked yet
 * lives.
 *
 * <p>Answers to earlier probes count too: a slow guest is no dead one, and one that has missed a
 * reset goes on answering the probe before it until that is reset as well.
 */
final class BackendProbes {
  private static final int FAILURES = 3;

  /** A backend, and what it has said. */
  private static final class Probe {
    boolean answered = true;
    int failures;
    boolean dead;
  }

  private final Map<String, Probe> probes = new HashMap<>();
  private int sequence = (int) System.nanoTime();

  /** Where a backend is plugged in. */
  @FunctionalInterface
  interface Sender {
    /** Sends a frame to a port; false when it is plugged in nowhere. */
    boolean send(LogicalPort port, byte[] frame);
  }

  /** Asks all backends; true when some of them has died since the last time. */
  synchronized boolean ask(NetworkModel model, Sender sender) {
    Set<String> current = new HashSet<>();
    boolean changed = false;
    for (LoadBalancer balancer : model.balancers().values()) {
      if (!balancer.checked()) {
        continue;
      }
      for (LoadBalancer.Backend backend : balancer.backends()) {
        String name = Placement.backend(balancer, backend);
        current.add(name);
        Probe probe = probes.computeIfAbsent(name, added -> new Probe());
        if (!probe.answered && ++probe.failures >= FAILURES && !probe.dead) {
          probe.dead = true;
          changed = true;
        }
        sequence += 0x10001;
        LogicalPort port = model.port(backend.name());
        LogicalSwitch owner = model.logicalSwitch(port.logicalSwitch());
        probe.answered = false;
        sender.send(
            port,
            FrameBuilder.tcp(gateway(owner), guest(port, backend), sequence, FrameBuilder.SYN));
      }
    }
    changed |= probes.keySet().retainAll(current);
    return changed;
  }

  private static FrameBuilder.Side gateway(LogicalSwitch owner) {
    return new FrameBuilder.Side(owner.gatewayEthernet(), owner.gateway(), PortCompiler.PROBE_PORT);
  }

  private static FrameBuilder.Side guest(LogicalPort port, LoadBalancer.Backend backend) {
    return new FrameBuilder.Side(port.ethernet(), port.address(), backend.port());
  }

  /** What {@link #packetIn} found. */
  enum Finding {
    NO_ANSWER,
    SAME,
    CHANGED
  }

  /** Takes a packet that a port sent to its gateway's probing port. */
  synchronized Finding packetIn(
      ConnectedSwitch device, ReceivedPacket packet, NetworkModel model, LogicalPort port) {
    byte[] frame = packet.frame();
    if (frame.length < 54
        || packet.etherType() != FlowCompiler.IPV4
        || frame[14] != 0x45
        || frame[23] != 6
        || Bytes.getShort(frame, 36) != PortCompiler.PROBE_PORT) {
      return Finding.NO_ANSWER;
    }
    int flags = frame[47];
    int acknowledged = Bytes.getInt(frame, 42);
    Finding finding = Finding.SAME;
    for (LoadBalancer balancer : model.balancers().values()) {
      for (LoadBalancer.Backend backend : balancer.backends()) {
        Probe probe = probes.get(Placement.backend(balancer, backend));
        if (probe == null
            || !backend.name().equals(port.name())
            || backend.port() != Bytes.getShort(frame, 34)) {
          continue;
        }
        boolean refused = (flags & FrameBuilder.RESET) != 0;
        probe.answered = true;
        probe.failures = 0;
        if (probe.dead != refused) {
          probe.dead = refused;
          finding = Finding.CHANGED;
        }
        if (!refused) {
          LogicalSwitch owner = model.logicalSwitch(port.logicalSwitch());
          byte[] reset =
              FrameBuilder.tcp(
                  gateway(owner), guest(port, backend), acknowledged, FrameBuilder.RESET);
          device.packetOut(reset, Ports.CONTROLLER, new Action.Output(packet.inPort()));
        }
      }
    }
    return finding;
  }

  /** The backends that do not answer, as {@link Placement#backend} names them. */
  synchronized Set<String> dead() {
    Set<String> dead = new HashSet<>();
    probes.forEach((name, probe) -> {
      if (probe.dead) {
        dead.add(name);
      }
    });
    return dead;
  }
}
