package io.anillo.network.uplink;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.InternetChecksum;
import io.anillo.vmm.port.NetworkFrame;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** A guest that opens connections without end and finishes none of them. */
class HalfOpenFloodTest {
  private static final int FLOOD = 30_000;
  private static final int MAXIMUM_OPENING = 2048;
  private static final long GUEST = 0x020000000001L;
  private static final int GUEST_ADDRESS = 0x0a00020f;
  private static final int GATEWAY = 0x0a000202;

  private static byte[] ipv4(int source, int protocol, int length) {
    byte[] frame = new byte[34 + length];
    Bytes.putAddress(frame, 0, 0x52550a000202L);
    Bytes.putAddress(frame, 6, GUEST);
    Bytes.putShort(frame, 12, 0x0800);
    Bytes.putShort(frame, 14, 0x4500);
    Bytes.putShort(frame, 16, 20 + length);
    frame[22] = 64;
    frame[23] = (byte) protocol;
    Bytes.putInt(frame, 26, source);
    Bytes.putInt(frame, 30, GATEWAY);
    Bytes.putShort(frame, 24, InternetChecksum.of(frame, 14, 20));
    return frame;
  }

  /** A SYN to the gateway. */
  static byte[] opening(int source, int from, int to) {
    return segment(source, from, to, from * 7919, 2);
  }

  /** What ends a connection that {@link #opening} has begun. */
  static byte[] reset(int source, int from, int to) {
    return segment(source, from, to, from * 7919 + 1, 4);
  }

  private static byte[] segment(int source, int from, int to, int sequence, int flags) {
    byte[] frame = ipv4(source, 6, 20);
    Bytes.putShort(frame, 34, from);
    Bytes.putShort(frame, 36, to);
    Bytes.putInt(frame, 38, sequence);
    Bytes.putShort(frame, 46, 5 << 12 | flags);
    Bytes.putShort(frame, 48, 1024);
    long sum = InternetChecksum.pseudo4(frame, 14, 6, 20);
    Bytes.putShort(frame, 50, InternetChecksum.complete(InternetChecksum.add(sum, frame, 34, 20)));
    return frame;
  }

  private static byte[] echo() {
    byte[] frame = ipv4(GUEST_ADDRESS, 1, 28);
    frame[34] = 8;
    Bytes.putShort(frame, 36, InternetChecksum.of(frame, 34, 28));
    return frame;
  }

  @Test
  void aFloodOfOpeningsStaysBoundedAndTheRestGoesOn() throws Exception {
    AtomicInteger echoes = new AtomicInteger();
    try (EchoServer server = new EchoServer();
        UserNetwork subject = new UserNetwork(UserNetworkConfig.DEFAULT)) {
      subject.start(frame -> {
        boolean echoed =
            frame.length() > 34
                && Bytes.getShort(frame.data(), frame.offset() + 12) == 0x0800
                && frame.data()[frame.offset() + 23] == 1
                && frame.data()[frame.offset() + 34] == 0;
        if (echoed) {
          echoes.incrementAndGet();
        }
        return true;
      });
      int most = 0;
      for (int i = 0; i < FLOOD; i++) {
        subject.send(NetworkFrame.of(opening(GUEST_ADDRESS, 1024 + i % 60_000, server.port())));
        if (i % 500 == 0) {
          Thread.sleep(10);
          most = Math.max(most, subject.connections());
        }
      }
      Thread.sleep(1200);
      most = Math.max(most, subject.connections());
      assertThat(most).isBetween(100, MAXIMUM_OPENING);
      assertThat(subject.bufferBytes()).isLessThan(64L << 20);
      subject.send(NetworkFrame.of(echo()));
      for (int i = 0; i < 100 && echoes.get() == 0; i++) {
        Thread.sleep(20);
      }
      assertThat(echoes.get()).isEqualTo(1);
    }
  }
}
