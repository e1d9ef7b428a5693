package io.anillo.storage.pool;

import io.anillo.storage.pool.PoolEvent.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * The state of an open pool that its parts share. Lock order: structure of the pool, then {@link
 * #writers} shared, then {@link #quiesce} shared, then a family's lock, then the pending log and
 * the allocator.
 */
final class PoolState implements SpaceAllocator.Listener {
  private static final int LEAVES_PER_FAMILY = 8192;
  private static final double[] THRESHOLDS = {0.8, 0.9, 0.95};

  final UUID uuid;
  final String name;
  final long slabBytes;
  final PoolListener listener;
  final SpaceAllocator allocator;
  final GroupStorage storage;
  final BlockReader reader;
  final PendingLog pending = new PendingLog();

  /** Held shared by whoever changes maps; alone by a checkpoint while it freezes them. */
  final ReentrantReadWriteLock quiesce = new ReentrantReadWriteLock();

  /**
   * Held shared from before a block is written until it is in the map; taken alone by whoever has
   * to be sure that every block written so far can be found there.
   */
  final ReentrantReadWriteLock writers = new ReentrantReadWriteLock();

  final Map<Integer, VolumeFamily> families = new ConcurrentHashMap<>();
  final Map<String, VolumeRecord> volumes = new TreeMap<>();

  /** Beyond so many changes the next commit is a checkpoint, and no more need be logged. */
  final int updatesPerCheckpoint;

  /**
   * Pointers changed since the last checkpoint; put back to 0 only while {@link #quiesce} is held.
   */
  final AtomicInteger updates = new AtomicInteger();

  /** Leaves that the next checkpoint has to write. */
  final AtomicInteger dirtyLeaves = new AtomicInteger();

  int nextVersion = 1;
  int nextVolume = 1;

  /** Nodes whose stored form goes out of use with the next checkpoint. */
  private LongList freedNodes = new LongList();

  private volatile double usedBefore;
  private volatile boolean spareWanted;
  volatile @Nullable IOException broken;

  PoolState(UUID uuid, String name, long slabBytes, PoolOptions options) {
    this.uuid = uuid;
    this.name = name;
    this.slabBytes = slabBytes;
    this.listener = options.listener();
    this.updatesPerCheckpoint = options.updatesPerCheckpoint();
    this.allocator = new SpaceAllocator((int) (slabBytes / BlockPointer.UNIT_BYTES), this);
    this.storage = new GroupStorage(this::diskFailed);
    this.reader = new BlockReader(allocator, storage, listener);
  }

  VolumeFamily family(int id) {
    return families.computeIfAbsent(
        id, absent -> new VolumeFamily(id, this::loadNode, LEAVES_PER_FAMILY));
  }

  Version head(VolumeRecord volume) throws IOException {
    Version head = family(volume.familyId()).versions.get(volume.headId());
    if (head == null) {
      throw new IOException("the pool's metadata is damaged: " + volume.name() + " has no head");
    }
    return head;
  }

  VolumeRecord volume(String volumeName) throws IOException {
    synchronized (volumes) {
      VolumeRecord record = volumes.get(volumeName);
      if (record == null) {
        throw new IOException("pool " + name + " has no volume \"" + volumeName + "\"");
      }
      return record;
    }
  }

  Optional<Version> snapshot(VolumeRecord volume, String snapshotName) {
    for (Version version : family(volume.familyId()).versions.values()) {
      if (version.volumeId == volume.id()
          && version.isSnapshot()
          && version.name.equals(snapshotName)) {
        return Optional.of(version);
      }
    }
    return Optional.empty();
  }

  Version requireSnapshot(VolumeRecord volume, String snapshotName) throws IOException {
    return snapshot(volume, snapshotName)
        .orElseThrow(() ->
            new IOException(
                "volume " + volume.name() + " has no snapshot \"" + snapshotName + "\""));
  }

  void requireWorking() throws IOException {
    IOException failure = broken;
    if (failure != null) {
      throw new IOException(
          "pool "
              + name
              + " takes no more writes, because its metadata could not be written: "
              + failure.getMessage(),
          failure);
    }
  }

  private TreeNode loadNode(int level, long location, long check) throws IOException {
    Group group = allocator.group(BlockPointer.group(location));
    if (BlockPointer.units(location) != 1) {
      throw new IOException(
          "the pool's metadata is damaged: no node can lie at " + BlockPointer.describe(location));
    }
    ByteBuffer bytes = ByteBuffer.allocateDirect(BlockPointer.UNIT_BYTES);
    boolean good =
        storage.readQuick(group, BlockPointer.unit(location), 1, bytes)
            && DiskLabel.crc(bytes.clear()) == BlockPointer.crc(check);
    if (!good) {
      BlockReader.Recovered recovered = reader.recover(location, check);
      if (recovered == null) {
        throw new IOException(
            "a node of a volume's map cannot be read: " + BlockPointer.describe(location));
      }
      reader.heal(location, recovered);
      bytes = recovered.contents();
    }
    TreeNode node = TreeNode.parse(level, BlockPointer.birth(check), bytes.clear());
    node.location = location;
    node.check = check;
    return node;
  }

  /** A stored node is out of use once the next checkpoint is durable. */
  void nodeFreed(TreeNode node) {
    if (node.location != 0) {
      nodeFreed(node.location);
    }
  }

  synchronized void nodeFreed(long location) {
    freedNodes.add(location);
  }

  synchronized LongList takeFreedNodes() {
    LongList taken = freedNodes;
    freedNodes = new LongList();
    return taken;
  }

  /** Takes a disk out of use after a failed call; recorded before anything more is acknowledged. */
  void diskFailed(PoolDisk disk, IOException failure) {
    disk.ioErrors.increment();
    synchronized (disk) {
      if (disk.state() != PoolDisk.State.ONLINE) {
        return;
      }
      disk.setState(PoolDisk.State.FAULTED);
    }
    recordState(disk);
    spareWanted = true;
    listener.event(
        new PoolEvent(Kind.DISK_FAILED, disk.name(), String.valueOf(failure.getMessage())));
  }

  void recordState(PoolDisk disk) {
    pending.add(
        PendingLog.DISK_STATE,
        out -> {
          out.writeInt(disk.id);
          out.writeByte(disk.state().ordinal());
        });
  }

  boolean takeSpareWanted() {
    boolean wanted = spareWanted;
    spareWanted = false;
    return wanted;
  }

  /** Takes what is pending for a commit; {@link #quiesce} is held alone. */
  PendingLog.Taken takePending() {
    allocator.forgetYoung();
    return pending.take();
  }

  /** Whether a commit would make anything durable. */
  boolean anythingPending() {
    return pending.size() > 0 || updates.get() > updatesPerCheckpoint;
  }

  /** Enters a change of a map into the log, unless the next commit will be a checkpoint anyway. */
  void log(Version version, long block, long location, long check) {
    if (updates.get() <= updatesPerCheckpoint) {
      pending.map(version.id, block, location, check);
    }
  }

  /** Lets a block of a version point elsewhere; frees what it pointed to if nobody else has it. */
  static void apply(
      PoolState state, VolumeFamily family, Version version, long block, long location, long check)
      throws IOException {
    TreeNode leaf = family.leafForWrite(version, block, state::nodeFreed);
    int slot = (int) block & (TreeNode.FAN_OUT - 1);
    long old = leaf.location(slot);
    boolean own = BlockPointer.birth(leaf.check(slot)) == version.id;
    leaf.set(slot, location, check);
    state.updates.incrementAndGet();
    if (!leaf.counted) {
      leaf.counted = true;
      state.dirtyLeaves.incrementAndGet();
    }
    if (old == 0 || old == location) {
      return;
    }
    if (own
        ? !state.allocator.releaseYoung(old, BlockPointer.units(old))
        : !family.parentHas(version, block, old)) {
      state.pending.free(old);
    }
  }

  /**
   * Lets adjacent blocks of a version point to where they have been written. Does for each what
   * {@link #log} and {@link #apply} do, but looks for each leaf once, and gives space back in runs.
   */
  static void applyRun(
      PoolState state,
      VolumeFamily family,
      Version version,
      long firstBlock,
      long[] locations,
      int[] crcs)
      throws IOException {
    boolean logged = state.updates.get() <= state.updatesPerCheckpoint;
    long runStart = 0;
    long runEnd = 0;
    int done = 0;
    try {
      while (done < locations.length) {
        int slot = (int) (firstBlock + done) & (TreeNode.FAN_OUT - 1);
        int end = Math.min(locations.length, done + TreeNode.FAN_OUT - slot);
        TreeNode leaf = family.leafForWrite(version, firstBlock + done, state::nodeFreed);
        if (!leaf.counted) {
          leaf.counted = true;
          state.dirtyLeaves.incrementAndGet();
        }
        for (; done < end; done++, slot++) {
          long check = BlockPointer.check(crcs[done], version.id);
          long block = firstBlock + done;
          if (logged) {
            state.pending.map(version.id, block, locations[done], check);
          }
          long old = leaf.location(slot);
          boolean own = BlockPointer.birth(leaf.check(slot)) == version.id;
          leaf.set(slot, locations[done], check);
          if (old == 0) {
            continue;
          }
          if (!own) {
            if (!family.parentHas(version, block, old)) {
              state.pending.free(old);
            }
          } else if (old == runEnd) {
            runEnd += BlockPointer.units(old);
          } else {
            freeRun(state, runStart, runEnd);
            runStart = old;
            runEnd = old + BlockPointer.units(old);
          }
        }
      }
    } finally {
      freeRun(state, runStart, runEnd);
      state.updates.addAndGet(done);
    }
  }

  /**
   * Frees adjacent blocks of one size.
   *
   * @param start the location of the first
   * @param end the location that one behind the last would have
   */
  private static void freeRun(PoolState state, long start, long end) {
    if (start == end || state.allocator.releaseYoung(start, (int) (end - start))) {
      return;
    }
    for (long location = start; location < end; location += BlockPointer.units(location)) {
      if (!state.allocator.releaseYoung(location, BlockPointer.units(location))) {
        state.pending.free(location);
      }
    }
  }

  PoolDisk disk(int id) throws IOException {
    for (PoolDisk disk : allocator.disks()) {
      if (disk.id == id) {
        return disk;
      }
    }
    throw new IOException("pool " + name + " has no disk " + id);
  }

  List<PoolDisk> disks() {
    return List.copyOf(allocator.disks());
  }

  @Override
  public void groupMade(Group group) {
    pending.add(PendingLog.GROUP, group::write);
  }

  @Override
  public void usage(double fraction) {
    for (double threshold : THRESHOLDS) {
      if (fraction >= threshold && usedBefore < threshold) {
        listener.event(
            new PoolEvent(
                Kind.SPACE, name, "%d %% of the pool are used".formatted((int) (fraction * 100))));
      }
    }
    usedBefore = fraction;
  }

  /** Makes everything written to the disks durable; a disk that cannot is taken out of use. */
  void flushDisks(Iterable<PoolDisk> disks) throws IOException {
    boolean lost = false;
    for (PoolDisk disk : disks) {
      if (disk.state() != PoolDisk.State.ONLINE && disk.state() != PoolDisk.State.SPARE) {
        continue;
      }
      try {
        disk.flush();
      } catch (IOException failure) {
        diskFailed(disk, failure);
        lost = true;
      }
    }
    if (lost) {
      for (Group group : allocator.groups()) {
        if (group.usedGranules() > 0 && !group.writable()) {
          throw new IOException(
              "a disk failed that "
                  + group.redundancy
                  + " group "
                  + group.id
                  + " cannot do without");
        }
      }
    }
  }
}
