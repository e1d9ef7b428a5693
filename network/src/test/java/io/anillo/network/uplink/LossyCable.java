package io.anillo.network.uplink;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Joins two backends by a cable that loses, repeats and reorders frames, by a seeded plan. */
final class LossyCable {
  /** Chances in thousands. */
  record Faults(int lost, int repeated, int delayed, long seed) {
    static final Faults NONE = new Faults(0, 0, 0, 1);
  }

  private final Faults faults;

  LossyCable(Faults faults) {
    this.faults = faults;
  }

  void join(NetworkBackend left, NetworkBackend right) {
    right.start(direction(left, faults.seed()));
    left.start(direction(right, faults.seed() + 1));
  }

  private NetworkBackend.Receiver direction(NetworkBackend target, long seed) {
    Random random = new Random(seed);
    List<NetworkFrame> held = new ArrayList<>();
    return frame -> {
      synchronized (held) {
        if (random.nextInt(1000) < faults.lost()) {
          return true;
        }
        if (random.nextInt(1000) < faults.delayed()) {
          held.add(copy(frame));
          return true;
        }
        target.send(frame);
        if (random.nextInt(1000) < faults.repeated()) {
          target.send(frame);
        }
        if (!held.isEmpty() && random.nextInt(3) == 0) {
          held.forEach(target::send);
          held.clear();
        }
        return true;
      }
    };
  }

  private static NetworkFrame copy(NetworkFrame frame) {
    byte[] data = Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length());
    return new NetworkFrame(
        data,
        0,
        data.length,
        frame.checksumStart(),
        frame.checksumOffset(),
        frame.segmentation(),
        frame.segmentBytes());
  }
}
