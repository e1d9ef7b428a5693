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
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;

/**
 * What one packet costs in the switch alone, with few and with many flows in its tables: processor
 * time of the forwarding thread in the fastest of many short rounds that take turns, so that what
 * else the machine does, which empties its caches too, counts as little as it can.
 */
final class SwitchRate {
  /**
   * Nanoseconds of processor time a packet with flows installed, in use and changing, when so many
   * packets arrive together.
   */
  record Cost(int flows, int inUse, int packetsPerChange, int together, double nanos) {}

  private static final int WARM_UP = 100_000;
  private static final int PACKETS = 200_000;
  private static final int ROUNDS = 25;

  /** As many as a packet socket's reader takes at a time. */
  private static final int BURST = 16;

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final VirtualSwitch subject = new VirtualSwitch("bench", 1, Clock.system());
  private final SwitchPort in = subject.addPort("in", new Sink());
  private final SwitchPort out = subject.addPort("out", new Sink());
  private final Instructions forward = Instructions.apply(new Action.Output(out.number()));
  private final byte[][] frames;
  private final NetworkFrame[] packets;
  private final int flows;
  private final int inUse;
  private final int packetsPerChange;
  private double nanos = Double.MAX_VALUE;
  private long sent;

  /** A switch with flows installed; one of them goes and comes back each so many packets. */
  private SwitchRate(int flows, int inUse, int packetsPerChange, int together) throws FlowError {
    this.flows = flows;
    this.inUse = inUse;
    this.packetsPerChange = packetsPerChange;
    for (int i = 0; i < flows; i++) {
      subject.modify(flow(i));
    }
    frames = new byte[together][];
    packets = new NetworkFrame[together];
    for (int i = 0; i < together; i++) {
      frames[i] = frame();
      packets[i] = NetworkFrame.of(frames[i]);
    }
  }

  private static byte[] frame() {
    byte[] frame = new byte[64];
    Bytes.putAddress(frame, 0, 0x020000000002L);
    Bytes.putAddress(frame, 6, 0x020000000001L);
    Bytes.putShort(frame, 12, 0x0800);
    Bytes.putLong(frame, 14, 0x4500_0032_0000_0000L);
    Bytes.putInt(frame, 22, 64 << 24 | 17 << 16);
    Bytes.putInt(frame, 26, 0x0b000001);
    Bytes.putInt(frame, 34, 1000 << 16 | 53);
    return frame;
  }

  static List<Cost> measure() throws FlowError {
    List<SwitchRate> contenders = new ArrayList<>();
    for (int together : new int[] {1, BURST}) {
      for (int[] setting :
          new int[][] {
            {10, 10, 0},
            {1_000, 10, 0},
            {100_000, 10, 0},
            {1_000, 1_000, 0},
            {100_000, 1_000, 0},
            {100_000, 100_000, 0},
            {100_000, 100_000, 1_000}
          }) {
        contenders.add(new SwitchRate(setting[0], setting[1], setting[2], together));
      }
    }
    for (int round = 0; round < ROUNDS; round++) {
      for (SwitchRate contender : contenders) {
        // The others' packets have taken the processor's caches meanwhile.
        contender.send(WARM_UP);
        contender.nanos = Math.min(contender.nanos, contender.send(PACKETS));
      }
    }
    List<Cost> costs = new ArrayList<>();
    for (SwitchRate contender : contenders) {
      costs.add(contender.cost());
    }
    return costs;
  }

  private FlowModification flow(int number) {
    Match match =
        Match.builder()
            .set(MatchField.ETH_TYPE, 0x0800)
            .set(MatchField.IPV4_DST, 0x0a000000L + number)
            .build();
    return FlowModification.add(0, 10, match, forward);
  }

  /** Sends packets of all flows in use; the nanoseconds each took. */
  private double send(int count) throws FlowError {
    // Steps through the flows in use in an order that no cache can foresee.
    int step = 7919;
    int next = 0;
    long begin = THREADS.getCurrentThreadCpuTime();
    int changes = 0;
    for (int i = 0; i < count; i += packets.length) {
      for (byte[] frame : frames) {
        Bytes.putInt(frame, 30, 0x0a000000 + next);
        next = (next + step) % inUse;
      }
      if (packets.length == 1) {
        subject.receive(in, packets[0]);
      } else {
        subject.receive(in, packets, packets.length);
      }
      if (packetsPerChange > 0 && i >= changes * packetsPerChange) {
        FlowModification changed = flow(changes++);
        subject.modify(changed.withCommand(FlowModification.Command.DELETE_STRICT));
        subject.modify(changed);
      }
    }
    sent += count;
    return (THREADS.getCurrentThreadCpuTime() - begin) / (double) count;
  }

  private Cost cost() {
    if (out.counters().sentPackets != sent) {
      throw new IllegalStateException("packets were lost");
    }
    subject.close();
    return new Cost(flows, inUse, packetsPerChange, packets.length, nanos);
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
