package io.anillo.network.uplink;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.InternetChecksum;
import io.anillo.vmm.port.NetworkFrame;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A guest that sends damaged frames of all kinds to its gateway, which lives on. */
class HostileGuestTest {
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 20_240_605);
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 60_000);
  private static final int CHECKSUM_OFFLOADED = 6;

  private static final String ETHERNET = "52550a000202020000000001";
  private static final String IP4 = "0a00020f0a000202";
  private static final String IP6 =
      "fd00616e696c6c000000000000000015fd00616e696c6c000000000000000002";
  private static final String TCP = "03e8%04x000003e8000000005002ffff00000000020405b401030307";
  private static final String DATA =
      "03e8%04x000003e9000000015018ffff0000000068656c6c6f20776f726c64";

  private static byte[] frame(String text) {
    return HexFormat.of().parseHex(ETHERNET + text);
  }

  private static byte[] ipv4(int protocol, String payload) {
    int length = 20 + payload.length() / 2;
    return frame("08004500%04x1234000040%02x0000".formatted(length, protocol) + IP4 + payload);
  }

  private static byte[] ipv6(int protocol, String payload) {
    return frame(
        "86dd60000000%04x%02xff".formatted(payload.length() / 2, protocol) + IP6 + payload);
  }

  private static List<byte[]> seeds(int server) {
    String datagram = "03e8%04x00100000".formatted(server) + "aabbccdd01020304";
    String dhcp =
        "00440043010c0000"
            + "0101060012345678000080000000000000000000000000000000000002000000000100000000000000000000"
            + "00".repeat(192)
            + "63825363350101370401030679ff".concat("00".repeat(10));
    return List.of(
        frame("08060001080006040001" + "0200000000010a00020f0000000000000a000202"),
        ipv4(6, TCP.formatted(server)),
        ipv4(6, DATA.formatted(server)),
        ipv4(17, datagram),
        ipv4(17, dhcp),
        ipv4(1, "0800000012340001aabbccddeeff0011"),
        frame("0800450000281234200040110000" + IP4 + "03e80007002000000102030405060708090a0b0c"),
        frame("0800450000281234000240110000" + IP4 + "0102030405060708090a0b0c0d0e0f1011121314"),
        ipv6(6, TCP.formatted(server)),
        ipv6(17, datagram),
        ipv6(58, "8000000012340001aabbccddeeff0011"),
        ipv6(58, "8500000000000000"),
        ipv6(58, "8700000000000000fd00616e696c6c0000000000000000020101020000000001"),
        ipv6(44, "06000001000000aa" + TCP.formatted(server)));
  }

  private static byte[] damage(Random random, byte[] seed) {
    byte[] frame = seed.clone();
    if (random.nextInt(4) == 0) {
      frame = Arrays.copyOf(frame, random.nextInt(frame.length + 20));
    }
    for (int i = random.nextInt(4); i > 0 && frame.length > 0; i--) {
      frame[random.nextInt(frame.length)] = (byte) random.nextInt(256);
    }
    return frame;
  }

  @Test
  void theGatewayLivesOn() throws Exception {
    AtomicInteger echoes = new AtomicInteger();
    Random random = new Random(SEED);
    try (EchoServer server = new EchoServer();
        UserNetwork subject = new UserNetwork(UserNetworkConfig.DEFAULT)) {
      subject.start(frame -> {
        boolean echo =
            frame.length() > 34
                && Bytes.getShort(frame.data(), frame.offset() + 12) == 0x0800
                && frame.data()[frame.offset() + 23] == 1
                && Bytes.getShort(frame.data(), frame.offset() + 38) == 0x7777;
        if (echo) {
          echoes.incrementAndGet();
        }
        return random.nextInt(50) != 0;
      });
      List<byte[]> seeds = seeds(server.port());
      Random plan = new Random(SEED + 1);
      for (int round = 0; round < ROUNDS; round++) {
        byte[] frame = damage(plan, seeds.get(plan.nextInt(seeds.size())));
        // What claims that its card fills in the checksum is not dropped for a wrong one.
        boolean offloaded = plan.nextInt(CHECKSUM_OFFLOADED) > 0;
        int start = plan.nextInt(16) == 0 ? plan.nextInt(100) : 34;
        NetworkFrame.Segmentation kind =
            plan.nextInt(16) == 0
                ? NetworkFrame.Segmentation.values()[plan.nextInt(4)]
                : NetworkFrame.Segmentation.NONE;
        int segment = kind == NetworkFrame.Segmentation.NONE ? 0 : plan.nextInt(2000);
        subject.send(
            new NetworkFrame(
                frame, 0, frame.length, offloaded ? start : -1, offloaded ? 16 : 0, kind, segment));
        if (round % 1000 == 999) {
          // What finds no room is dropped, and nothing of this is to be.
          Thread.sleep(1);
        }
      }
      assertThat(subject.connections()).isLessThanOrEqualTo(20_000);
      assertThat(subject.bufferBytes()).isLessThanOrEqualTo(256L << 20);
      byte[] ping = ipv4(1, "0800000077770001aabbccddeeff0011");
      Bytes.putShort(ping, 24, 0);
      Bytes.putShort(ping, 24, InternetChecksum.of(ping, 14, 20));
      Bytes.putShort(ping, 36, InternetChecksum.of(ping, 34, ping.length - 34));
      for (int i = 0; i < 600 && echoes.get() == 0; i++) {
        subject.send(NetworkFrame.of(ping));
        Thread.sleep(100);
      }
      assertThat(echoes.get()).isPositive();
    }
  }
}
