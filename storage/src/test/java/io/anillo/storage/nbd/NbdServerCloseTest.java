package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

/** A server that is closed while clients ask for more leaves nothing behind, and says nothing. */
class NbdServerCloseTest {
  private static final int SIZE = 4 << 20;
  private static final int ROUNDS = 25;
  private static final int CLIENTS = 4;

  @Test
  void requestsThatComeWhileItClosesEndQuietly() throws Exception {
    Queue<Throwable> escaped = new ConcurrentLinkedQueue<>();
    Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> escaped.add(thrown));
    try {
      Watched device = new Watched();
      NbdExports exports = new NbdExports();
      exports.put(new NbdExport("disk", "", device, false));
      for (int round = 0; round < ROUNDS; round++) {
        NbdServer server =
            NbdServer.start(new InetSocketAddress("127.0.0.1", 0), exports, Optional.empty());
        List<Thread> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
          int port = server.port();
          clients.add(Thread.ofPlatform().start(() -> ask(port)));
        }
        device.awaitRequests();
        server.close();
        assertThat(server.connectionCount()).isZero();
        int requests = device.requests.get();
        for (Thread client : clients) {
          client.join();
        }
        assertThat(device.requests).as("requests when close had returned").hasValue(requests);
      }
    } finally {
      Thread.setDefaultUncaughtExceptionHandler(before);
    }
    assertThat(escaped).isEmpty();
  }

  /** Sends writes and flushes by the dozen, without reading answers, until the server has gone. */
  private static void ask(int port) {
    ByteBuffer start = ByteBuffer.allocate(64);
    start.putInt(3);
    start.putLong(NbdProtocol.OPTION_MAGIC).putInt(NbdProtocol.OPTION_GO).putInt(10);
    start.putInt(4).put("disk".getBytes(StandardCharsets.US_ASCII));
    start.putShort((short) 0);
    ByteBuffer requests = ByteBuffer.allocate(64 << 10);
    for (int i = 0; i < 12; i++) {
      boolean write = i % 3 > 0;
      int length = write ? 4096 : 0;
      requests.putInt(NbdProtocol.REQUEST_MAGIC).putShort((short) 0);
      requests.putShort((short) (write ? NbdProtocol.COMMAND_WRITE : NbdProtocol.COMMAND_FLUSH));
      requests.putLong(i).putLong(i * 4096L).putInt(length);
      requests.put(new byte[length]);
    }
    try (Socket socket = new Socket("127.0.0.1", port)) {
      OutputStream out = socket.getOutputStream();
      out.write(start.array(), 0, start.position());
      Thread reader = Thread.ofVirtual().start(() -> drain(socket));
      while (!socket.isClosed()) {
        out.write(requests.array(), 0, requests.position());
      }
      reader.join();
    } catch (IOException gone) {
      // the server has been closed, which is what this waits for
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void drain(Socket socket) {
    try (socket) {
      socket.getInputStream().transferTo(OutputStream.nullOutputStream());
    } catch (IOException gone) {
      // as above
    }
  }

  /** A device without contents that takes its time, and counts what is asked of it. */
  private static final class Watched implements BlockDevice {
    private final AtomicInteger requests = new AtomicInteger();
    private CountDownLatch busy = new CountDownLatch(1);

    /** Waits until some more requests have come. */
    void awaitRequests() throws InterruptedException {
      CountDownLatch many = new CountDownLatch(40);
      synchronized (this) {
        busy = many;
      }
      assertThat(many.await(60, TimeUnit.SECONDS)).as("requests come").isTrue();
    }

    private synchronized CountDownLatch busy() {
      return busy;
    }

    private void take() {
      requests.incrementAndGet();
      busy().countDown();
      LockSupport.parkNanos(ThreadLocalRandom.current().nextInt(1_000_000));
    }

    @Override
    public long sizeBytes() {
      return SIZE;
    }

    @Override
    public boolean readOnly() {
      return false;
    }

    @Override
    public void read(long offset, ByteBuffer destination) {
      take();
    }

    @Override
    public void write(long offset, ByteBuffer source) {
      take();
    }

    @Override
    public void writeZeroes(long offset, long length, boolean mayUnmap) {
      take();
    }

    @Override
    public void discard(long offset, long length) {
      take();
    }

    @Override
    public void flush() {
      take();
    }

    @Override
    public void close() {}
  }
}
