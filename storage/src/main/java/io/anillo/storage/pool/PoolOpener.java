package io.anillo.storage.pool;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Makes pools, and opens them: the newest superblock, its catalog, then the journal. */
final class PoolOpener {
  private static final int FEWEST_SLABS = 4;

  private final PoolOptions options;

  PoolOpener(PoolOptions options) {
    this.options = options;
  }

  /** A pool that is ready, with its committer. */
  record Opened(PoolState state, Committer committer, boolean wantsScrub) {}

  Opened create(String name, List<Disk> disks) throws IOException {
    PoolNames.requireValid(name);
    long slabBytes = options.slabBytes() > 0 ? options.slabBytes() : chooseSlab(disks);
    if (slabBytes % BlockPointer.UNIT_BYTES != 0 || slabBytes > DiskLabel.MAX_SLAB_BYTES) {
      throw new IOException("the slab size must be a multiple of 4096 up to 1 GiB");
    }
    PoolState state = new PoolState(UUID.randomUUID(), name, slabBytes, options);
    for (int i = 0; i < disks.size(); i++) {
      state.allocator.addDisk(format(state, i + 1, disks.get(i), PoolDisk.State.ONLINE, slabBytes));
    }
    Committer committer = new Committer(state);
    committer.checkpoint();
    return new Opened(state, committer, false);
  }

  private static long chooseSlab(List<Disk> disks) throws IOException {
    long smallest = Long.MAX_VALUE;
    for (Disk disk : disks) {
      smallest = Math.min(smallest, disk.sizeBytes() - DiskLabel.SLABS_OFFSET);
    }
    long wanted = Long.highestOneBit(Math.max(1, smallest / 256));
    return Math.max(1 << 20, Math.min(64 << 20, wanted));
  }

  /** Gives a disk its label and empties its superblock slots. */
  static PoolDisk format(
      PoolState state, int id, Disk disk, PoolDisk.State diskState, long slabBytes)
      throws IOException {
    long slabs = (disk.sizeBytes() - DiskLabel.SLABS_OFFSET) / slabBytes;
    if (slabs < FEWEST_SLABS) {
      throw new IOException(
          "%s is too small for a pool: %d bytes, at least %d are needed"
              .formatted(
                  disk.name(),
                  disk.sizeBytes(),
                  DiskLabel.SLABS_OFFSET + FEWEST_SLABS * slabBytes));
    }
    int count = (int) Math.min(slabs, DiskLabel.MAX_SLABS);
    UUID uuid = UUID.randomUUID();
    ByteBuffer zeros = ByteBuffer.allocateDirect((int) DiskLabel.JOURNAL_OFFSET);
    disk.write(0, zeros);
    disk.write(DiskLabel.JOURNAL_OFFSET, zeros.clear().limit(4096));
    new DiskLabel(state.uuid, uuid, id, slabBytes, count).write(disk);
    disk.flush();
    return new PoolDisk(id, uuid, count, slabBytes, diskState, disk);
  }

  private record Found(Disk disk, DiskLabel label) {}

  Opened open(List<Disk> disks) throws IOException {
    Map<UUID, Found> found = new HashMap<>();
    UUID pool = null;
    Superblock newest = null;
    for (Disk disk : disks) {
      Optional<DiskLabel> label = DiskLabel.read(disk);
      if (label.isEmpty()) {
        throw new IOException(disk.name() + " belongs to no pool");
      }
      if (pool != null && !pool.equals(label.get().pool())) {
        throw new IOException(disk.name() + " belongs to another pool than the disks before it");
      }
      pool = label.get().pool();
      found.put(label.get().disk(), new Found(disk, label.get()));
      for (int slot = 0; slot < 2; slot++) {
        ByteBuffer block = ByteBuffer.allocateDirect(DiskLabel.SUPERBLOCK_BYTES);
        disk.read(DiskLabel.superblockOffset(slot), block);
        Optional<Superblock> superblock = Superblock.parse(block.clear());
        if (superblock.isPresent()
            && superblock.get().pool().equals(pool)
            && (newest == null || superblock.get().generation() > newest.generation())) {
          newest = superblock.get();
        }
      }
    }
    if (newest == null || found.isEmpty()) {
      throw new IOException("no disk holds a valid superblock; the pool cannot be opened");
    }
    return open(newest, found);
  }

  private Opened open(Superblock superblock, Map<UUID, Found> found) throws IOException {
    long slabBytes = found.values().iterator().next().label.slabBytes();
    PoolState state = new PoolState(superblock.pool(), superblock.name(), slabBytes, options);
    boolean wantsScrub = addDisks(superblock, found, state);
    MetadataInput groups = new MetadataInput("superblock", superblock.metadataGroups());
    for (int i = 0; i < superblock.metadataGroupCount(); i++) {
      state.allocator.adopt(
          Group.read(groups, state::disk, (int) (slabBytes / BlockPointer.UNIT_BYTES)));
    }
    Catalog.parse(readCatalog(superblock, state), state);
    Committer committer = new Committer(state);
    Journal journal = committer.resume(superblock);
    Optional<ByteBuffer> record = journal.readNext(state.disks());
    while (record.isPresent()) {
      replay(record.get(), state);
      record = journal.readNext(state.disks());
    }
    // what the journal freed may be in use again by its later records: only the maps tell
    state.pending.take();
    markUsed(superblock, state);
    for (PoolDisk disk : state.disks()) {
      if (!disk.present() && disk.state() != PoolDisk.State.MISSING) {
        disk.setState(PoolDisk.State.MISSING);
      }
    }
    committer.checkpoint();
    return new Opened(state, committer, wantsScrub);
  }

  private boolean addDisks(Superblock superblock, Map<UUID, Found> found, PoolState state)
      throws IOException {
    boolean stale = false;
    List<String> missing = new ArrayList<>();
    for (Superblock.DiskEntry entry : superblock.disks()) {
      Found present = found.get(entry.uuid());
      if (present != null
          && (present.label.slabs() != entry.slabs()
              || present.label.slabBytes() != state.slabBytes)) {
        throw new IOException(
            "the label of %s says something else than the superblock of its pool"
                .formatted(present.disk.name()));
      }
      PoolDisk.State diskState = entry.state();
      if (present == null) {
        if (diskState == PoolDisk.State.ONLINE) {
          missing.add("disk " + entry.id() + " (" + entry.uuid() + ")");
        }
        diskState = PoolDisk.State.MISSING;
      } else if (diskState == PoolDisk.State.MISSING || diskState == PoolDisk.State.FAULTED) {
        // what it missed shows by its checksums; a scrub puts it right
        diskState = PoolDisk.State.ONLINE;
        stale = true;
      }
      state.allocator.addDisk(
          new PoolDisk(
              entry.id(),
              entry.uuid(),
              entry.slabs(),
              state.slabBytes,
              diskState,
              present == null ? null : present.disk));
    }
    if (!missing.isEmpty() && !options.allowMissing()) {
      throw new IOException(
          "pool %s lacks %s; name all its disks, or open it without (--degraded)"
              .formatted(superblock.name(), String.join(", ", missing)));
    }
    return stale;
  }

  private static byte[] readCatalog(Superblock superblock, PoolState state) throws IOException {
    long most = 0;
    for (long location : superblock.catalog()) {
      Group group = state.allocator.group(BlockPointer.group(location));
      if (!group.metadata
          || BlockPointer.unit(location) + BlockPointer.units(location) > group.units()) {
        throw new IOException("the pool's superblock is damaged: its catalog lies nowhere");
      }
      most += (long) BlockPointer.units(location) * BlockPointer.UNIT_BYTES;
    }
    long room = state.allocator.groups().stream().mapToLong(Group::units).sum();
    if (superblock.catalogBytes() > Math.min(most, room * BlockPointer.UNIT_BYTES)) {
      throw new IOException(
          "the pool's superblock is damaged: catalog of " + superblock.catalogBytes() + " bytes");
    }
    ByteBuffer bytes = ByteBuffer.allocate(superblock.catalogBytes());
    for (int attempt = 0; attempt < 3; attempt++) {
      bytes.clear();
      boolean complete = true;
      for (long location : superblock.catalog()) {
        Group group = state.allocator.group(BlockPointer.group(location));
        int column = Math.min(attempt, group.width() - 1);
        int length = BlockPointer.units(location) * BlockPointer.UNIT_BYTES;
        int wanted = Math.min(length, superblock.catalogBytes() - bytes.position());
        ByteBuffer part = ByteBuffer.allocate(length);
        try {
          group.disks[column].read(
              group.slabs[column],
              (long) BlockPointer.unit(location) * BlockPointer.UNIT_BYTES,
              part);
        } catch (IOException unreadable) {
          complete = false;
        }
        bytes.put(part.array(), 0, wanted);
      }
      ByteBuffer whole = bytes.duplicate().flip();
      if (complete && DiskLabel.crc(whole.duplicate()) == superblock.catalogCrc()) {
        byte[] catalog = new byte[whole.remaining()];
        whole.get(catalog);
        return catalog;
      }
    }
    throw new IOException("the catalog of pool " + superblock.name() + " cannot be read");
  }

  /**
   * Finds out what space is in use: by the maps as they are after the journal, and, until the next
   * checkpoint is durable, by the nodes that the last one reaches.
   */
  private static void markUsed(Superblock superblock, PoolState state) throws IOException {
    for (long location : superblock.catalog()) {
      mark(state, location);
    }
    Set<Long> outOfUse = new LinkedHashSet<>();
    LongList freed = state.takeFreedNodes();
    for (int i = 0; i < freed.size(); i++) {
      outOfUse.add(freed.array()[i]);
    }
    for (long location : outOfUse) {
      mark(state, location);
      state.nodeFreed(location);
    }
    for (VolumeFamily family : state.families.values()) {
      Optional<VolumeRecord> volume =
          state.volumes.values().stream()
              .filter(record -> record.familyId() == family.id)
              .findFirst();
      Map<Long, Long> seen = new HashMap<>();
      Set<TreeNode> changed = Collections.newSetFromMap(new IdentityHashMap<>());
      family.visit((node, first) -> {
        if (node.location == 0) {
          if (!changed.add(node)) {
            return false;
          }
        } else {
          long place = first << 8 | node.level;
          Long before = seen.putIfAbsent(node.location, place);
          if (before != null && before != place) {
            throw new IOException(
                "the pool's metadata is damaged: the node at %s is in two places of a map"
                    .formatted(BlockPointer.describe(node.location)));
          }
          if (before != null) {
            return false;
          }
          mark(state, node.location);
        }
        for (int slot = 0; node.level == 0 && slot < TreeNode.FAN_OUT; slot++) {
          if (node.location(slot) != 0) {
            requirePossible(node.location(slot), volume, state);
            // a block that versions share is marked by the first of them
            state.allocator.markUsed(node.location(slot));
          }
        }
        return true;
      });
    }
  }

  /** Throws unless blocks of a volume can be stored so. */
  private static void requirePossible(long location, Optional<VolumeRecord> volume, PoolState state)
      throws IOException {
    Group group = state.allocator.group(BlockPointer.group(location));
    int units = BlockPointer.units(location);
    boolean packed = BlockPointer.compressed(location);
    boolean possible =
        volume.isPresent()
            && !group.metadata
            && group.redundancy.equals(volume.get().redundancy())
            && (packed
                ? volume.get().compressed() && units < volume.get().blockUnits()
                : units == volume.get().blockUnits());
    if (!possible) {
      throw new IOException(
          "the pool's metadata is damaged: no block of its volumes can lie at "
              + BlockPointer.describe(location));
    }
  }

  private static void mark(PoolState state, long location) throws IOException {
    if (!state.allocator.markUsed(location)) {
      throw new IOException(
          "the pool's metadata is damaged: " + BlockPointer.describe(location) + " is used twice");
    }
  }

  private static void replay(ByteBuffer record, PoolState state) throws IOException {
    int slabUnits = (int) (state.slabBytes / BlockPointer.UNIT_BYTES);
    byte[] bytes = new byte[record.remaining()];
    record.get(bytes);
    MetadataInput log = new MetadataInput("journal", bytes);
    while (log.hasRemaining()) {
      int kind = log.readByte();
      if (kind == PendingLog.MAP) {
        int version = log.readInt();
        long most = VolumeSpecification.MAX_BYTES / BlockPointer.UNIT_BYTES;
        long block = log.readLong("block", 0, most - 1);
        replayMap(version, block, log.readLong(), log.readLong(), state);
        continue;
      }
      MetadataInput in = new MetadataInput("journal", log.readBytes());
      switch (kind) {
        case PendingLog.GROUP -> state.allocator.adopt(Group.read(in, state::disk, slabUnits));
        case PendingLog.SNAPSHOT -> replaySnapshot(in, state);
        case PendingLog.VOLUME -> {
          VolumeRecord volume = VolumeRecord.read(in);
          state.volumes.put(volume.name(), volume);
          state.nextVolume = Math.max(state.nextVolume, volume.id() + 1);
        }
        case PendingLog.VERSION -> replayVersion(in, state);
        case PendingLog.REMOVE_VERSION -> {
          VolumeFamily family = state.family(in.readInt());
          Version version = family.versions.get(in.readInt());
          if (version != null) {
            Snapshots.remove(state, family, version);
          }
        }
        case PendingLog.REMOVE_VOLUME -> state.volumes.remove(in.readText());
        case PendingLog.DISK_STATE -> {
          PoolDisk disk = state.disk(in.readInt());
          PoolDisk.State next = in.readConstant(PoolDisk.State.values());
          if (!disk.present()) {
            disk.setState(next);
          }
        }
        default -> throw log.damaged("an unknown change " + kind);
      }
    }
  }

  private static void replayMap(
      int versionId, long block, long location, long check, PoolState state) throws IOException {
    for (VolumeFamily family : state.families.values()) {
      Version version = family.versions.get(versionId);
      if (version != null) {
        PoolState.apply(state, family, version, block, location, check);
        return;
      }
    }
    throw new IOException("the journal names version " + versionId + ", which does not exist");
  }

  private static void replaySnapshot(MetadataInput in, PoolState state) throws IOException {
    String volumeName = in.readText();
    String snapshotName = in.readName();
    int newHead = in.readInt("version", 1, Integer.MAX_VALUE - 1);
    long created = in.readLong();
    VolumeRecord volume = state.volume(volumeName);
    VolumeFamily family = state.family(volume.familyId());
    if (newHead <= state.head(volume).id || family.versions.containsKey(newHead)) {
      throw in.damaged("version " + newHead + " is not new");
    }
    Snapshots.freeze(state, family, volume, snapshotName, newHead, created);
  }

  private static void replayVersion(MetadataInput in, PoolState state) throws IOException {
    int familyId = in.readInt();
    Version read = Version.read(in);
    VolumeFamily family = state.family(familyId);
    state.nextVersion = Math.max(state.nextVersion, read.id + 1);
    Version known = family.versions.get(read.id);
    if (known != null) {
      known.sizeBytes = read.sizeBytes;
      return;
    }
    Version parent = family.versions.get(read.parentId);
    if (parent != null) {
      Snapshots.share(parent, read);
    }
    family.versions.put(read.id, read);
  }
}
