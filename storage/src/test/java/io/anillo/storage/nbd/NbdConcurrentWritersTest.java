package io.anillo.storage.nbd;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.NeighbouringWriters;
import io.anillo.storage.block.RawImage;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.disk.HesitantDisk;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeSpecification;
import io.anillo.storage.qcow2.Qcow2Creator;
import io.anillo.storage.qcow2.Qcow2Image;
import io.anillo.storage.qcow2.Qcow2Options;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Writers to neighbouring ranges over two connections, with flushes all the while. */
class NbdConcurrentWritersTest {
  private static final int ROUNDS = Integer.getInteger("anillo.writers.rounds", 4);
  private static final int WRITERS = 6;
  private static final int BYTES = 6 << 20;

  @TempDir Path folder;

  @Test
  void nobodysWriteToRawIsLost() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      Path path = folder.resolve("disk.raw");
      try (BlockDevice raw = new RawImage(new HesitantDisk(FileDisk.create(path, BYTES)))) {
        write(raw, round);
      }
      Files.delete(path);
    }
  }

  @Test
  void nobodysWriteToQcow2IsLost() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      Path path = folder.resolve("disk.qcow2");
      Disk file = new HesitantDisk(FileDisk.create(path, 0));
      Qcow2Creator.create(file, BYTES, Qcow2Options.DEFAULT);
      try (BlockDevice image = Qcow2Image.open(file, null)) {
        write(image, round);
      }
      Files.delete(path);
    }
  }

  @Test
  void nobodysWriteToAVolumeIsLost() throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      Path path = folder.resolve("disk");
      Disk disk = new HesitantDisk(FileDisk.create(path, 80 << 20));
      try (Pool pool = Pool.create("test", List.of(disk), PoolOptions.DEFAULT)) {
        pool.createVolume(VolumeSpecification.of("volume", BYTES, Redundancy.NONE));
        try (ThinVolume volume = pool.openVolume("volume", Optional.empty())) {
          write(volume, round);
        }
      }
      Files.delete(path);
    }
  }

  private void write(BlockDevice device, int round) throws Exception {
    long seed = Long.getLong("anillo.seed", System.nanoTime()) + round;
    System.out.println("seed " + seed);
    NbdExports exports = new NbdExports();
    exports.put(new NbdExport("disk", "", device, false));
    Path socket = folder.resolve("s");
    NeighbouringWriters writers = new NeighbouringWriters(new byte[BYTES], WRITERS, seed);
    try (NbdServer server =
            NbdServer.start(UnixDomainSocketAddress.of(socket), exports, Optional.empty());
        NbdClient first = connect(socket);
        NbdClient second = connect(socket)) {
      writers.run(60, first, second);
    }
    writers.verify(device);
  }

  private static NbdClient connect(Path socket) throws IOException {
    return NbdClient.connect(NbdAddress.unix(socket, "disk"), Duration.ZERO);
  }
}
