package io.anillo.network.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.RecordingWire;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import io.anillo.network.packet.Packet;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The flow cache answers as the tables do, whatever changes in them, and keeps what did not. */
class FlowCacheTest {
  private static final long SEED = Long.getLong("anillo.seed", 7);
  private static final int TABLES = 4;

  private final Random random = new Random(SEED);
  private final Pipeline pipeline = new Pipeline();
  private final FlowCache cache = new FlowCache();
  private final FlowProgram program = new FlowProgram(pipeline, cache, List.of());
  private final Packet packet = new Packet();
  private long now;

  private void addPorts() {
    for (int i = 1; i <= 8; i++) {
      pipeline.ports.put(i, new SwitchPort(i, "p" + i, i, new RecordingWire(), 0));
    }
  }

  private void packet(int inPort, int source, int destination, int port) {
    byte[] frame = new byte[64];
    Bytes.putAddress(frame, 0, 0x020000000000L + destination % 3);
    Bytes.putAddress(frame, 6, 0x020000000000L + source % 3);
    Bytes.putShort(frame, 12, 0x0800);
    Bytes.putLong(frame, 14, 0x4500_0032_0000_0000L);
    Bytes.putInt(frame, 22, 64 << 24 | 17 << 16);
    Bytes.putInt(frame, 26, 0x0a000000 + source);
    Bytes.putInt(frame, 30, 0x0a000000 + destination);
    Bytes.putInt(frame, 34, 1000 << 16 | port);
    packet.reset(frame, 0, frame.length);
    packet.key.clear();
    packet.key.setInPort(inPort);
    packet.parse();
  }

  private Match match(int table) {
    Match.Builder match =
        Match.builder().set(MatchField.ETH_TYPE, 0x0800).set(MatchField.IP_PROTO, 17);
    if (random.nextInt(3) == 0) {
      match.set(MatchField.IN_PORT, 1 + random.nextInt(3));
    }
    if (random.nextInt(2) == 0) {
      int kept = random.nextInt(3);
      match.masked(
          MatchField.IPV4_DST, 0x0a000000L + random.nextInt(8), 0xffffffffL << kept & 0xffffffffL);
    }
    if (random.nextInt(4) == 0) {
      match.set(MatchField.IPV4_SRC, 0x0a000000L + random.nextInt(8));
    }
    if (random.nextInt(4) == 0) {
      match.set(MatchField.UDP_DST, 50 + random.nextInt(4));
    }
    if (table > 0 && random.nextInt(3) == 0) {
      match.masked(MatchField.METADATA, random.nextInt(4), 3);
    }
    return match.build();
  }

  private Instructions instructions(int table) {
    List<Action> actions = new ArrayList<>();
    if (random.nextInt(3) == 0) {
      actions.add(new Action.SetField(MatchField.IPV4_DST, 0x0a000000L + random.nextInt(8)));
    }
    if (random.nextInt(4) == 0) {
      actions.add(new Action.SetField(MatchField.UDP_DST, 50 + random.nextInt(4)));
    }
    actions.add(new Action.Output(1 + random.nextInt(8)));
    if (random.nextInt(4) == 0) {
      actions.add(new Action.Resubmit(Ports.IN_PORT, TABLES - 1));
    }
    Instructions instructions = Instructions.apply(actions.toArray(Action[]::new));
    if (table < TABLES - 1 && random.nextInt(4) > 0) {
      instructions = instructions.withGoto(table + 1);
      if (random.nextBoolean()) {
        instructions = instructions.withMetadata(random.nextInt(4), 3);
      }
    }
    return instructions;
  }

  private final Map<FlowEntry, Long> expected = new IdentityHashMap<>();

  /** Sends a packet as the switch does; compares with a walk through the tables. */
  private void send(int round) {
    packet(1 + random.nextInt(3), random.nextInt(8), random.nextInt(8), 50 + random.nextInt(4));
    now++;
    CachedPath fresh = new PathBuilder(pipeline, null).build(packet.key);
    Operation[] cached = cache.find(packet, pipeline.generation(), now);
    if (cached == null) {
      cache.learn(packet.key, fresh, pipeline);
      fresh.credit(1, packet.length(), now);
    } else {
      assertThat(cached).as("round %d, seed %d", round, SEED).isEqualTo(fresh.operations());
    }
    for (FlowEntry entry : fresh.entries()) {
      expected.merge(entry, 1L, Long::sum);
    }
  }

  private void change() throws FlowError {
    int table = random.nextInt(TABLES);
    List<FlowEntry> present = new ArrayList<>();
    pipeline.table(table).entries().forEach(present::add);
    // No two flows have the same priority: which of them a packet takes would be undefined.
    int priority = 1 + random.nextInt(60_000);
    int kind = random.nextInt(8);
    if (kind < 4 && present.size() < 12 || present.isEmpty()) {
      if (present.stream().noneMatch(entry -> entry.priority() == priority)) {
        program.modify(
            FlowModification.add(table, priority, match(table), instructions(table)), now);
      }
      return;
    }
    FlowEntry chosen = present.get(random.nextInt(present.size()));
    FlowModification named =
        FlowModification.add(table, chosen.priority(), chosen.match(), instructions(table));
    if (kind == 4) {
      // The same match and priority: replaces the flow, which hands its counters on.
      program.modify(named, now);
      FlowEntry replacing = pipeline.table(table).find(chosen.match(), chosen.priority());
      expected.put(replacing, expected.getOrDefault(chosen, 0L));
    } else if (kind == 5) {
      program.modify(named.withCommand(FlowModification.Command.MODIFY_STRICT), now);
    } else {
      program.modify(named.withCommand(FlowModification.Command.DELETE_STRICT), now);
      assertThat(chosen.packets()).isEqualTo(expected.getOrDefault(chosen, 0L));
    }
  }

  @Test
  void answersAsTheTablesDoWhileTheyChange() throws FlowError {
    addPorts();
    for (int round = 0; round < 40_000; round++) {
      if (round % 8 == 0) {
        change();
      }
      send(round);
      if (round % 50 == 0) {
        cache.settle();
      }
    }
    cache.settle();
    for (int table = 0; table < TABLES; table++) {
      FlowTable flows = pipeline.table(table);
      for (FlowEntry entry : flows.entries()) {
        assertThat(entry.packets()).isEqualTo(expected.getOrDefault(entry, 0L));
      }
    }
    assertThat(cache.tableHits() + cache.guessedHits()).isGreaterThan(1000);
  }

  @Test
  void keepsThePathsThatAChangeDoesNotConcern() throws FlowError {
    addPorts();
    int flows = 2_000;
    for (int i = 0; i < flows; i++) {
      program.modify(FlowModification.add(0, 10, to(i), forward(2)), now);
    }
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < flows; i++) {
        packet(1, 0, i, 53);
        if (cache.find(packet, pipeline.generation(), now) == null) {
          cache.learn(packet.key, new PathBuilder(pipeline, null).build(packet.key), pipeline);
        }
      }
    }
    assertThat(cache.misses()).isEqualTo(flows);
    program.modify(FlowModification.add(0, 20, to(77), forward(3)), now);
    program.modify(FlowModification.add(0, 5, Match.ANY, forward(4)), now);
    program.modify(
        FlowModification.add(0, 10, to(78), forward(3))
            .withCommand(FlowModification.Command.DELETE_STRICT),
        now);
    program.modify(
        FlowModification.add(0, 10, to(79), forward(3))
            .withCommand(FlowModification.Command.MODIFY_STRICT),
        now);
    assertThat(cache.paths()).isEqualTo(flows - 3);
    for (int i = 0; i < flows; i++) {
      packet(1, 0, i, 53);
      Operation[] found = cache.find(packet, pipeline.generation(), now);
      assertThat(found == null).isEqualTo(i >= 77 && i <= 79);
    }
  }

  @Test
  void findsEachOfManyPathsWhileOthersComeAndGo() throws FlowError {
    addPorts();
    int flows = 3_000;
    boolean[] present = new boolean[flows];
    long[] sent = new long[flows];
    for (int round = 0; round < 120_000; round++) {
      int flow = random.nextInt(flows);
      if (round % 4 == 0) {
        FlowModification change = FlowModification.add(0, 10, to(flow), forward(1 + flow % 8));
        cache.tick();
        if (present[flow]) {
          FlowEntry leaving = pipeline.table(0).find(to(flow), 10);
          program.modify(change.withCommand(FlowModification.Command.DELETE_STRICT), now);
          assertThat(leaving.packets()).isEqualTo(sent[flow]);
        } else {
          program.modify(change, now);
        }
        present[flow] = !present[flow];
        sent[flow] = 0;
      } else {
        packet(1, 0, flow, 53);
        CachedPath fresh = new PathBuilder(pipeline, null).build(packet.key);
        Operation[] cached = cache.find(packet, pipeline.generation(), ++now);
        if (cached == null) {
          cache.learn(packet.key, fresh, pipeline);
          fresh.credit(1, packet.length(), now);
        } else {
          assertThat(cached).as("round %d, seed %d", round, SEED).isEqualTo(fresh.operations());
        }
        sent[flow]++;
      }
    }
    assertThat(cache.tableHits()).isGreaterThan(cache.misses());
  }

  @Test
  void countsWhatIsMoreThanASlotHolds() throws FlowError {
    addPorts();
    program.modify(FlowModification.add(0, 10, to(7), forward(2)), now);
    byte[] large = new byte[65_535];
    packet(1, 0, 7, 53);
    System.arraycopy(packet.toByteArray(), 0, large, 0, 64);
    Bytes.putShort(large, 16, large.length - 14);
    assertThat(cache.find(packet, pipeline.generation(), now) == null).isTrue();
    cache.learn(packet.key, new PathBuilder(pipeline, null).build(packet.key), pipeline);
    int small = 200_000;
    for (int i = 0; i < small; i++) {
      assertThat(cache.find(packet, pipeline.generation(), now) != null).isTrue();
    }
    packet.reset(large, 0, large.length);
    packet.key.clear();
    packet.key.setInPort(1);
    packet.parse();
    int jumbo = 5_000;
    for (int i = 0; i < jumbo; i++) {
      assertThat(cache.find(packet, pipeline.generation(), now) != null).isTrue();
    }
    cache.settle();
    FlowEntry flow = pipeline.table(0).find(to(7), 10);
    assertThat(flow.packets()).isEqualTo(small + jumbo);
    assertThat(flow.bytes()).isEqualTo(small * 64L + jumbo * 65_535L);
  }

  private static Match to(int destination) {
    return Match.builder()
        .set(MatchField.ETH_TYPE, 0x0800)
        .set(MatchField.IPV4_DST, 0x0a000000L + destination)
        .build();
  }

  private static Instructions forward(int port) {
    return Instructions.apply(new Action.Output(port));
  }
}
