package io.anillo.bench.storage;

import io.anillo.bench.Statistics;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeSpecification;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/** How long snapshots and clones of a large volume take until they are durable. */
final class SnapshotCost {
  private static final long VOLUME_BYTES = 100L << 30;
  private static final long STORED_BYTES = 2L << 30;
  private static final int ROUNDS = 60;

  private SnapshotCost() {}

  /** Median and worst, in milliseconds. */
  record Cost(double median, double worst) {
    static Cost of(List<Double> millis) {
      return new Cost(
          Statistics.median(millis),
          millis.stream().mapToDouble(Double::doubleValue).max().orElse(Double.NaN));
    }
  }

  /** What was measured, with what the disk itself takes for 4 KiB to be durable. */
  record Result(Cost snapshot, Cost copy, Cost synced) {}

  static Result measure(Path folder) throws IOException {
    Path file = folder.resolve("pool-for-snapshots");
    List<Double> snapshots = new ArrayList<>();
    List<Double> clones = new ArrayList<>();
    List<Double> synced = new ArrayList<>();
    Random random = new Random(1);
    FileDisk disk = FileDisk.create(file, 8L << 30);
    try (Pool pool = Pool.create("bench", List.of(disk), PoolOptions.DEFAULT);
        FileChannel plain =
            FileChannel.open(
                folder.resolve("plain"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      pool.createVolume(VolumeSpecification.of("volume", VOLUME_BYTES, Redundancy.NONE));
      try (ThinVolume volume = pool.openVolume("volume", Optional.empty())) {
        ByteBuffer data = ByteBuffer.allocateDirect(1 << 20);
        for (long done = 0; done < STORED_BYTES; done += data.capacity()) {
          // spread, so that the map is as large as can be
          volume.write((random.nextLong(VOLUME_BYTES >> 20)) << 20, data.clear());
        }
        volume.flush();
        ByteBuffer block = ByteBuffer.allocateDirect(4096);
        for (int i = 0; i < ROUNDS; i++) {
          for (int w = 0; w < 100; w++) {
            volume.write(random.nextLong(VOLUME_BYTES >> 12) << 12, block.clear());
          }
          volume.flush();
          String name = "s" + i;
          snapshots.add(timed(() -> pool.snapshot("volume", name)));
          clones.add(timed(() -> pool.cloneVolume("volume", name, "c" + name)));
          synced.add(
              timed(() -> {
                plain.write(block.clear(), 0);
                plain.force(false);
              }));
        }
      }
    }
    return new Result(Cost.of(snapshots), Cost.of(clones), Cost.of(synced));
  }

  private interface Work {
    void run() throws IOException;
  }

  private static double timed(Work work) throws IOException {
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) / 1e6;
  }
}
