package io.anillo.network.dataplane;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;

/** Takes frames that come out of a backend or a stream to a switch's port. */
public record PortReceiver(VirtualSwitch owner, SwitchPort port)
    implements NetworkBackend.Receiver {
  @Override
  public boolean receive(NetworkFrame frame) {
    owner.receive(port, frame);
    return true;
  }

  @Override
  public void receive(NetworkFrame[] frames, int count) {
    owner.receive(port, frames, count);
  }
}
