package io.anillo.network.port;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.RecordingWire;
import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.packet.InternetChecksum;
import io.anillo.network.packet.MatchField;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class VxlanAndCaptureTest {
  private static final String FRAME = "020000000002020000000001" + "88b5" + "5a".repeat(60);

  private @TempDir Path folder;

  @Test
  void theAddressOfAClosedTunnelIsFreeAtOnce() throws Exception {
    InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 27_892);
    try (VirtualSwitch owner = new VirtualSwitch("s1", 1, Clock.system())) {
      for (int i = 0; i < 500; i++) {
        owner.removePort(VxlanPort.attach(owner, "vxlan", address, Optional.empty()));
      }
      assertThat(owner.ports()).isEmpty();
    }
  }

  @Test
  void carriesTheNetworkIdentifierToTheOtherSwitch() throws Exception {
    InetAddress loopback = InetAddress.getLoopbackAddress();
    InetSocketAddress leftAddress = new InetSocketAddress(loopback, 27_890);
    InetSocketAddress rightAddress = new InetSocketAddress(loopback, 27_891);
    try (VirtualSwitch left = new VirtualSwitch("left", 1, Clock.system());
        VirtualSwitch right = new VirtualSwitch("right", 2, Clock.system())) {
      RecordingWire guest = new RecordingWire();
      RecordingWire stranger = new RecordingWire();
      SwitchPort in = left.addPort("guest", new RecordingWire());
      SwitchPort out = VxlanPort.attach(left, "vxlan", leftAddress, Optional.of(rightAddress));
      SwitchPort tunnel = VxlanPort.attach(right, "vxlan", rightAddress, Optional.of(leftAddress));
      SwitchPort there = right.addPort("guest", guest);
      SwitchPort elsewhere = right.addPort("stranger", stranger);
      left.modify(
          FlowModification.add(
              0,
              1,
              Match.builder().set(MatchField.IN_PORT, in.number()).build(),
              Instructions.apply(
                  new Action.SetField(MatchField.TUNNEL_ID, 77), new Action.Output(out.number()))));
      for (SwitchPort port : List.of(there, elsewhere)) {
        right.modify(
            FlowModification.add(
                0,
                1,
                Match.builder()
                    .set(MatchField.IN_PORT, tunnel.number())
                    .set(MatchField.TUNNEL_ID, port == there ? 77 : 78)
                    .build(),
                Instructions.apply(new Action.Output(port.number()))));
      }
      left.receive(in, NetworkFrame.of(HexFormat.of().parseHex(FRAME)));
      assertThat(first(guest)).isEqualTo(FRAME);
      // What a guest left to its card is done before the frame is wrapped.
      byte[] unfinished = HexFormat.of().parseHex(FRAME);
      left.receive(
          in,
          new NetworkFrame(
              unfinished, 0, unfinished.length, 14, 2, NetworkFrame.Segmentation.NONE, 0));
      byte[] finished = HexFormat.of().parseHex(first(guest));
      assertThat(InternetChecksum.of(finished, 14, 60) & 0xffff).isEqualTo(0x5a5a);
      assertThat(stranger.take()).isEmpty();
    }
  }

  private static String first(RecordingWire wire) throws InterruptedException {
    for (int i = 0; i < 100; i++) {
      List<String> received = wire.take();
      if (!received.isEmpty()) {
        assertThat(received).hasSize(1);
        return received.getFirst();
      }
      Thread.sleep(20);
    }
    throw new AssertionError("nothing came");
  }

  @Test
  void writesCapturesThatTsharkReads() throws Exception {
    Peers.require("tshark");
    Path file = folder.resolve("capture.pcapng");
    try (VirtualSwitch subject = new VirtualSwitch("s", 1, Clock.system());
        CaptureFile capture = new CaptureFile(file, port -> true, 65_535)) {
      SwitchPort in = subject.addPort("alpha", new RecordingWire());
      SwitchPort out = subject.addPort("beta", new RecordingWire());
      subject.addTap(capture);
      subject.modify(
          FlowModification.add(
              0, 0, Match.ANY, Instructions.apply(new Action.Output(out.number()))));
      subject.receive(in, NetworkFrame.of(HexFormat.of().parseHex(FRAME)));
      assertThat(capture.frames()).isEqualTo(2);
    }
    String read =
        Peers.succeed(
            "tshark",
            "-r",
            file.toString(),
            "-T",
            "fields",
            "-e",
            "frame.interface_name",
            "-e",
            "eth.src",
            "-e",
            "frame.len");
    assertThat(read).contains("alpha\t02:00:00:00:00:01\t74", "beta\t02:00:00:00:00:01\t74");
  }
}
