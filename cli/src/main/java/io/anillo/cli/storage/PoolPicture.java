package io.anillo.cli.storage;

import io.anillo.storage.pool.PoolStatus;
import io.anillo.storage.pool.VolumeLimits;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Draws a pool for the terminal: a row of cells for each disk, a bar for each volume. */
final class PoolPicture {
  private static final char METADATA = 'M';
  private static final char FREE = '.';
  private static final char MIXED = '▒';
  private static final char FULL = '█';

  /** Longer names of disks stand out of their column. */
  private static final int MAX_NAME = 60;

  private PoolPicture() {}

  static String of(PoolStatus status, int width) {
    StringBuilder text = new StringBuilder();
    text.append(
        "pool %s, slabs of %s%n".formatted(status.name(), StorageCommand.size(status.slabBytes())));
    text.append(
        "%s of %s in use; volumes may come to take %s%s%n"
            .formatted(
                StorageCommand.size(status.space().usedBytes()),
                StorageCommand.size(status.space().capacityBytes()),
                StorageCommand.size(status.space().promisedBytes()),
                status.space().overcommitted() ? ": overcommitted" : ""));
    int nameWidth = 20;
    for (PoolStatus.DiskStatus disk : status.disks()) {
      nameWidth = Math.max(nameWidth, Math.min(MAX_NAME, disk.name().length()));
    }
    text.append("%ndisks%n".formatted());
    for (PoolStatus.DiskStatus disk : status.disks()) {
      text.append(
          String.format(
              Locale.ROOT,
              "  %-2d %-" + nameWidth + "s %-8s %10s, %s in use%s%n",
              disk.id(),
              disk.name(),
              disk.state(),
              StorageCommand.size(disk.sizeBytes()),
              StorageCommand.size(disk.usedBytes()),
              errors(disk)));
      text.append("     ").append(cells(disk.slabs(), width)).append('\n');
    }
    text.append("     █ data  M metadata  ▒ partly used  . free%n%nvolumes%n".formatted());
    long largest = 1;
    for (PoolStatus.VolumeStatus volume : status.volumes()) {
      for (long bytes : volume.bytesPerDisk().values()) {
        largest = Math.max(largest, bytes);
      }
    }
    for (PoolStatus.VolumeStatus volume : status.volumes()) {
      text.append(
          String.format(
              Locale.ROOT,
              "  %-20s %-10s %10s, %s stored%s%s%s%n",
              volume.name(),
              volume.redundancy(),
              StorageCommand.size(volume.sizeBytes()),
              StorageCommand.size(volume.storedBytes()),
              volume.compressed() ? ", zstd" : "",
              volume.encrypted() ? ", encrypted" : "",
              limits(volume.limits())));
      for (Map.Entry<String, Long> part : volume.bytesPerDisk().entrySet()) {
        int length = (int) Math.max(1, part.getValue() * (width - 20) / largest);
        text.append(
            String.format(
                Locale.ROOT,
                "     %-" + nameWidth + "s %s %s%n",
                part.getKey(),
                String.valueOf(FULL).repeat(length),
                StorageCommand.size(part.getValue())));
      }
      for (PoolStatus.SnapshotStatus snapshot : volume.snapshots()) {
        text.append(
            "     @%s of %s%n"
                .formatted(
                    snapshot.name(), java.time.Instant.ofEpochMilli(snapshot.createdMillis())));
      }
    }
    return text.toString();
  }

  private static String limits(VolumeLimits limits) {
    String operations =
        limits.operationsPerSecond() == 0
            ? ""
            : ", at most %d operations/s".formatted(limits.operationsPerSecond());
    return limits.bytesPerSecond() == 0
        ? operations
        : operations + ", at most " + StorageCommand.size(limits.bytesPerSecond()) + "/s";
  }

  private static String errors(PoolStatus.DiskStatus disk) {
    return disk.checksumErrors() + disk.ioErrors() == 0
        ? ""
        : ", %d checksum and %d input/output errors"
            .formatted(disk.checksumErrors(), disk.ioErrors());
  }

  private static String cells(List<Integer> slabs, int width) {
    StringBuilder row = new StringBuilder();
    int columns = Math.min(width, slabs.size());
    for (int i = 0; i < columns; i++) {
      int from = (int) ((long) i * slabs.size() / columns);
      int to = Math.max(from + 1, (int) ((long) (i + 1) * slabs.size() / columns));
      int used = 0;
      boolean metadata = false;
      for (int slab = from; slab < to; slab++) {
        used += slabs.get(slab) != 0 ? 1 : 0;
        metadata |= slabs.get(slab) < 0;
      }
      row.append(used == 0 ? FREE : metadata ? METADATA : used < to - from ? MIXED : FULL);
    }
    return row.toString();
  }
}
