package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.nbd.NbdExport;
import io.anillo.storage.nbd.NbdExports;
import io.anillo.storage.nbd.NbdServer;
import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** fio writes and verifies while disks rot, fail, are replaced, rebuilt and removed. */
class PoolUnderFioTest {
  private static final long VOLUME_BYTES = 48 << 20;
  private static final int LOOPS = Integer.getInteger("anillo.fio.loops", 2);

  @TempDir Path folder;

  private final List<PoolEvent> events = new CopyOnWriteArrayList<>();

  private FileDisk disk(String name) throws IOException {
    return FileDisk.create(folder.resolve(name), 160 << 20);
  }

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  private void corrupt(String name, Random random) throws IOException {
    // behind the back of the pool, as a disk that rots does it
    try (FileChannel file =
        FileChannel.open(folder.resolve(name), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      for (int i = 0; i < 300; i++) {
        long at = DiskLabel.SLABS_OFFSET + random.nextLong(40 << 20);
        byte[] noise = new byte[1 + random.nextInt(3000)];
        random.nextBytes(noise);
        file.write(ByteBuffer.wrap(noise), at);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"mirror:2", "mirror:3", "parity:2+1", "parity:2+2"})
  void notOneByteIsWrong(String redundancy) throws Exception {
    Peer.require("fio");
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    List<Disk> disks = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      disks.add(disk("disk" + i));
    }
    NbdExports exports = new NbdExports();
    Path socket = folder.resolve("s");
    PoolOptions options = PoolOptions.DEFAULT.withListener(events::add);
    try (Pool pool = Pool.create("test", disks, options)) {
      pool.createVolume(
          VolumeSpecification.of("volume", VOLUME_BYTES, Redundancy.parse(redundancy)));
      try (ThinVolume volume = pool.openVolume("volume", Optional.empty());
          NbdServer server =
              NbdServer.start(UnixDomainSocketAddress.of(socket), exports, Optional.empty())) {
        exports.put(new NbdExport("volume", "", volume, false));
        assertThat(server.connectionCount()).isZero();
        Process fio = fio(socket);
        int rounds = 0;
        while (fio.isAlive()) {
          change(pool, random, rounds++);
        }
        String output = new String(fio.getInputStream().readAllBytes());
        assertThat(fio.waitFor()).as(output).isZero();
        System.out.println(redundancy + ": " + rounds + " rounds of changes");
      }
      assertThat(pool.scrub().lost()).isZero();
      assertThat(pool.scrub().healed()).isZero();
      assertThat(events).extracting(PoolEvent::kind).doesNotContain(PoolEvent.Kind.LOST);
    }
  }

  private Process fio(Path socket) throws IOException {
    return new ProcessBuilder(
            "fio",
            "--name=verify",
            "--ioengine=nbd",
            "--uri=nbd+unix:///volume?socket=" + socket,
            "--rw=randrw",
            "--bsrange=4k-64k",
            "--iodepth=8",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--verify_state_save=0",
            "--fsync=64",
            "--loops=" + LOOPS,
            "--size=" + VOLUME_BYTES)
        .directory(folder.toFile())
        .redirectErrorStream(true)
        .start();
  }

  /** One disk at a time, as redundancy of one can bear. */
  private void change(Pool pool, Random random, int round) throws Exception {
    String rotten = "disk" + (round == 0 ? "1" : "1-" + round);
    String old = round == 0 ? "disk2" : "disk2-" + round;
    corrupt(rotten, random);
    pool.scrub();
    pool.replaceDisk(path(rotten), disk("disk1-" + (round + 1)));
    pool.failDisk(path(old));
    TimeUnit.MILLISECONDS.sleep(50);
    pool.replaceDisk(path(old), disk("disk2-" + (round + 1)));
    pool.addDisk(disk("more-" + round), false);
    pool.rebalance();
    pool.removeDisk(path("more-" + round));
    java.nio.file.Files.delete(folder.resolve("more-" + round));
    java.nio.file.Files.delete(folder.resolve(rotten));
    java.nio.file.Files.delete(folder.resolve(old));
  }
}
