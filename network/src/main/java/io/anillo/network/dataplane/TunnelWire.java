package io.anillo.network.dataplane;

import io.anillo.network.packet.FlowKey;
import io.anillo.vmm.port.NetworkFrame;

/** A wire that needs a packet's tunnel fields, which its bytes do not show. */
public interface TunnelWire extends PortWire {

  /** Sends a frame to where the tunnel fields of its key say; false when it had to be dropped. */
  boolean transmit(NetworkFrame frame, FlowKey key);
}
