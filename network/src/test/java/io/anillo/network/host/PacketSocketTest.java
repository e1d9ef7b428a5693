package io.anillo.network.host;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.packet.Bytes;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Packet sockets at the two ends of a cable of the kernel's. */
class PacketSocketTest {
  private static final String LEFT = "anps1";
  private static final String RIGHT = "anps2";

  /** IEEE's Ethernet type for local experiments, which the kernel itself never sends. */
  private static final int EXPERIMENT = 0x88b5;

  @BeforeEach
  void join() {
    Peers.require("ip");
    Peers.requireRoot();
    remove();
    Peers.succeed("ip", "link", "add", LEFT, "type", "veth", "peer", "name", RIGHT);
    for (String end : List.of(LEFT, RIGHT)) {
      Peers.succeed("ip", "link", "set", end, "up");
    }
  }

  @AfterEach
  void remove() {
    Peers.run(5, "ip", "link", "del", LEFT);
  }

  /** The {@code number}th frame: sizes and, in each third, work left for the receiver differ. */
  private static NetworkFrame frame(int number) {
    byte[] data = new byte[60 + number * 37 % 1440];
    Arrays.fill(data, (byte) number);
    Bytes.putAddress(data, 0, 0x020000000002L);
    Bytes.putAddress(data, 6, 0x020000000001L);
    Bytes.putShort(data, 12, EXPERIMENT);
    Bytes.putInt(data, 14, number);
    boolean complete = number % 3 != 0;
    return new NetworkFrame(
        data,
        0,
        data.length,
        complete ? -1 : 34,
        complete ? 0 : 6,
        NetworkFrame.Segmentation.NONE,
        0);
  }

  @Test
  void keepsWhatComesWhileTheReceiverIsBusy() throws IOException, InterruptedException {
    int number = 400;
    List<byte[]> received = new ArrayList<>();
    List<Integer> checksums = new ArrayList<>();
    CountDownLatch all = new CountDownLatch(number);
    CountDownLatch sent = new CountDownLatch(1);
    HostInterface left = HostInterface.packetSocket(LEFT);
    HostInterface right = HostInterface.packetSocket(RIGHT);
    try {
      right.start(frame -> {
        if (Bytes.getShort(frame.data(), frame.offset() + 12) == EXPERIMENT) {
          await(sent);
          received.add(
              Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length()));
          checksums.add(frame.checksumStart());
          all.countDown();
        }
        return true;
      });
      for (int i = 0; i < number; i++) {
        left.send(frame(i));
      }
      sent.countDown();
      Peers.await("all frames to come", () -> all.getCount() == 0);
    } finally {
      left.close();
      right.close();
    }
    for (int i = 0; i < number; i++) {
      assertThat(received.get(i)).as("frame %d", i).isEqualTo(frame(i).data());
      assertThat(checksums.get(i)).as("frame %d", i).isEqualTo(frame(i).checksumStart());
    }
  }

  @Test
  void goesOnWhenTheInterfaceWasDown() throws IOException, InterruptedException {
    CountDownLatch received = new CountDownLatch(1);
    HostInterface left = HostInterface.packetSocket(LEFT);
    HostInterface right = HostInterface.packetSocket(RIGHT);
    try {
      right.start(frame -> {
        if (Bytes.getShort(frame.data(), frame.offset() + 12) == EXPERIMENT) {
          received.countDown();
        }
        return true;
      });
      Peers.succeed("ip", "link", "set", RIGHT, "down");
      left.send(frame(1));
      Peers.succeed("ip", "link", "set", RIGHT, "up");
      Peers.await(
          "a frame",
          () -> {
            left.send(frame(2));
            return received.getCount() == 0;
          });
    } finally {
      left.close();
      right.close();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
