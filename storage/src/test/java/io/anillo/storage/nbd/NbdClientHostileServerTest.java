package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.RawImage;
import io.anillo.storage.disk.FileDisk;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server whose answers are damaged at random: the client ends in an error, and soon. */
class NbdClientHostileServerTest {
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 150);
  private static final int SIZE = 1 << 20;

  @TempDir Path folder;

  @Test
  void damagedAnswersEndInAnErrorOfTheRequest() throws Exception {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    NbdExports exports = new NbdExports();
    int failed = 0;
    try (RawImage raw = new RawImage(FileDisk.create(folder.resolve("disk"), SIZE));
        NbdServer server =
            NbdServer.start(new InetSocketAddress("127.0.0.1", 0), exports, Optional.empty())) {
      exports.put(new NbdExport("disk", "", raw, false));
      for (int i = 0; i < ROUNDS; i++) {
        long ofRound = random.nextLong();
        // closed with its one conversation, so that trying again is refused at once
        ServerSocket middle = new ServerSocket(0, 8, InetAddress.getLoopbackAddress());
        Thread relay =
            Thread.ofPlatform().daemon().start(() -> relay(middle, server, new Random(ofRound)));
        String what = "round " + i + " of seed " + seed;
        NbdAddress address = NbdAddress.parse("nbd://127.0.0.1:" + middle.getLocalPort() + "/disk");
        boolean[] refused = new boolean[1];
        Assertions.assertTimeoutPreemptively(
            Duration.ofSeconds(20), () -> refused[0] = use(address, new Random(ofRound)), what);
        failed += refused[0] ? 1 : 0;
        relay.join();
      }
    }
    System.out.println(failed + " of " + ROUNDS + " conversations failed");
    assertThat(failed).isPositive();
  }

  private static boolean use(NbdAddress address, Random random) throws IOException {
    try (NbdClient client = NbdClient.connect(address, Duration.ZERO)) {
      for (int i = 0; i < 12; i++) {
        int offset = random.nextInt(SIZE - 70_000);
        ByteBuffer data = ByteBuffer.allocate(1 + random.nextInt(60_000));
        // a damaged size may be smaller than what is asked for
        switch (random.nextInt(5)) {
          case 0 -> client.write(offset, data);
          case 1 -> client.status(offset, data.remaining());
          case 2 -> client.writeZeroes(offset, data.remaining(), true);
          case 3 -> client.flush();
          default -> client.read(offset, data);
        }
      }
      return false;
    } catch (IOException expected) {
      assertThat(expected.getMessage()).isNotBlank();
      return true;
    }
  }

  /** Carries one conversation, damages some bytes of what the server says, and breaks it off. */
  private static void relay(ServerSocket middle, NbdServer server, Random random) {
    try (middle;
        Socket client = middle.accept();
        Socket real = new Socket("127.0.0.1", server.port())) {
      Thread up =
          Thread.ofPlatform()
              .daemon()
              .start(() -> {
                try {
                  client.getInputStream().transferTo(real.getOutputStream());
                  real.shutdownOutput();
                } catch (IOException ended) {
                  // one side has left, which is how it ends
                }
              });
      middle.close();
      damage(real.getInputStream(), client.getOutputStream(), random);
      client.close();
      real.close();
      up.join();
    } catch (IOException | InterruptedException ended) {
      // the client has left
    }
  }

  private static void damage(InputStream from, OutputStream to, Random random) throws IOException {
    int next = random.nextInt(random.nextBoolean() ? 300 : 60_000);
    int left = next + 200_000;
    int damages = 1 + random.nextInt(3);
    boolean damaged = false;
    byte[] buffer = new byte[4096];
    for (int count = from.read(buffer); count >= 0 && left > 0; count = from.read(buffer)) {
      if (next < count && damages > 0) {
        buffer[next] = (byte) random.nextInt(256);
        damages--;
        damaged = true;
        // soon after the damage it ends: a client waits for what it was promised as long as the
        // connection lives
        left = Math.min(left, 1 + random.nextInt(20_000));
        next = count + random.nextInt(200);
      }
      next -= count;
      to.write(buffer, 0, Math.min(count, left));
      left -= count;
      if (damaged && from.available() == 0) {
        return;
      }
    }
  }
}
