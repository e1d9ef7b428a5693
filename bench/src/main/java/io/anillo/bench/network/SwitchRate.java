package io.anillo.bench.network;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.PortWire;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.List;

/** What one packet costs in the switch alone, with few and with many flows in its tables. */
final class SwitchRate {
  /** Nanoseconds a packet with a number of flows installed and in use. */
  record Cost(int flows, int inUse, double nanos) {}

  private static final int PACKETS = 3_000_000;

  private SwitchRate() {}

  static List<Cost> measure() throws FlowError {
    List<Cost> costs = new ArrayList<>();
    for (int[] setting :
        new int[][] {
          {10, 10}, {1_000, 1_000}, {1_000, 10}, {100_000, 10}, {100_000, 1_000}, {100_000, 100_000}
        }) {
      costs.add(new Cost(setting[0], setting[1], run(setting[0], setting[1])));
    }
    return costs;
  }

  private static double run(int flows, int inUse) throws FlowError {
    try (VirtualSwitch subject = new VirtualSwitch("bench", 1, Clock.system())) {
      SwitchPort in = subject.addPort("in", new Sink());
      SwitchPort out = subject.addPort("out", new Sink());
      Instructions forward = Instructions.apply(new Action.Output(out.number()));
      for (int i = 0; i < flows; i++) {
        Match match =
            Match.builder()
                .set(MatchField.ETH_TYPE, 0x0800)
                .set(MatchField.IPV4_DST, 0x0a000000L + i)
                .build();
        subject.modify(FlowModification.add(0, 10, match, forward));
      }
      byte[] frame = new byte[64];
      Bytes.putAddress(frame, 0, 0x020000000002L);
      Bytes.putAddress(frame, 6, 0x020000000001L);
      Bytes.putShort(frame, 12, 0x0800);
      Bytes.putLong(frame, 14, 0x4500_0032_0000_0000L);
      Bytes.putInt(frame, 22, 64 << 24 | 17 << 16);
      Bytes.putInt(frame, 26, 0x0b000001);
      Bytes.putInt(frame, 34, 1000 << 16 | 53);
      NetworkFrame sent = NetworkFrame.of(frame);
      double best = Double.MAX_VALUE;
      for (int round = 0; round < 4; round++) {
        int step = 7919;
        int next = 0;
        long begin = System.nanoTime();
        for (int i = 0; i < PACKETS; i++) {
          Bytes.putInt(frame, 30, 0x0a000000 + next);
          next += step;
          while (next >= inUse) {
            next -= inUse >= step ? inUse : Math.max(inUse, next / inUse * inUse);
          }
          subject.receive(in, sent);
        }
        best = Math.min(best, (System.nanoTime() - begin) / (double) PACKETS);
      }
      if (out.counters().sentPackets != 4L * PACKETS) {
        throw new IllegalStateException("packets were lost");
      }
      return best;
    }
  }

  /** A wire that takes everything. */
  private static final class Sink implements PortWire {
    @Override
    public boolean transmit(NetworkFrame frame) {
      return true;
    }

    @Override
    public void close() {}
  }
}
