package io.anillo.network.dataplane;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;

/**
 * What a switch port is plugged into. Called under the switch's lock: it must not block nor call
 * the switch back.
 */
public interface PortWire extends AutoCloseable {

  /**
   * Sends a frame away; false when it had to be dropped. The frame's array is valid during the call
   * only.
   */
  boolean transmit(NetworkFrame frame);

  default NetworkBackend.Offloads accepted() {
    return NetworkBackend.Offloads.NONE;
  }

  @Override
  void close();
}
