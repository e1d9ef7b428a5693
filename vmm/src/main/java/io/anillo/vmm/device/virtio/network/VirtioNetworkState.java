package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * What a network device remembers beyond its queues and its receive filter.
 *
 * @param linkUp whether the cable is plugged in
 * @param activePairs queue pairs that the driver uses
 * @param backlog packets that have arrived and found no buffer yet
 */
record VirtioNetworkState(boolean linkUp, int activePairs, List<byte[]> backlog) {

  void write(String name, StateWriter out) {
    out.record(name + "/network", 1);
    out.putBoolean(linkUp).putInt(activePairs).putInt(backlog.size());
    for (byte[] packet : backlog) {
      out.putBytes(packet);
    }
  }

  static VirtioNetworkState read(String name, int pairs, StateReader in) {
    in.record(name + "/network", 1);
    boolean linkUp = in.getBoolean();
    int active = in.getInt();
    int count = in.getInt();
    if (active < 1 || active > pairs || count < 0) {
      throw new StateException(
          "the state of '" + name + "' has " + active + " queue pairs of " + pairs);
    }
    List<byte[]> backlog = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      byte[] packet = in.getBytes();
      if (packet.length < NetworkHeader.BYTES + NetworkHeader.ETHERNET_BYTES) {
        throw new StateException(
            "the state of '" + name + "' has a frame of " + packet.length + " bytes");
      }
      backlog.add(packet);
    }
    return new VirtioNetworkState(linkUp, active, backlog);
  }
}
