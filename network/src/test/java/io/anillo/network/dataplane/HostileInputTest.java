package io.anillo.network.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.RecordingWire;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.FlowCodec;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.Message;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.openflow.WireWriter;
import io.anillo.network.packet.MatchField;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Frames and messages made of garbage: they end in a drop or an error of the protocol, never in an
 * exception.
 */
class HostileInputTest {
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 20_240_601);

  private static final String[] SEEDS = {
    "020000000002020000000001080045000028123400004006000a0a0000010a00000203e800500000000700000009500004000000000000",
    "02000000000202000000000186dd6000000000283a4020010db800000000000000000000000120010db800000000000000000000000287000000000000002001"
        + "0db80000000000000000000000020101020000000001",
    "0200000000020200000000018100200781000009884700064121000641ff45000028123400004006000a0a0000010a0000020000",
    "020000000002020000000001080600010800060400010200000000010a0000010200000000020a000002",
    "02000000000202000000000188e7000000110200000000020200000000010800450000281234000040060000",
    "02000000000202000000000186dd60000000002000402001000000000000000000000000000120010000000000000000000000000002"
        + "2c000000000000003c000000000000000600000000000000",
  };

  @Test
  void framesOfGarbagePassOrAreDropped() throws Exception {
    Random random = new Random(SEED);
    try (VirtualSwitch subject = new VirtualSwitch("s", 1, Clock.system())) {
      SwitchPort in = subject.addPort("in", new RecordingWire());
      RecordingWire wire = new RecordingWire();
      subject.addPort("out", wire);
      Action[] actions = {
        new Action.PopVlan(),
        new Action.PushVlan(0x8100),
        new Action.PushMpls(0x8847),
        new Action.CopyTtlIn(),
        new Action.CopyTtlOut(),
        new Action.DecrementMplsTtl(),
        new Action.PopMpls(0x0800),
        new Action.SetNetworkTtl(9),
        new Action.DecrementNetworkTtl(),
        new Action.PushPbb(0x88e7),
        new Action.PopPbb(),
        new Action.Output(2)
      };
      subject.modify(
          FlowModification.add(0, 0, Match.ANY, Instructions.apply(actions).withGoto(1)));
      Action track =
          new Action.Track(
              true,
              false,
              1,
              List.of(),
              2,
              0,
              List.of(new Action.Nat(1, new byte[] {10, 9, 9, 9}, new byte[0], 0, 0)));
      subject.modify(FlowModification.add(1, 0, Match.ANY, Instructions.apply(track)));
      Action[] sets = new Action[MatchField.values().length];
      int count = 0;
      for (MatchField field : MatchField.values()) {
        if (field.settable()) {
          sets[count++] = new Action.SetField(field, 5, 5 & field.ones(), -1, field.ones());
        }
      }
      List<Action> all = List.of(java.util.Arrays.copyOf(sets, count));
      for (int round = 0; round < Integer.getInteger("anillo.fuzz.rounds", 60_000); round++) {
        byte[] frame = mutate(random, HexFormat.of().parseHex(SEEDS[round % SEEDS.length]));
        int start = random.nextInt(8) == 0 ? random.nextInt(80) : -1;
        NetworkFrame.Segmentation kind =
            random.nextInt(16) == 0
                ? NetworkFrame.Segmentation.values()[random.nextInt(4)]
                : NetworkFrame.Segmentation.NONE;
        subject.receive(
            in,
            new NetworkFrame(
                frame, 0, frame.length, start, random.nextInt(20), kind, random.nextInt(64)));
        if (frame.length >= 14) {
          subject.execute(frame, 1, all);
          subject.execute(frame, 1, List.of(new Action.Output(Ports.TABLE)));
        }
        wire.take();
      }
      assertThat(in.counters().receivedPackets).isPositive();
      assertThat(subject.trackedConnections()).isLessThanOrEqualTo(ConnectionTracker.MAXIMUM);
    }
  }

  private static byte[] mutate(Random random, byte[] seed) {
    byte[] frame =
        java.util.Arrays.copyOf(
            seed, Math.max(1, seed.length - random.nextInt(8) * random.nextInt(8)));
    for (int i = random.nextInt(6); i > 0; i--) {
      frame[random.nextInt(frame.length)] = (byte) random.nextInt(256);
    }
    return frame;
  }

  @Test
  void messagesOfGarbageAreErrorsOfTheProtocol() throws Exception {
    Random random = new Random(SEED + 1);
    WireWriter match = new WireWriter();
    MatchCodec.write(
        match,
        Match.builder()
            .set(MatchField.ETH_TYPE, 0x0800)
            .set(MatchField.IP_PROTO, 6)
            .set(MatchField.TCP_DST, 80)
            .build());
    Message flow =
        FlowCodec.writeFlowMod(
            1,
            FlowModification.add(
                0,
                5,
                Match.builder().set(MatchField.ETH_TYPE, 0x0800).build(),
                Instructions.apply(
                    new Action.SetField(MatchField.IPV4_DST, 7),
                    new Action.Track(true, false, 3, List.of(), 4, 0, List.of()),
                    new Action.Output(2))),
            -1);
    int refused = 0;
    for (int round = 0; round < Integer.getInteger("anillo.fuzz.rounds", 200_000); round++) {
      byte[] body = round % 2 == 0 ? match.toByteArray() : flow.body().clone();
      for (int i = 1 + random.nextInt(4); i > 0; i--) {
        body[random.nextInt(body.length)] = (byte) random.nextInt(256);
      }
      WireReader reader =
          new WireReader(
              body, 0, random.nextInt(4) == 0 ? random.nextInt(body.length) : body.length);
      try {
        switch (round % 4) {
          case 0 -> MatchCodec.read(reader);
          case 2 -> FlowCodec.readGroupMod(reader);
          case 1 -> FlowCodec.readFlowMod(reader);
          default -> FlowCodec.readMeterMod(reader);
        }
      } catch (FlowError expected) {
        refused++;
      }
    }
    assertThat(refused).isPositive();
  }
}
