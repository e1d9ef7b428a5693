package io.anillo.network.port;

import io.anillo.network.dataplane.FrameTap;
import io.anillo.network.dataplane.PortWire;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.packet.Offloads;
import io.anillo.network.packet.Packet;
import java.util.function.Predicate;

/** Copies what passes some ports to a wire that only listens. */
public final class Mirror implements FrameTap {
  private final PortWire listener;
  private final Predicate<SwitchPort> wanted;
  private final Offloads offloads = new Offloads();

  public Mirror(PortWire listener, Predicate<SwitchPort> wanted) {
    this.listener = listener;
    this.wanted = wanted;
  }

  @Override
  public void frame(SwitchPort port, boolean entering, Packet packet) {
    if (wanted.test(port)) {
      if (Offloads.acceptable(packet, listener.accepted())) {
        listener.transmit(packet.frame());
      } else {
        offloads.complete(packet, listener::transmit);
      }
    }
  }
}
