package io.anillo.network.dataplane;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One direction of a cable between two switches. Frames are handed over once the sender's lock is
 * free.
 */
final class PatchWire implements PortWire {
  private final VirtualSwitch from;
  private final VirtualSwitch to;
  private volatile @Nullable SwitchPort far;

  PatchWire(VirtualSwitch from, VirtualSwitch to) {
    this.from = from;
    this.to = to;
  }

  void lead(SwitchPort port) {
    far = port;
  }

  @Override
  public boolean transmit(NetworkFrame frame) {
    SwitchPort target = far;
    if (target == null) {
      return false;
    }
    byte[] copy = Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length());
    NetworkFrame sent =
        new NetworkFrame(
            copy,
            0,
            copy.length,
            frame.checksumStart(),
            frame.checksumOffset(),
            frame.segmentation(),
            frame.segmentBytes());
    from.defer(() -> to.receive(target, sent));
    return true;
  }

  @Override
  public NetworkBackend.Offloads accepted() {
    return new NetworkBackend.Offloads(true, true, true);
  }

  @Override
  public void close() {
    far = null;
  }
}
