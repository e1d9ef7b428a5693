package io.anillo.cli.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.cli.JsonText;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.PoolStatus;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeLimits;
import io.anillo.storage.pool.VolumeSpecification;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** The picture of a pool, and its data as {@code pool status --json} prints it. */
class PoolPictureTest {
  @TempDir Path folder;

  @Test
  void thePictureCanBeDrawnFromTheJsonAlone() throws IOException {
    PoolStatus status = status();
    String json = JsonText.of(RecordTree.of(status));
    PoolStatus read = JsonMapper.shared().readValue(json, PoolStatus.class);
    assertThat(read).isEqualTo(status);
    String picture = PoolPicture.of(read, 60);
    assertThat(picture)
        .isEqualTo(PoolPicture.of(status, 60))
        .contains("pool drawn", "mirrored", "mirror:2", "packed", "zstd", "encrypted", "@monday")
        .contains("spare", "█", "M", ".")
        .contains("at most 100 operations/s, at most 1 MiB/s");
    // where a volume lies, slab by slab: every group that it names has slabs on the disks it names
    PoolStatus.VolumeStatus mirrored =
        read.volumes().stream().filter(v -> v.name().equals("mirrored")).findFirst().orElseThrow();
    assertThat(mirrored.bytesPerDisk()).hasSizeBetween(2, 3);
    assertThat(mirrored.bytesPerGroup()).isNotEmpty();
    for (int group : mirrored.bytesPerGroup().keySet()) {
      assertThat(read.disks().stream().filter(disk -> disk.slabs().contains(group))).hasSize(2);
    }
  }

  private PoolStatus status() throws IOException {
    List<Disk> disks = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      disks.add(FileDisk.create(folder.resolve("disk" + i), 64 << 20));
    }
    try (Pool pool = Pool.create("drawn", disks, PoolOptions.DEFAULT)) {
      pool.addDisk(FileDisk.create(folder.resolve("spare"), 64 << 20), true);
      pool.createVolume(VolumeSpecification.of("mirrored", 512 << 20, Redundancy.mirror(2)));
      pool.createVolume(
          VolumeSpecification.of("packed", 8 << 20, Redundancy.parity(2, 1))
              .withCompression()
              .withPassphrase("secret".toCharArray())
              .withLimits(new VolumeLimits(100, 1 << 20)));
      try (ThinVolume volume = pool.openVolume("mirrored", Optional.empty())) {
        volume.write(0, ByteBuffer.allocate(3 << 20).putLong(0, 1));
        pool.snapshot("mirrored", "monday");
        volume.write(0, ByteBuffer.allocate(1 << 20).putLong(0, 2));
      }
      return pool.status();
    }
  }
}
