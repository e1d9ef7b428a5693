package io.anillo.network.dataplane;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;

/** A network backend as a switch port's wire. */
record BackendWire(NetworkBackend backend) implements PortWire {
  @Override
  public boolean transmit(NetworkFrame frame) {
    backend.send(frame);
    return true;
  }

  @Override
  public NetworkBackend.Offloads accepted() {
    return backend.offloads();
  }

  @Override
  public void close() {
    backend.close();
  }
}
