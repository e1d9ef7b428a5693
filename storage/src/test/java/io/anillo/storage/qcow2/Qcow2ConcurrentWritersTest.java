package io.anillo.storage.qcow2;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.NeighbouringWriters;
import io.anillo.storage.block.RawImage;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.disk.HesitantDisk;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Writers to neighbouring ranges of the same clusters, with flushes all the while. */
class Qcow2ConcurrentWritersTest {
  private static final int ROUNDS = Integer.getInteger("anillo.writers.rounds", 6);
  private static final int WRITERS = 5;
  private static final int BYTES = 6 << 20;

  /** So little that tables of small clusters come and go. */
  private static final long CACHE_BYTES = 1;

  @TempDir Path folder;

  static List<Qcow2Options> layouts() {
    return List.of(
        Qcow2Options.DEFAULT,
        Qcow2Options.DEFAULT.withBacking("base.raw", "raw"),
        Qcow2Options.DEFAULT.withClusterBytes(512),
        Qcow2Options.DEFAULT.withClusterBytes(4096).withBacking("base.raw", "raw"),
        new Qcow2Options(2, 65536, 16, false, false, false, null, null),
        new Qcow2Options(3, 512, 64, false, false, false, null, null),
        new Qcow2Options(3, 16384, 16, false, true, false, null, null),
        new Qcow2Options(3, 65536, 16, true, true, false, "base.raw", "raw"));
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void nobodysWriteIsLost(Qcow2Options options) throws Exception {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed + " for " + options);
    for (int round = 0; round < ROUNDS; round++) {
      byte[] contents = new byte[BYTES];
      Path base = folder.resolve("base.raw");
      if (options.backingFile() != null) {
        new Random(seed).nextBytes(contents);
        Files.write(base, contents);
      }
      Path path = folder.resolve("image.qcow2");
      NeighbouringWriters writers = new NeighbouringWriters(contents, WRITERS, seed + round);
      try (FileDisk disk = FileDisk.create(path, 0)) {
        Qcow2Creator.create(disk, BYTES, options);
      }
      Disk disk = new HesitantDisk(FileDisk.open(path, FileDisk.Mode.READ_WRITE));
      try (BlockDevice image = Qcow2Image.open(disk, backing(options), CACHE_BYTES)) {
        if (round % 2 == 0) {
          writers.run(60, image);
        } else {
          writers.runBeside(new Changes((Qcow2Image) image)::change, 60, image);
        }
      }
      try (Disk closed = FileDisk.open(path, FileDisk.Mode.READ_ONLY)) {
        Qcow2Check.Result result = Qcow2Check.run(closed, Qcow2Check.Repair.NOTHING);
        assertThat(result.corruptions()).as(result.messages().toString()).isZero();
        assertThat(result.leaks()).as(result.messages().toString()).isZero();
      }
      Disk again = FileDisk.open(path, FileDisk.Mode.READ_ONLY);
      try (BlockDevice image = Qcow2Image.open(again, backing(options))) {
        writers.verify(image);
      }
      Files.delete(path);
    }
  }

  /** Takes and deletes a snapshot and lets the disk grow, in turn. */
  private static final class Changes {
    private final Qcow2Image image;
    private int done;

    Changes(Qcow2Image image) {
      this.image = image;
    }

    void change() throws IOException {
      switch (done++ % 3) {
        case 0 -> image.snapshots().create("now");
        case 1 -> image.snapshots().delete("now");
        default -> image.resize(Math.min(image.sizeBytes() + (2 << 20), 64 << 20));
      }
    }
  }

  private @Nullable BlockDevice backing(Qcow2Options options) throws Exception {
    return options.backingFile() == null
        ? null
        : new RawImage(FileDisk.open(folder.resolve("base.raw"), FileDisk.Mode.READ_ONLY));
  }
}
