package io.anillo.network.dataplane;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import org.jspecify.annotations.Nullable;

/**
 * The cable between a guest's card and a switch port: the guest sees the end that is a {@link
 * NetworkBackend}.
 */
final class GuestCable implements NetworkBackend {
  private final VirtualSwitch owner;
  private volatile @Nullable SwitchPort port;
  private volatile @Nullable Receiver receiver;

  GuestCable(VirtualSwitch owner) {
    this.owner = owner;
  }

  void plug(SwitchPort switchPort) {
    port = switchPort;
  }

  PortWire wire() {
    return new PortWire() {
      @Override
      public boolean transmit(NetworkFrame frame) {
        Receiver guest = receiver;
        return guest != null && guest.receive(frame);
      }

      @Override
      public Offloads accepted() {
        return GuestCable.this.offloads();
      }

      @Override
      public void close() {
        receiver = null;
      }
    };
  }

  @Override
  public void start(Receiver guest) {
    receiver = guest;
  }

  @Override
  public void send(NetworkFrame frame) {
    SwitchPort plugged = port;
    if (plugged != null) {
      owner.receive(plugged, frame);
    }
  }

  @Override
  public Offloads offloads() {
    return new Offloads(true, true, true);
  }

  @Override
  public void close() {
    SwitchPort plugged = port;
    port = null;
    if (plugged != null) {
      owner.removePort(plugged);
    }
  }
}
