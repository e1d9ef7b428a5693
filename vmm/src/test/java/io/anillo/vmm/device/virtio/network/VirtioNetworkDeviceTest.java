package io.anillo.vmm.device.virtio.network;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.network.EchoNetwork;
import io.anillo.vmm.device.network.EchoNetworkTest;
import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkBackend.Offloads;
import io.anillo.vmm.port.NetworkFrame;
import io.anillo.vmm.port.NetworkFrame.Segmentation;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtioNetworkDeviceTest {
  private static final long MAC = 0x5254_0012_3456L;
  private static final Offloads ALL = new Offloads(true, true, true);
  private final TestBoard board = new TestBoard(64);

  @AfterEach
  void closeBoard() {
    board.close();
  }

  private static VirtioNetworkDevice device(NetworkBackend backend, TestBoard board, int pairs) {
    return new VirtioNetworkDevice(
        new VirtioNetworkConfig("net0", MAC, 1500, pairs, 64), backend, board);
  }

  private NetworkGuest guest(NetworkBackend backend, long features) {
    return new NetworkGuest(
        new GuestDriver(board, device(backend, board, 1))
            .negotiate(features)
            .useMessages()
            .ready(64));
  }

  private static byte[] frame(String destination, int bytes, long seed) {
    byte[] frame = new byte[bytes];
    new Random(seed).nextBytes(frame);
    System.arraycopy(HexFormat.of().parseHex(destination), 0, frame, 0, 6);
    frame[12] = (byte) 0x88;
    frame[13] = (byte) 0xB5;
    return frame;
  }

  private static byte[] body(byte[] packet) {
    return Arrays.copyOfRange(packet, 12, packet.length);
  }

  @Test
  void configurationTellsAddressLinkAndMtu() {
    GuestDriver driver = guest(new Cable(Offloads.NONE), -1).driver;
    assertThat(driver.readDevice(0, 4)).isEqualTo(0x1200_5452L);
    assertThat(driver.readDevice(4, 2)).isEqualTo(0x5634);
    assertThat(driver.readDevice(6, 2)).isEqualTo(1);
    assertThat(driver.readDevice(10, 2)).isEqualTo(1500);
    assertThat(
            driver.features
                & (VirtioNetworkDevice.CHECKSUM | VirtioNetworkDevice.GUEST_SEGMENTATION4))
        .isZero();
  }

  @Test
  void pingIsAnsweredByTheEchoNetwork() {
    NetworkGuest guest = guest(new EchoNetwork(), -1);
    guest.offer(0, 8, 1526);
    guest.send(EchoNetworkTest.arpRequest("0a000202"));
    guest.send(
        EchoNetworkTest.echoRequest("ping".getBytes(java.nio.charset.StandardCharsets.US_ASCII)));
    board.settle();
    List<byte[]> answers = guest.received(0);
    assertThat(answers).hasSize(2);
    assertThat(HexFormat.of().formatHex(body(answers.get(0)))).contains("52550a0002020a000202");
    byte[] echo = body(answers.get(1));
    assertThat(new String(echo, 42, 4, java.nio.charset.StandardCharsets.US_ASCII))
        .isEqualTo("ping");
    assertThat(EchoNetworkTest.checksum(echo, 34, echo.length)).isZero();
    assertThat(guest.driver.interrupts).contains(1, 2);
  }

  @Test
  void offloadsPassThroughWhenBothSidesHaveThem() {
    Cable cable = new Cable(ALL);
    NetworkGuest guest = guest(cable, -1);
    byte[] big = frame("52550a000202", 40_000, 1);
    guest.send(big, 1, 1, 1460, 34, 16);
    NetworkFrame sent = cable.sent.getFirst();
    assertThat(sent.data()).isEqualTo(big);
    assertThat(sent.checksumStart()).isEqualTo(34);
    assertThat(sent.checksumOffset()).isEqualTo(16);
    assertThat(sent.segmentation()).isEqualTo(Segmentation.TCP4);
    assertThat(sent.segmentBytes()).isEqualTo(1460);
    guest.offer(0, 40, 1526);
    cable.receiver.receive(new NetworkFrame(big, 0, big.length, 34, 16, Segmentation.TCP4, 1460));
    board.settle();
    byte[] packet = guest.received(0).getFirst();
    assertThat(body(packet)).isEqualTo(big);
    assertThat(HexFormat.of().formatHex(packet, 0, 12)).isEqualTo("01013600b40522001000" + "1b00");
  }

  @Test
  void headersThatWereNotAgreedOnAreRefused() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest = guest(cable, -1);
    byte[] frame = frame("52550a000202", 100, 1);
    guest.send(frame, 1, 0, 0, 34, 16);
    guest.send(frame, 0, 1, 1000, 34, 16);
    guest.send(frame, 0, 9, 0, 0, 0);
    guest.send(new byte[13]);
    guest.send(new byte[70_000]);
    assertThat(cable.sent).isEmpty();
    assertThat(((VirtioNetworkDevice) guest.driver.device()).metrics().refusedFrames())
        .isEqualTo(5);
    guest.send(frame);
    assertThat(cable.sent).hasSize(1);
    Cable capable = new Cable(ALL);
    try (TestBoard other = new TestBoard(16)) {
      NetworkGuest second =
          new NetworkGuest(new GuestDriver(other, device(capable, other, 1)).bringUp());
      second.send(frame, 1, 0, 0, 90, 9); // the checksum would lie behind the frame
      second.send(frame, 1, 1, 0, 34, 16); // segments of nothing
      second.send(frame, 0, 1, 100, 34, 16); // segments without a checksum
      assertThat(capable.sent).isEmpty();
    }
  }

  /** A TCP segment over IPv4 or IPv6 with the pseudo header's sum in its checksum field. */
  private static byte[] tcp(boolean version4, int payload) {
    int network = version4 ? 20 : 40;
    byte[] frame = new byte[14 + network + 20 + payload];
    new Random(8).nextBytes(frame);
    System.arraycopy(HexFormat.of().parseHex("525400123456525500000001"), 0, frame, 0, 12);
    byte[] ip =
        HexFormat.of()
            .parseHex(
                version4
                    ? "0800" + "45000000" + "fffe4000" + "40060000" + "0a000202" + "0a00020f"
                    : "86dd"
                        + "60000000"
                        + "00000640"
                        + "fe80000000000000"
                        + "0000000000000001"
                        + "fe80000000000000"
                        + "0000000000000002");
    System.arraycopy(ip, 0, frame, 12, ip.length);
    int at = 14 + network;
    System.arraycopy(
        HexFormat.of().parseHex("00500051" + "fffffff0" + "00000001" + "50191000" + "00000000"),
        0,
        frame,
        at,
        20);
    int pseudo =
        FrameCompletion.sum(frame, version4 ? 26 : 22, version4 ? 8 : 32, 6 + 20 + payload);
    frame[at + 16] = (byte) (pseudo >>> 8);
    frame[at + 17] = (byte) pseudo;
    return frame;
  }

  @Test
  void whatTheGuestDidNotAcceptIsDoneForIt() {
    for (boolean version4 : new boolean[] {true, false}) {
      try (TestBoard other = new TestBoard(16)) {
        Cable cable = new Cable(ALL);
        NetworkGuest guest =
            new NetworkGuest(
                new GuestDriver(other, device(cable, other, 1))
                    .negotiate(
                        ~(VirtioNetworkDevice.GUEST_CHECKSUM
                            | VirtioNetworkDevice.GUEST_SEGMENTATION4
                            | VirtioNetworkDevice.GUEST_SEGMENTATION6))
                    .useMessages()
                    .ready(64));
        guest.offer(0, 20, 1526);
        byte[] whole = tcp(version4, 2500);
        int transport = version4 ? 34 : 54;
        Segmentation kind = version4 ? Segmentation.TCP4 : Segmentation.TCP6;
        cable.receiver.receive(new NetworkFrame(whole, 0, whole.length, transport, 16, kind, 1000));
        cable.receiver.receive(
            new NetworkFrame(whole, 0, whole.length, transport, 16, Segmentation.NONE, 0));
        other.settle();
        List<byte[]> packets = guest.received(0);
        assertThat(packets).hasSize(4);
        int at = 0;
        for (int i = 0; i < 3; i++) {
          byte[] segment = body(packets.get(i));
          int payload = segment.length - transport - 20;
          assertThat(payload).isEqualTo(i < 2 ? 1000 : 500);
          assertThat(Arrays.copyOfRange(segment, transport + 20, segment.length))
              .isEqualTo(
                  Arrays.copyOfRange(whole, transport + 20 + at, transport + 20 + at + payload));
          assertThat(
                  (segment[transport + 4] & 0xFFL) << 24
                      | (segment[transport + 5] & 0xFF) << 16
                      | (segment[transport + 6] & 0xFF) << 8
                      | segment[transport + 7] & 0xFF)
              .isEqualTo((0xFFFFFFF0L + at) & 0xFFFFFFFFL);
          assertThat(segment[transport + 13] & 0x09).as("PSH and FIN").isEqualTo(i == 2 ? 0x09 : 0);
          assertChecksums(segment, version4, transport);
          at += payload;
        }
        assertChecksums(body(packets.get(3)), version4, transport);
      }
    }
  }

  @Test
  void frameThatOnlyClaimsToBeTcpIsCutWithinItsBounds() {
    long seed = 31;
    Random random = new Random(seed);
    int cut = 0;
    for (int i = 0; i < 100_000; i++) {
      byte[] frame = Arrays.copyOf(tcp(random.nextBoolean(), 40), 14 + random.nextInt(120));
      frame[random.nextInt(frame.length)] = (byte) random.nextInt();
      Segmentation kind = Segmentation.values()[random.nextInt(3)];
      NetworkFrame whole =
          new NetworkFrame(
              frame,
              0,
              frame.length,
              random.nextInt(90) - 1,
              random.nextInt(20),
              kind,
              random.nextInt(60));
      cut += FrameCompletion.complete(NetworkHeader.encode(whole)).size();
    }
    assertThat(cut).as("seed %d", seed).isPositive();
  }

  private static void assertChecksums(byte[] frame, boolean version4, int transport) {
    if (version4) {
      int length = (frame[16] & 0xFF) << 8 | frame[17] & 0xFF;
      if (length != 0) {
        assertThat(length).isEqualTo(frame.length - 14);
        assertThat(EchoNetworkTest.checksum(frame, 14, 34)).isZero();
      }
    }
    int pseudo =
        FrameCompletion.sum(
            frame, version4 ? 26 : 22, version4 ? 8 : 32, 6 + frame.length - transport);
    assertThat(FrameCompletion.sum(frame, transport, frame.length - transport, pseudo))
        .isEqualTo(0xFFFF);
  }

  @Test
  void framesAreSpreadOverMergedBuffersOnly() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest = guest(cable, ~VirtioNetworkDevice.MERGEABLE_BUFFERS);
    guest.offer(0, 4, 1526);
    byte[] fits = frame("525400123456", 1500, 1);
    cable.receiver.receive(NetworkFrame.of(frame("525400123456", 2000, 2)));
    cable.receiver.receive(NetworkFrame.of(fits));
    board.settle();
    List<byte[]> packets = guest.received(0);
    assertThat(packets).hasSize(1);
    assertThat(body(packets.getFirst())).isEqualTo(fits);
    assertThat(packets.getFirst()[10]).isEqualTo((byte) 1);
  }

  @Test
  void framesWaitForBuffersInOrderAndTheBacklogIsBounded() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest = guest(cable, -1);
    int taken = 0;
    while (cable.receiver.receive(NetworkFrame.of(frame("525400123456", 1514, taken)))) {
      taken++;
    }
    assertThat(taken).isBetween(1000, 2000);
    board.settle();
    assertThat(((VirtioNetworkDevice) guest.driver.device()).droppedFrames()).isEqualTo(1);
    guest.offer(0, 10, 4096);
    List<byte[]> packets = guest.received(0);
    assertThat(packets).hasSize(10);
    for (int i = 0; i < 10; i++) {
      assertThat(body(packets.get(i))).isEqualTo(frame("525400123456", 1514, i));
    }
    assertThat(cable.receiver.receive(NetworkFrame.of(frame("525400123456", 100, 1)))).isTrue();
  }

  @Test
  void aFrameThatNeedsMoreBuffersThanThereAreWaitsForThem() {
    for (long features : new long[] {-1, ~io.anillo.vmm.device.virtio.VirtioDevice.EVENT_INDEX}) {
      try (TestBoard other = new TestBoard(16)) {
        Cable cable = new Cable(Offloads.NONE);
        NetworkGuest guest =
            new NetworkGuest(
                new GuestDriver(other, device(cable, other, 1))
                    .negotiate(features)
                    .useMessages()
                    .ready(64));
        guest.offer(0, 2, 500);
        byte[] frame = frame("525400123456", 1400, 1);
        cable.receiver.receive(NetworkFrame.of(frame));
        other.settle();
        assertThat(guest.received(0)).isEmpty();
        guest.offer(0, 1, 500);
        assertThat(body(guest.received(0).getFirst())).isEqualTo(frame);
      }
    }
  }

  @Test
  void onlyFramesForThisCardAreReceived() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest = guest(cable, -1);
    guest.offer(0, 60, 1526);
    String own = "525400123456";
    String other = "525400999999";
    String multicast = "01005e000001";
    String broadcast = "ffffffffffff";
    assertThat(passes(guest, cable, own, other, multicast, broadcast)).isEqualTo("1111");
    assertThat(guest.control(2, 0, 0, new byte[] {0})).isZero();
    assertThat(passes(guest, cable, own, other, multicast, broadcast)).isEqualTo("1001");
    assertThat(guest.control(2, 0, 1, new byte[] {1})).isZero();
    assertThat(passes(guest, cable, own, other, multicast, broadcast)).isEqualTo("1011");
    assertThat(guest.control(2, 0, 1, new byte[] {0})).isZero();
    byte[] tables = HexFormat.of().parseHex("01000000" + other + "01000000" + multicast);
    assertThat(guest.control(2, 1, 0, tables)).isZero();
    assertThat(passes(guest, cable, own, other, multicast, broadcast)).isEqualTo("1111");
    assertThat(guest.control(2, 1, 0, HexFormat.of().parseHex("0000000000000000"))).isZero();
    assertThat(guest.control(2, 0, 5, new byte[] {1})).isZero();
    assertThat(passes(guest, cable, own, other, multicast, broadcast)).isEqualTo("1000");
    assertThat(guest.control(2, 1, 1, HexFormat.of().parseHex(other))).isZero();
    assertThat(passes(guest, cable, own, other)).isEqualTo("01");
    assertThat(guest.driver.readDevice(4, 2)).isEqualTo(0x9999);
  }

  private String passes(NetworkGuest guest, Cable cable, String... destinations) {
    StringBuilder result = new StringBuilder();
    for (String destination : destinations) {
      cable.receiver.receive(NetworkFrame.of(frame(destination, 60, 1)));
      board.settle();
      result.append(guest.received(0).size());
    }
    return result.toString();
  }

  @Test
  void malformedCommandsAreAnsweredWithAnError() {
    NetworkGuest guest = guest(new Cable(Offloads.NONE), -1);
    assertThat(guest.control(2, 9, 0, new byte[1])).isEqualTo(1);
    assertThat(guest.control(2, 0, 99, new byte[1])).isEqualTo(1);
    assertThat(guest.control(2, 1, 0, HexFormat.of().parseHex("ffffffff"))).isEqualTo(1);
    assertThat(guest.control(2, 1, 0, HexFormat.of().parseHex("00000000ffffff7f"))).isEqualTo(1);
    assertThat(guest.control(2, 1, 1, new byte[3])).isEqualTo(1);
    assertThat(guest.control(2, 4, 0, new byte[] {2, 0})).as("one pair only").isEqualTo(1);
    assertThat(guest.control(2, 1, 0, new byte[5000])).as("too long").isEqualTo(1);
  }

  @Test
  void flowsAreSpreadOverQueuePairs() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest =
        new NetworkGuest(new GuestDriver(board, device(cable, board, 4)).bringUp());
    assertThat(guest.driver.readDevice(8, 2)).isEqualTo(4);
    for (int queue = 0; queue < 8; queue += 2) {
      guest.offer(queue, 40, 1526);
    }
    assertThat(guest.control(8, 4, 0, new byte[] {4, 0})).isZero();
    byte[] packet = tcp(true, 10);
    for (int flow = 0; flow < 32; flow++) {
      packet[35] = (byte) flow;
      cable.receiver.receive(NetworkFrame.of(packet));
    }
    board.settle();
    int total = 0;
    for (int queue = 0; queue < 8; queue += 2) {
      int count = guest.received(queue).size();
      assertThat(count).isPositive();
      total += count;
    }
    assertThat(total).isEqualTo(32);
  }

  @Test
  void linkChangesAreToldAndObeyed() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest = guest(cable, -1);
    guest.offer(0, 4, 1526);
    ((VirtioNetworkDevice) guest.driver.device()).setLink(false);
    board.settle();
    assertThat(guest.driver.readDevice(6, 2)).isZero();
    assertThat(guest.driver.interrupts).isEqualTo(List.of(0));
    guest.send(frame("52550a000202", 60, 1));
    cable.receiver.receive(NetworkFrame.of(frame("525400123456", 60, 1)));
    board.settle();
    assertThat(cable.sent).isEmpty();
    assertThat(guest.received(0)).isEmpty();
  }

  @Test
  void backlogAndFilterSurviveSaveAndRestore() {
    Cable cable = new Cable(Offloads.NONE);
    NetworkGuest guest = guest(cable, -1);
    guest.control(2, 0, 0, new byte[] {0});
    guest.control(2, 1, 0, HexFormat.of().parseHex("00000000" + "01000000" + "01005e000001"));
    byte[] first = frame("01005e000001", 700, 1);
    byte[] second = frame("525400123456", 3000, 2);
    cable.receiver.receive(NetworkFrame.of(first));
    cable.receiver.receive(NetworkFrame.of(second));
    board.settle();
    guest.driver.function.pause();
    cable.receiver.receive(NetworkFrame.of(first));
    assertThat(board.postedCount()).isZero();
    byte[] state = guest.driver.save();
    try (TestBoard other = TestBoard.copyOf(board)) {
      Cable otherCable = new Cable(Offloads.NONE);
      NetworkGuest restored =
          new NetworkGuest(guest.driver.continueOn(other, device(otherCable, other, 1), state));
      assertThat(restored.driver.saveFunction()).isEqualTo(guest.driver.saveFunction());
      restored.offer(0, 4, 2000);
      List<byte[]> packets = restored.received(0);
      assertThat(packets).hasSize(2);
      assertThat(body(packets.get(0))).isEqualTo(first);
      assertThat(body(packets.get(1))).isEqualTo(second);
      otherCable.receiver.receive(NetworkFrame.of(frame("525400999999", 60, 1)));
      other.settle();
      assertThat(restored.received(0)).isEmpty();
    }
  }

  @Test
  void stopPullsThePlug() {
    Cable cable = new Cable(Offloads.NONE);
    guest(cable, -1).driver.function.stop();
    assertThat(cable.closed).isTrue();
  }
}
