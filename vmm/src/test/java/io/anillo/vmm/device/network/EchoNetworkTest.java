package io.anillo.vmm.device.network;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.port.NetworkFrame;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Frames in and out, byte for byte. */
public class EchoNetworkTest {
  private final EchoNetwork network = new EchoNetwork();
  private final List<String> answers = new ArrayList<>();

  @BeforeEach
  void start() {
    network.start(frame -> {
      answers.add(
          HexFormat.of().formatHex(frame.data(), frame.offset(), frame.offset() + frame.length()));
      return true;
    });
  }

  /** An ARP request from 52:54:00:12:34:56, 10.0.2.15. */
  public static byte[] arpRequest(String target) {
    return HexFormat.of()
        .parseHex(
            "ffffffffffff525400123456"
                + "0806"
                + "0001080006040001"
                + "5254001234560a00020f"
                + "000000000000"
                + target);
  }

  /** An ICMP echo request from 10.0.2.15 to 10.0.2.2 with right checksums. */
  public static byte[] echoRequest(byte[] data) {
    ByteBuffer frame = ByteBuffer.allocate(14 + 20 + 8 + data.length);
    frame.put(HexFormat.of().parseHex("52550a0002025254001234560800"));
    frame.putShort((short) 0x4500).putShort((short) (28 + data.length)).putInt(0x12344000);
    frame.putShort((short) 0x4001).putShort((short) 0).putInt(0x0A00020F).putInt(0x0A000202);
    frame.putShort((short) 0x0800).putShort((short) 0).putInt(0x00070001).put(data);
    frame.putShort(24, (short) checksum(frame.array(), 14, 34));
    frame.putShort(36, (short) checksum(frame.array(), 34, frame.capacity()));
    return frame.array();
  }

  public static int checksum(byte[] data, int from, int to) {
    int sum = 0;
    for (int i = from; i < to; i++) {
      sum += ((i - from) & 1) == 0 ? (data[i] & 0xFF) << 8 : data[i] & 0xFF;
    }
    sum = (sum & 0xFFFF) + (sum >>> 16);
    sum = (sum & 0xFFFF) + (sum >>> 16);
    return ~sum & 0xFFFF;
  }

  @Test
  void arpIsAnswered() {
    network.send(NetworkFrame.of(arpRequest("0a000202")));
    assertThat(answers)
        .isEqualTo(
            List.of(
                "52540012345652550a0002020806"
                    + "0001080006040002"
                    + "52550a0002020a000202"
                    + "5254001234560a00020f"));
  }

  @Test
  void otherAddressesAreNotOurs() {
    network.send(NetworkFrame.of(arpRequest("0a000203")));
    byte[] echo = echoRequest(new byte[10]);
    echo[33] = 3;
    network.send(NetworkFrame.of(echo));
    assertThat(answers).isEmpty();
  }

  @Test
  void echoIsAnsweredWithItsDataAndRightChecksums() {
    byte[] data = new byte[57];
    new Random(4).nextBytes(data);
    network.send(NetworkFrame.of(echoRequest(data)));
    byte[] answer = HexFormat.of().parseHex(answers.getFirst());
    assertThat(HexFormat.of().formatHex(answer, 0, 14)).isEqualTo("52540012345652550a0002020800");
    assertThat(HexFormat.of().formatHex(answer, 26, 34)).isEqualTo("0a0002020a00020f");
    assertThat(answer[34]).isZero();
    assertThat(HexFormat.of().formatHex(answer, 38, 42)).isEqualTo("00070001");
    assertThat(Arrays.copyOfRange(answer, 42, answer.length)).isEqualTo(data);
    assertThat(checksum(answer, 14, 34)).isZero();
    assertThat(checksum(answer, 34, answer.length)).isZero();
  }

  @Test
  void aDamagedEchoIsIgnored() {
    byte[] echo = echoRequest(new byte[10]);
    echo[45] ^= 1;
    network.send(NetworkFrame.of(echo));
    assertThat(answers).isEmpty();
  }

  @Test
  void garbageIsIgnored() {
    long seed = 77;
    Random random = new Random(seed);
    byte[] echo = echoRequest(new byte[10]);
    for (int i = 0; i < 100_000; i++) {
      byte[] frame =
          Arrays.copyOf(random.nextBoolean() ? echo : arpRequest("0a000202"), random.nextInt(80));
      for (int j = random.nextInt(4); j > 0 && frame.length > 0; j--) {
        frame[random.nextInt(frame.length)] = (byte) random.nextInt();
      }
      network.send(NetworkFrame.of(frame));
    }
    assertThat(answers.size()).as("seed %d", seed).isLessThan(100_000);
  }
}
