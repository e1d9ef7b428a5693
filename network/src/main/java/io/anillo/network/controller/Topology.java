package io.anillo.network.controller;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Finds the links between switches by LLDP (IEEE 802.1AB): every port says every second which it
 * is, and who hears it is at the link's other end. A link whose port goes down is gone at once, one
 * that falls silent after three seconds.
 */
public final class Topology implements ControllerApplication, AutoCloseable {
  /** A port of a switch. */
  public record Place(long datapathId, int port) {}

  /** Told when links come and go. */
  @FunctionalInterface
  public interface Listener {
    void changed();
  }

  static final int ETHER_TYPE = 0x88cc;
  private static final long NEAREST_BRIDGE = 0x0180c200000eL;
  private static final int PRIORITY = 0xffff;
  private static final long PERIOD_MILLIS = 1000;
  private static final long SILENCE_NANOS = 3_500_000_000L;

  private final Map<Long, ConnectedSwitch> switches = new HashMap<>();

  /** Where each place's link leads, and when it was last heard from. */
  private final Map<Place, Place> links = new HashMap<>();

  private final Map<Place, Long> heard = new HashMap<>();
  private final List<Listener> listeners = new CopyOnWriteArrayList<>();

  /** Sent in each frame and demanded of each, so that guests cannot make links up. */
  private final long secret = new SecureRandom().nextLong();

  private volatile boolean closed;

  public Topology() {
    Thread.ofVirtual().name("topology").start(this::repeat);
  }

  public void addListener(Listener listener) {
    listeners.add(listener);
  }

  /** The links at this moment, both directions of each. */
  public synchronized Map<Place, Place> links() {
    return Map.copyOf(links);
  }

  public synchronized List<ConnectedSwitch> switches() {
    return List.copyOf(switches.values());
  }

  public synchronized boolean isLink(Place place) {
    return links.containsKey(place);
  }

  private void repeat() {
    while (!closed) {
      try {
        Thread.sleep(PERIOD_MILLIS);
      } catch (InterruptedException e) {
        return;
      }
      switches().forEach(this::announce);
      forgetSilent();
    }
  }

  private void forgetSilent() {
    boolean changed;
    long now = System.nanoTime();
    synchronized (this) {
      List<Place> silent = new ArrayList<>();
      heard.forEach((place, when) -> {
        if (now - when > SILENCE_NANOS) {
          silent.add(place);
        }
      });
      silent.forEach(this::unlink);
      changed = !silent.isEmpty();
    }
    notifyIf(changed);
  }

  private void notifyIf(boolean changed) {
    if (changed) {
      listeners.forEach(Listener::changed);
    }
  }

  private void unlink(Place place) {
    heard.remove(place);
    Place far = links.remove(place);
    if (far != null) {
      links.remove(far);
      heard.remove(far);
    }
  }

  @Override
  public void switchUp(ConnectedSwitch device) {
    synchronized (this) {
      switches.put(device.datapathId(), device);
    }
    tellController(device);
    announce(device);
    notifyIf(true);
  }

  @Override
  public void promoted(ConnectedSwitch device) {
    tellController(device);
    announce(device);
  }

  private static void tellController(ConnectedSwitch device) {
    if (!device.master()) {
      return;
    }
    device.modify(
        FlowModification.add(
            0,
            PRIORITY,
            Match.builder().set(MatchField.ETH_TYPE, ETHER_TYPE).build(),
            Instructions.apply(new Action.Output(Ports.CONTROLLER))));
  }

  @Override
  public void switchDown(ConnectedSwitch device) {
    synchronized (this) {
      switches.remove(device.datapathId());
      for (Place place : List.copyOf(links.keySet())) {
        if (place.datapathId() == device.datapathId()) {
          unlink(place);
        }
      }
    }
    notifyIf(true);
  }

  @Override
  public void portChanged(ConnectedSwitch device, PortDescription port, boolean present) {
    boolean down =
        !present
            || (port.state() & PortDescription.LINK_DOWN) != 0
            || (port.configuration() & 1) != 0;
    if (down) {
      boolean changed;
      synchronized (this) {
        Place place = new Place(device.datapathId(), port.number());
        changed = links.containsKey(place);
        unlink(place);
      }
      notifyIf(changed);
    } else {
      if (device.master()) {
        announce(device, port);
      }
      notifyIf(true);
    }
  }

  private void announce(ConnectedSwitch device) {
    if (!device.master()) {
      return;
    }
    device.ports().forEach(port -> announce(device, port));
  }

  private void announce(ConnectedSwitch device, PortDescription port) {
    byte[] frame = new byte[60];
    Bytes.putAddress(frame, 0, NEAREST_BRIDGE);
    Bytes.putAddress(frame, 6, port.address());
    Bytes.putShort(frame, 12, ETHER_TYPE);
    // Chassis and port as locally assigned names, the secret as an organization's own value.
    Bytes.putShort(frame, 14, 1 << 9 | 9);
    frame[16] = 7;
    Bytes.putLong(frame, 17, device.datapathId());
    Bytes.putShort(frame, 25, 2 << 9 | 5);
    frame[27] = 7;
    Bytes.putInt(frame, 28, port.number());
    Bytes.putShort(frame, 32, 3 << 9 | 2);
    Bytes.putShort(frame, 34, 120);
    Bytes.putShort(frame, 36, 127 << 9 | 12);
    Bytes.putInt(frame, 38, 0x414e4901);
    Bytes.putLong(frame, 42, secret ^ device.datapathId() * 31 ^ port.number());
    device.packetOut(frame, Ports.CONTROLLER, new Action.Output(port.number()));
  }

  @Override
  public boolean packetIn(ConnectedSwitch device, ReceivedPacket packet) {
    if (packet.etherType() != ETHER_TYPE) {
      return false;
    }
    byte[] frame = packet.frame();
    if (frame.length < 50 || frame[16] != 7 || Bytes.getInt(frame, 38) != 0x414e4901) {
      return true;
    }
    Place from = new Place(Bytes.getLong(frame, 17), Bytes.getInt(frame, 28));
    if (Bytes.getLong(frame, 42) != (secret ^ from.datapathId() * 31 ^ from.port())) {
      return true;
    }
    Place to = new Place(device.datapathId(), packet.inPort());
    boolean changed;
    synchronized (this) {
      changed = !to.equals(links.get(from));
      if (changed) {
        unlink(from);
        unlink(to);
      }
      links.put(from, to);
      links.put(to, from);
      heard.put(from, System.nanoTime());
      heard.put(to, System.nanoTime());
    }
    notifyIf(changed);
    return true;
  }

  @Override
  public void close() {
    closed = true;
  }
}
