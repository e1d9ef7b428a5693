package io.anillo.bench.storage;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.ImageCopy;
import io.anillo.storage.image.Images;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeSpecification;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A pool of one disk with one filled volume. */
final class PoolOnDisk {
  private PoolOnDisk() {}

  static void make(Path disk, long volumeBytes, Path contents) throws IOException {
    FileDisk file = FileDisk.open(disk, FileDisk.Mode.READ_WRITE);
    try (Pool pool = Pool.create("bench", List.of(file), PoolOptions.DEFAULT)) {
      pool.createVolume(VolumeSpecification.of("volume", volumeBytes, Redundancy.NONE));
      try (ThinVolume volume = pool.openVolume("volume", Optional.empty());
          BlockDevice source =
              Images.open(
                  contents,
                  Images.Options.READ_ONLY.as(
                      Optional.of(io.anillo.storage.image.ImageFormat.RAW)))) {
        ImageCopy.copy(source, volume, done -> {});
        volume.flush();
      }
    }
  }
}
