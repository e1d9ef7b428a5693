package io.anillo.network.dataplane;

import io.anillo.network.packet.Packet;

/** Sees frames pass a port: captures and mirrors. Called under the switch's lock. */
@FunctionalInterface
public interface FrameTap {
  /** A packet came in at ({@code entering}) or leaves by {@code port}. */
  void frame(SwitchPort port, boolean entering, Packet packet);
}
