package io.anillo.storage.pool;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/**
 * What a pool looks like: for pictures in the terminal and in the browser.
 *
 * @param lastScrubMillis when the last scrub since the pool was opened ended, 0 if there was none
 */
public record PoolStatus(
    UUID uuid,
    String name,
    long slabBytes,
    long lastScrubMillis,
    Space space,
    List<DiskStatus> disks,
    List<VolumeStatus> volumes) {

  /**
   * What there is and what is promised, all with redundancy.
   *
   * @param capacityBytes of the disks that work
   * @param allocatedBytes in slabs that groups have taken
   * @param usedBytes that hold something
   * @param promisedBytes that the volumes may come to take
   */
  public record Space(long capacityBytes, long allocatedBytes, long usedBytes, long promisedBytes) {
    static Space of(List<DiskStatus> disks, List<VolumeStatus> volumes) {
      long capacity = 0;
      long allocated = 0;
      long used = 0;
      for (DiskStatus disk : disks) {
        if (disk.state().equals("online")) {
          capacity += disk.sizeBytes();
          allocated += disk.allocatedBytes();
          used += disk.usedBytes();
        }
      }
      long promised = volumes.stream().mapToLong(VolumeStatus::promisedBytes).sum();
      return new Space(capacity, allocated, used, promised);
    }

    public boolean overcommitted() {
      return promisedBytes > capacityBytes;
    }
  }

  /**
   * A disk.
   *
   * @param slabs what each slab is used for: the group's number, 0 for free, negative for metadata
   * @param usedBytes bytes of its slabs that hold something
   */
  public record DiskStatus(
      int id,
      String name,
      String state,
      long sizeBytes,
      long allocatedBytes,
      long usedBytes,
      long checksumErrors,
      long ioErrors,
      List<Integer> slabs) {}

  /**
   * A volume.
   *
   * @param promisedBytes what it takes once it is written all over, with redundancy
   * @param storedBytes of its present, before redundancy
   * @param bytesPerDisk where they lie, with redundancy
   * @param bytesPerGroup the same by the numbers that the disks' slabs have, before redundancy
   */
  public record VolumeStatus(
      String name,
      String redundancy,
      long sizeBytes,
      long promisedBytes,
      long storedBytes,
      boolean compressed,
      boolean encrypted,
      VolumeLimits limits,
      List<SnapshotStatus> snapshots,
      Map<String, Long> bytesPerDisk,
      Map<Integer, Long> bytesPerGroup) {}

  /** A snapshot. */
  public record SnapshotStatus(String name, long sizeBytes, long createdMillis) {}

  static PoolStatus of(PoolState state, long lastScrubMillis) throws IOException {
    Map<Integer, int[]> slabs = new TreeMap<>();
    Map<Integer, Long> used = new TreeMap<>();
    List<PoolDisk> poolDisks = state.disks();
    for (PoolDisk disk : poolDisks) {
      slabs.put(disk.id, new int[disk.slabs]);
      used.put(disk.id, 0L);
    }
    for (Group group : state.allocator.groups()) {
      long perColumn =
          (long) group.usedGranules()
              * group.redundancy.granule()
              / group.redundancy.data()
              * BlockPointer.UNIT_BYTES;
      for (int c = 0; c < group.width(); c++) {
        int[] ofDisk = slabs.get(group.disks[c].id);
        if (ofDisk != null) {
          ofDisk[group.slabs[c]] = group.metadata ? -group.id : group.id;
          used.merge(group.disks[c].id, perColumn, Long::sum);
        }
      }
    }
    List<DiskStatus> disks = new ArrayList<>();
    for (PoolDisk disk : poolDisks) {
      List<Integer> ofDisk = new ArrayList<>();
      for (int group : slabs.getOrDefault(disk.id, new int[0])) {
        ofDisk.add(group);
      }
      disks.add(
          new DiskStatus(
              disk.id,
              disk.name(),
              disk.state().name().toLowerCase(java.util.Locale.ROOT),
              disk.slabs * state.slabBytes,
              (disk.slabs - disk.freeSlabs()) * state.slabBytes,
              used.getOrDefault(disk.id, 0L),
              disk.checksumErrors.sum(),
              disk.ioErrors.sum(),
              ofDisk));
    }
    List<VolumeStatus> volumes = new ArrayList<>();
    List<VolumeRecord> records;
    synchronized (state.volumes) {
      records = List.copyOf(state.volumes.values());
    }
    for (VolumeRecord record : records) {
      volumes.add(volume(state, record));
    }
    return new PoolStatus(
        state.uuid,
        state.name,
        state.slabBytes,
        lastScrubMillis,
        Space.of(disks, volumes),
        disks,
        volumes);
  }

  private static VolumeStatus volume(PoolState state, VolumeRecord record) throws IOException {
    VolumeFamily family = state.family(record.familyId());
    long[] stored = new long[1];
    Map<String, Long> perDisk = new TreeMap<>();
    Map<Integer, Long> perGroup = new TreeMap<>();
    List<SnapshotStatus> snapshots = new ArrayList<>();
    family.lock.writeLock().lock();
    try {
      Version head = state.head(record);
      for (Version version : family.versions.values()) {
        if (version.volumeId == record.id() && version.isSnapshot()) {
          snapshots.add(new SnapshotStatus(version.name, version.sizeBytes, version.createdMillis));
        }
      }
      family.difference(
          null,
          head,
          (block, location, check) -> {
            if (location == 0) {
              return;
            }
            long bytes = (long) BlockPointer.units(location) * BlockPointer.UNIT_BYTES;
            stored[0] += bytes;
            Group group = state.allocator.group(BlockPointer.group(location));
            perGroup.merge(group.id, bytes, Long::sum);
            for (PoolDisk disk : group.disks) {
              perDisk.merge(disk.name(), bytes / group.redundancy.data(), Long::sum);
            }
          });
      return new VolumeStatus(
          record.name(),
          record.redundancy().toString(),
          head.sizeBytes,
          promised(record.redundancy(), head.sizeBytes),
          stored[0],
          record.compressed(),
          record.key().length > 0,
          record.limits(),
          snapshots,
          perDisk,
          perGroup);
    } finally {
      family.lock.writeLock().unlock();
    }
  }

  private static long promised(Redundancy redundancy, long bytes) {
    return switch (redundancy.kind()) {
      case NONE, STRIPED -> bytes;
      case MIRROR -> bytes * redundancy.width();
      case PARITY -> bytes / redundancy.data() * redundancy.width();
    };
  }
}
