package io.anillo.network.dataplane;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.RecordingWire;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A trace says what becomes of a translated connection, new or known, and changes none. */
class TracedConnectionTest {
  private static final int CLIENT = 0x0a000001;
  private static final int SHOWN = 0xcb007105;
  private static final int SERVER = 0x0a000009;

  private final VirtualSwitch subject = new VirtualSwitch("s1", 1, Clock.system());
  private final RecordingWire server = new RecordingWire();

  /** Table 0 translates what goes to the shown address; table 1 sends by the real one. */
  @BeforeEach
  void program() throws Exception {
    subject.addPort("client", new RecordingWire());
    subject.addPort("server", server);
    Action.Nat nat =
        new Action.Nat(
            Action.Nat.DESTINATION,
            ByteBuffer.allocate(4).putInt(SERVER).array(),
            new byte[0],
            0,
            0);
    subject.modify(
        FlowModification.add(
            0,
            1,
            Match.builder().set(MatchField.ETH_TYPE, 0x0800).build(),
            Instructions.apply(new Action.Track(true, false, 7, List.of(), 1, 0, List.of(nat)))));
    subject.modify(
        FlowModification.add(
            1,
            1,
            Match.builder()
                .set(MatchField.ETH_TYPE, 0x0800)
                .set(MatchField.IPV4_DST, SERVER & 0xffffffffL)
                .build(),
            Instructions.apply(new Action.Output(2))));
  }

  @AfterEach
  void close() {
    subject.close();
  }

  private static byte[] syn(int flags) {
    byte[] frame = new byte[64];
    Bytes.putAddress(frame, 0, 0x020000000002L);
    Bytes.putAddress(frame, 6, 0x020000000001L);
    Bytes.putShort(frame, 12, 0x0800);
    Bytes.putLong(frame, 14, 0x4500_0032_0000_0000L);
    Bytes.putInt(frame, 22, 64 << 24 | 6 << 16);
    Bytes.putInt(frame, 26, CLIENT);
    Bytes.putInt(frame, 30, SHOWN);
    Bytes.putInt(frame, 34, 40_000 << 16 | 80);
    Bytes.putShort(frame, 46, 0x5000 | flags);
    return frame;
  }

  private TracedPath trace(int flags) {
    return subject.trace(new TracedPath.Entry(1, syn(flags)));
  }

  @Test
  void aNewConnectionIsTranslatedInTheTraceAndNotMade() throws Exception {
    TracedPath traced = trace(0x02);
    assertThat(subject.trackedConnections()).isZero();
    assertThat(String.join("\n", traced.steps())).contains("ipv4_dst=10.0.0.9", "out of port 2");
    subject.receive(subject.port(1).orElseThrow(), NetworkFrame.of(syn(0x02)));
    assertThat(server.take())
        .containsExactly(HexFormat.of().formatHex(traced.exits().getFirst().frame()));
  }

  @Test
  void aKnownConnectionStaysAsItIs() throws Exception {
    subject.receive(subject.port(1).orElseThrow(), NetworkFrame.of(syn(0x02)));
    server.take();
    // A reset that is only traced ends nothing: what follows is still of the connection.
    String reset = String.join("\n", trace(0x04).steps());
    assertThat(reset).contains("out of port 2");
    subject.receive(subject.port(1).orElseThrow(), NetworkFrame.of(syn(0x10)));
    assertThat(server.take()).hasSize(1);
    assertThat(subject.trackedConnections()).isEqualTo(1);
  }
}
