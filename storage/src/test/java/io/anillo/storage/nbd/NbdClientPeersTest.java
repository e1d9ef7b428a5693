package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.block.Extent;
import io.anillo.storage.block.RawImage;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Our NBD client against the servers of others. */
class NbdClientPeersTest {
  private static final int SIZE = 16 << 20;
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  @TempDir Path folder;
  private final List<Process> servers = new ArrayList<>();

  @AfterEach
  void stopServers() throws InterruptedException {
    for (Process server : servers) {
      server.destroyForcibly();
      server.waitFor(10, TimeUnit.SECONDS);
    }
  }

  private Path socket() {
    return folder.resolve("socket");
  }

  private Process start(String... command) throws Exception {
    Files.deleteIfExists(socket());
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("server.log").toFile())
            .start();
    servers.add(process);
    for (int i = 0; i < 500 && !listens() && process.isAlive(); i++) {
      Thread.sleep(10);
    }
    assertThat(process.isAlive()).as(Files.readString(folder.resolve("server.log"))).isTrue();
    return process;
  }

  /** The socket is there a moment before the server listens. */
  private boolean listens() {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket()))) {
      return channel.isConnected();
    } catch (IOException notYet) {
      return false;
    }
  }

  private Process nbdkit(String... rest) throws Exception {
    Peer.require("nbdkit");
    List<String> command = new ArrayList<>(List.of("nbdkit", "-f", "-U", socket().toString()));
    command.addAll(List.of(rest));
    return start(command.toArray(String[]::new));
  }

  private Process qemuNbd(Path image, String format) throws Exception {
    Peer.require("qemu-nbd");
    return start(
        "qemu-nbd",
        "-t",
        "-e",
        "8",
        "-f",
        format,
        "--discard=unmap",
        "-k",
        socket().toString(),
        image.toString());
  }

  private NbdClient connect() throws IOException {
    return NbdClient.connect(NbdAddress.unix(socket(), ""), PATIENCE);
  }

  private Path rawFile() throws IOException {
    Path file = folder.resolve("disk.raw");
    FileDisk.create(file, SIZE).close();
    return file;
  }

  /** Random requests from several threads, each on its own part, against arrays in memory. */
  private static byte[] exercise(NbdClient client, long seed, int operations) throws Exception {
    byte[] model = new byte[SIZE];
    int threads = 4;
    ExecutorService workers = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int first = SIZE / threads * t;
        Random random = new Random(seed + t);
        running.add(
            workers.submit(() -> {
              for (int i = 0; i < operations; i++) {
                step(client, model, first, SIZE / threads, random);
              }
              return null;
            }));
      }
      for (Future<?> future : running) {
        future.get(120, TimeUnit.SECONDS);
      }
    } finally {
      workers.shutdownNow();
    }
    ByteBuffer all = ByteBuffer.allocate(SIZE);
    client.read(0, all);
    assertThat(Arrays.mismatch(all.array(), model)).isEqualTo(-1);
    return model;
  }

  private static void step(NbdClient client, byte[] model, int first, int length, Random random)
      throws IOException {
    int offset = first + random.nextInt(length);
    int count = 1 + random.nextInt(Math.min(100_000, first + length - offset));
    switch (random.nextInt(8)) {
      case 0, 1, 2 -> {
        byte[] data = new byte[count];
        random.nextBytes(data);
        if (random.nextInt(4) == 0) {
          client.writeThrough(offset, ByteBuffer.wrap(data));
        } else {
          client.write(offset, ByteBuffer.wrap(data));
        }
        System.arraycopy(data, 0, model, offset, count);
      }
      case 3 -> {
        client.writeZeroes(offset, count, random.nextBoolean());
        Arrays.fill(model, offset, offset + count, (byte) 0);
      }
      case 4 -> client.flush();
      case 5 -> {
        Extent extent = client.status(offset, count);
        assertThat(extent.lengthBytes()).isBetween(1L, (long) count);
      }
      default -> {
        ByteBuffer data = ByteBuffer.allocate(count);
        client.read(offset, data);
        assertThat(Arrays.mismatch(data.array(), 0, count, model, offset, offset + count))
            .isEqualTo(-1);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"raw", "qcow2"})
  void qemuServesWhatWeWrite(String format) throws Exception {
    Path image = folder.resolve("disk." + format);
    Peer.require("qemu-img");
    Peer.succeed("qemu-img", "create", "-f", format, image, Integer.toString(SIZE));
    Process server = qemuNbd(image, format);
    byte[] model;
    try (NbdClient client = connect()) {
      assertThat(client.sizeBytes()).isEqualTo(SIZE);
      // QEMU gives even a new raw file its first block
      Extent hole = client.status(1 << 20, SIZE - (1 << 20));
      assertThat(hole.zero()).isTrue();
      model = exercise(client, 1, 60);
      client.discard(0, 1 << 20);
      client.flush();
      Arrays.fill(model, 0, 1 << 20, (byte) 0);
    }
    server.destroy();
    server.waitFor(10, TimeUnit.SECONDS);
    Path expected = folder.resolve("model.raw");
    Files.write(expected, model);
    Peer.succeed("qemu-img", "compare", "-f", format, "-F", "raw", image, expected);
  }

  @Test
  void delayedAnswersComeToTheirRequests() throws Exception {
    nbdkit("--filter=delay", "memory", "16M", "rdelay=20ms", "wdelay=10ms");
    try (NbdClient client = connect()) {
      exercise(client, 2, 15);
    }
  }

  @Test
  void serversThatOnlyTakeWholeBlocksAreGivenWholeBlocks() throws Exception {
    nbdkit(
        "--filter=blocksize-policy",
        "memory",
        "16M",
        "blocksize-minimum=4096",
        "blocksize-preferred=65536",
        "blocksize-maximum=131072",
        "blocksize-error-policy=error");
    try (NbdClient client = connect()) {
      assertThat(client.preferredBlockBytes()).isEqualTo(65536);
      exercise(client, 3, 60);
    }
  }

  @Test
  void serversWithFewFeaturesDo() throws Exception {
    nbdkit("--no-sr", "--filter=nozero", "--filter=nocache", "memory", "16M", "zeromode=none");
    try (NbdClient client = connect()) {
      exercise(client, 4, 60);
    }
  }

  @Test
  void errorsOfTheServerAreErrorsOfTheRequestAlone() throws Exception {
    nbdkit("--filter=error", "memory", "16M", "error-pread=EIO", "error-pread-rate=50%");
    try (NbdClient client = connect()) {
      int failed = 0;
      for (int i = 0; i < 60; i++) {
        try {
          client.read(i * 4096, ByteBuffer.allocate(4096));
        } catch (IOException failure) {
          assertThat(failure).hasMessageContaining("input/output error");
          failed++;
        }
      }
      assertThat(failed).isBetween(5, 55);
      assertThat(client.connectionCount()).isEqualTo(1);
    }
    servers.removeLast().destroyForcibly().waitFor();
    nbdkit("--filter=error", "memory", "16M", "error-pwrite=ENOSPC", "error-pwrite-rate=100%");
    try (NbdClient client = connect()) {
      assertThatThrownBy(() -> client.write(0, ByteBuffer.allocate(512)))
          .hasMessageContaining("No space left");
    }
  }

  @Test
  void aServerThatRetriesBehindTheSceneIsJustSlow() throws Exception {
    nbdkit(
        "--filter=retry",
        "--filter=error",
        "memory",
        "16M",
        "retries=20",
        "retry-delay=1",
        "retry-exponential=no",
        "error-pwrite=EIO",
        "error-pwrite-rate=2%");
    try (NbdClient client = connect()) {
      exercise(client, 5, 12);
    }
  }

  @Test
  void noRequestIsLostWhileTheServerIsKilledAndComesBack() throws Exception {
    Path image = rawFile();
    qemuNbd(image, "raw");
    try (NbdClient client = connect()) {
      Thread killer =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  for (int i = 0; i < 5; i++) {
                    Thread.sleep(150);
                    servers.removeLast().destroyForcibly().waitFor();
                    Thread.sleep(100);
                    qemuNbd(image, "raw");
                  }
                } catch (Exception failure) {
                  throw new IllegalStateException(failure);
                }
              });
      long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(2);
      byte[] model = new byte[SIZE];
      Random random = new Random(6);
      for (int i = 0; System.nanoTime() < until || killer.isAlive(); i++) {
        step(client, model, 0, SIZE, random);
      }
      killer.join();
      ByteBuffer all = ByteBuffer.allocate(SIZE);
      client.read(0, all);
      assertThat(Arrays.mismatch(all.array(), model)).isEqualTo(-1);
      assertThat(client.connectionCount()).isGreaterThanOrEqualTo(4);
    }
  }

  @Test
  void aServerThatStaysAwayIsAnErrorAndMayComeBackLater() throws Exception {
    Path image = rawFile();
    qemuNbd(image, "raw");
    try (NbdClient client =
        NbdClient.connect(NbdAddress.unix(socket(), ""), Duration.ofMillis(300))) {
      servers.removeLast().destroyForcibly().waitFor();
      assertThatThrownBy(() -> client.read(0, ByteBuffer.allocate(512)))
          .hasMessageContaining("is gone");
      qemuNbd(image, "raw");
      client.read(0, ByteBuffer.allocate(512));
    }
    servers.removeLast().destroyForcibly().waitFor();
    assertThatThrownBy(() -> NbdClient.connect(NbdAddress.unix(socket(), ""), PATIENCE))
        .hasMessageContaining("no server answers");
  }

  @Test
  void aServerThatFallsSilentIsTakenForLost() throws Exception {
    Process server = nbdkit("memory", "1M");
    connect().close();
    try (NbdClient client =
        NbdClient.connect(NbdAddress.unix(socket(), ""), Duration.ZERO, Duration.ofSeconds(1))) {
      Peer.succeed("kill", "-STOP", Long.toString(server.pid()));
      assertThatThrownBy(() -> client.read(0, ByteBuffer.allocate(512)))
          .hasMessageContaining("answered nothing for 1 second");
      Peer.succeed("kill", "-CONT", Long.toString(server.pid()));
      client.read(0, ByteBuffer.allocate(512));
      assertThat(client.connectionCount()).isGreaterThan(1);
    } finally {
      server.destroyForcibly();
    }
  }

  @Test
  void ourOwnServerAndClientUnderstandEachOther() throws Exception {
    NbdExports exports = new NbdExports();
    try (RawImage raw = new RawImage(FileDisk.create(folder.resolve("own.raw"), SIZE))) {
      exports.put(new NbdExport("disk", "", raw, false));
      exports.put(new NbdExport("fixed", "", raw, true));
      try (NbdServer server =
              NbdServer.start(UnixDomainSocketAddress.of(socket()), exports, Optional.empty());
          NbdClient client = NbdClient.connect(NbdAddress.unix(socket(), "disk"), PATIENCE)) {
        exercise(client, 7, 60);
        client.resize(SIZE * 2L);
        client.write(SIZE * 2L - 512, ByteBuffer.allocate(512));
        assertThat(raw.sizeBytes()).isEqualTo(SIZE * 2L);
        try (NbdClient fixed = NbdClient.connect(NbdAddress.unix(socket(), "fixed"), PATIENCE)) {
          assertThat(fixed.readOnly()).isTrue();
          assertThatThrownBy(() -> fixed.write(0, ByteBuffer.allocate(512)))
              .hasMessageContaining("read-only");
        }
        assertThatThrownBy(() -> NbdClient.connect(NbdAddress.unix(socket(), "none"), PATIENCE))
            .hasMessageContaining("no export \"none\"");
        assertThat(server.connectionCount()).isPositive();
      }
    }
  }

  @Test
  void addressesAreReadAsTheNbdProjectWritesThem() throws IOException {
    NbdAddress plain = NbdAddress.parse("nbd://example.org/disk%201");
    assertThat(plain.host()).isEqualTo("example.org");
    assertThat(plain.port()).isEqualTo(10809);
    assertThat(plain.export()).isEqualTo("disk 1");
    NbdAddress unix = NbdAddress.parse("nbd+unix:///a/b?socket=/tmp/x%20y");
    assertThat(unix.socket()).contains(Path.of("/tmp/x y"));
    assertThat(unix.export()).isEqualTo("a/b");
    NbdAddress six = NbdAddress.parse("nbd://[::1]:7/");
    assertThat(six.host()).isEqualTo("::1");
    for (String wrong :
        List.of("nbd:disk", "nbds://host/x", "nbd+unix:///x", "http://x", "nbd://", "nbd://a b")) {
      assertThatThrownBy(() -> NbdAddress.parse(wrong)).isInstanceOf(IOException.class);
    }
  }
}
