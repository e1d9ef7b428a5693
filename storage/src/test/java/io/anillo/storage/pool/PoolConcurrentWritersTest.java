package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.NeighbouringWriters;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.disk.HesitantDisk;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Writers to neighbouring ranges of the same blocks, with commits and snapshots all the while. */
class PoolConcurrentWritersTest {
  private static final int OPERATIONS = 10 * Integer.getInteger("anillo.writers.rounds", 8);
  private static final int WRITERS = 5;
  private static final int BYTES = 6 << 20;

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"none", "mirror:2", "parity:2+1", "none zstd", "parity:2+1 zstd"})
  void nobodysWriteIsLost(String kind) throws Exception {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed + " for " + kind);
    List<Disk> disks = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      disks.add(new HesitantDisk(FileDisk.create(folder.resolve("disk" + i), 80 << 20)));
    }
    VolumeSpecification specification =
        VolumeSpecification.of("volume", BYTES, Redundancy.parse(kind.split(" ")[0]));
    if (kind.endsWith("zstd")) {
      specification = specification.withCompression();
    }
    NeighbouringWriters writers = new NeighbouringWriters(new byte[BYTES], WRITERS, seed);
    try (Pool pool = Pool.create("test", disks, PoolOptions.DEFAULT)) {
      pool.createVolume(specification);
      try (ThinVolume volume = pool.openVolume("volume", Optional.empty());
          ThinVolume other = pool.openVolume("volume", Optional.empty())) {
        writers.run(OPERATIONS, volume);
        writers.runBeside(new Changes(pool)::change, OPERATIONS, volume, other);
      }
      PoolMaintenance.ScrubResult result = pool.scrub();
      assertThat(result.healed() + result.lost()).isZero();
    }
    List<Disk> again = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      again.add(FileDisk.open(folder.resolve("disk" + i), FileDisk.Mode.READ_WRITE));
    }
    try (Pool pool = Pool.open(again, PoolOptions.DEFAULT);
        ThinVolume volume = pool.openVolume("volume", Optional.empty())) {
      writers.verify(volume);
    }
  }

  /** Takes and deletes a snapshot in turn. */
  private static final class Changes {
    private final Pool pool;
    private int done;

    Changes(Pool pool) {
      this.pool = pool;
    }

    void change() throws IOException {
      if (done++ % 2 == 0) {
        pool.snapshot("volume", "now");
      } else {
        pool.deleteSnapshot("volume", "now");
      }
    }
  }
}
