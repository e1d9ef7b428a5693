package io.anillo.network.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.RecordingWire;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Frames that arrive together fare as they would one by one. */
class PacketBurstTest {
  private static final long SEED = Long.getLong("anillo.seed", 11);
  private static final int PORTS = 6;
  private static final int LARGEST_BURST = 40;

  private final Random random = new Random(SEED);

  /** A switch, its ports and what they sent. */
  private static final class Side implements AutoCloseable {
    final VirtualSwitch device = new VirtualSwitch("side", 1, Clock.system());
    final List<SwitchPort> ports = new ArrayList<>();
    final List<RecordingWire> wires = new ArrayList<>();

    Side() {
      for (int i = 0; i < PORTS; i++) {
        RecordingWire wire = new RecordingWire();
        wires.add(wire);
        ports.add(device.addPort("p" + (i + 1), wire));
      }
    }

    List<List<String>> sent() {
      return wires.stream().map(RecordingWire::take).toList();
    }

    List<String> counters() {
      return device.inspect(() -> {
        List<String> lines = new ArrayList<>();
        for (int table = 0; table < 2; table++) {
          for (FlowEntry entry : device.table(table).entries()) {
            lines.add(table + " " + entry.priority() + " " + entry.packets() + " " + entry.bytes());
          }
        }
        for (SwitchPort port : ports) {
          SwitchPort.Counters counters = port.counters();
          lines.add(
              "%d: %d %d %d %d, %d %d"
                  .formatted(
                      port.number(),
                      counters.receivedPackets,
                      counters.receivedBytes,
                      counters.receivedDrops,
                      counters.receivedErrors,
                      counters.sentPackets,
                      counters.sentBytes));
        }
        lines.sort(null);
        return lines;
      });
    }

    @Override
    public void close() {
      device.close();
    }
  }

  /** Some that come again and again, and many. */
  private int destination() {
    return random.nextInt(random.nextBoolean() ? 50 : 30_000);
  }

  private NetworkFrame frame() {
    if (random.nextInt(30) == 0) {
      return NetworkFrame.of(new byte[random.nextInt(20)]);
    }
    int before = random.nextInt(9);
    byte[] data = new byte[before + 64];
    Bytes.putAddress(data, before, 0x020000000000L + random.nextInt(3));
    Bytes.putAddress(data, before + 6, 0x020000000000L + random.nextInt(3));
    Bytes.putShort(data, before + 12, 0x0800);
    Bytes.putLong(data, before + 14, 0x4500_0032_0000_0000L);
    Bytes.putInt(data, before + 22, 64 << 24 | 17 << 16);
    Bytes.putInt(data, before + 26, 0x0a000000 + random.nextInt(4));
    Bytes.putInt(data, before + 30, 0x0a000000 + destination());
    Bytes.putInt(data, before + 34, 1000 << 16 | 50 + random.nextInt(4));
    return new NetworkFrame(data, before, 64, -1, 0, NetworkFrame.Segmentation.NONE, 0);
  }

  private FlowModification flow() {
    int table = random.nextInt(2);
    Match.Builder match = Match.builder().set(MatchField.ETH_TYPE, 0x0800);
    match.set(MatchField.IP_PROTO, 17);
    int kept = random.nextInt(11);
    match.masked(
        MatchField.IPV4_DST, 0x0a000000L + destination(), 0xffffffffL << kept & 0xffffffffL);
    if (random.nextInt(4) == 0) {
      match.set(MatchField.UDP_DST, 50 + random.nextInt(4));
    }
    List<Action> actions = new ArrayList<>();
    switch (random.nextInt(5)) {
      case 0 -> actions.add(new Action.SetField(MatchField.IPV4_DST, 0x0a000000L + destination()));
      case 1 -> actions.add(new Action.PushVlan(0x8100));
      case 2 -> actions.add(new Action.Track(true, false, 1, List.of(), 1, 0, List.of()));
      default -> {}
    }
    actions.add(new Action.Output(1 + random.nextInt(PORTS)));
    Instructions instructions = Instructions.apply(actions.toArray(Action[]::new));
    if (table == 0 && random.nextBoolean()) {
      instructions = instructions.withGoto(1);
    }
    FlowModification added =
        FlowModification.add(table, 1 + random.nextInt(60_000), match.build(), instructions);
    return random.nextInt(6) == 0 ? added.withCommand(FlowModification.Command.DELETE) : added;
  }

  @Test
  void leavesWhatFramesOneByOneWould() throws FlowError {
    try (Side alone = new Side();
        Side together = new Side()) {
      int passed = 0;
      int paths = 0;
      for (int round = 0; round < 1_500; round++) {
        if (round % 10 == 0) {
          FlowModification change = flow();
          alone.device.modify(change);
          together.device.modify(change);
        }
        int port = random.nextInt(PORTS);
        if (round % 700 == 0) {
          // Rarely, for it empties the cache.
          int bits = round % 1400 == 0 ? SwitchPort.NO_RECEIVE : 0;
          for (Side side : List.of(alone, together)) {
            side.device.configurePort(side.ports.get(port), bits, SwitchPort.NO_RECEIVE);
          }
        }
        NetworkFrame[] frames = new NetworkFrame[LARGEST_BURST];
        int count = random.nextInt(LARGEST_BURST + 1);
        for (int i = 0; i < count; i++) {
          frames[i] = frame();
          alone.device.receive(alone.ports.get(port), frames[i]);
        }
        together.device.receive(together.ports.get(port), frames, count);
        List<List<String>> expected = alone.sent();
        assertThat(together.sent()).as("round %d, seed %d", round, SEED).isEqualTo(expected);
        passed += expected.stream().mapToInt(List::size).sum();
        if (round % 100 == 0) {
          paths = Math.max(paths, together.device.cacheStatistics().paths());
          assertThat(together.counters()).isEqualTo(alone.counters());
        }
      }
      assertThat(together.counters()).isEqualTo(alone.counters());
      assertThat(passed).isGreaterThan(1000);
      assertThat(together.device.cacheStatistics().guessedHits()).isGreaterThan(100);
      assertThat(paths).isGreaterThan(FlowCache.MANY_PATHS);
    }
  }
}
