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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The picture of a pool, and its data as {@code pool status --json} prints it. */
class PoolPictureTest {
  @TempDir Path folder;

  @Test
  void thePictureCanBeDrawnFromTheJsonAlone() throws IOException {
    PoolStatus status = status();
    PoolStatus read = fromJson(JsonText.of(RecordTree.of(status)));
    assertThat(read).isEqualTo(status);
    String picture = PoolPicture.of(read, 60);
    assertThat(picture)
        .isEqualTo(PoolPicture.of(status, 60))
        .contains("pool drawn", "mirrored", "mirror:2", "packed", "zstd", "encrypted", "@monday")
        .contains("spare", "█", "M", ".");
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

  private static PoolStatus fromJson(String text) {
    Map<String, Object> pool = map(JsonReader.read(text));
    Map<String, Object> space = map(pool.get("space"));
    return new PoolStatus(
        UUID.fromString(text(pool, "uuid")),
        text(pool, "name"),
        number(pool, "slabBytes"),
        number(pool, "lastScrubMillis"),
        new PoolStatus.Space(
            number(space, "capacityBytes"),
            number(space, "allocatedBytes"),
            number(space, "usedBytes"),
            number(space, "promisedBytes")),
        list(pool, "disks").stream().map(PoolPictureTest::disk).toList(),
        list(pool, "volumes").stream().map(PoolPictureTest::volume).toList());
  }

  private static PoolStatus.DiskStatus disk(Object value) {
    Map<String, Object> disk = map(value);
    return new PoolStatus.DiskStatus(
        (int) number(disk, "id"),
        text(disk, "name"),
        text(disk, "state"),
        number(disk, "sizeBytes"),
        number(disk, "allocatedBytes"),
        number(disk, "usedBytes"),
        number(disk, "checksumErrors"),
        number(disk, "ioErrors"),
        list(disk, "slabs").stream().map(slab -> ((Long) slab).intValue()).toList());
  }

  private static PoolStatus.VolumeStatus volume(Object value) {
    Map<String, Object> volume = map(value);
    Map<String, Object> limits = map(volume.get("limits"));
    Map<String, Long> perDisk = new TreeMap<>();
    map(volume.get("bytesPerDisk")).forEach((disk, bytes) -> perDisk.put(disk, (Long) bytes));
    Map<Integer, Long> perGroup = new TreeMap<>();
    map(volume.get("bytesPerGroup"))
        .forEach((group, bytes) -> perGroup.put(Integer.valueOf(group), (Long) bytes));
    return new PoolStatus.VolumeStatus(
        text(volume, "name"),
        text(volume, "redundancy"),
        number(volume, "sizeBytes"),
        number(volume, "promisedBytes"),
        number(volume, "storedBytes"),
        (Boolean) volume.get("compressed"),
        (Boolean) volume.get("encrypted"),
        new VolumeLimits(number(limits, "operationsPerSecond"), number(limits, "bytesPerSecond")),
        list(volume, "snapshots").stream().map(PoolPictureTest::snapshot).toList(),
        perDisk,
        perGroup);
  }

  private static PoolStatus.SnapshotStatus snapshot(Object value) {
    Map<String, Object> snapshot = map(value);
    return new PoolStatus.SnapshotStatus(
        text(snapshot, "name"), number(snapshot, "sizeBytes"), number(snapshot, "createdMillis"));
  }

  private static Map<String, Object> map(Object value) {
    Map<String, Object> map = new LinkedHashMap<>();
    ((Map<?, ?>) value).forEach((name, part) -> map.put((String) name, part));
    return map;
  }

  private static List<?> list(Map<String, Object> map, String name) {
    return (List<?>) map.get(name);
  }

  private static String text(Map<String, Object> map, String name) {
    return (String) map.get(name);
  }

  private static long number(Map<String, Object> map, String name) {
    return (Long) map.get(name);
  }
}
