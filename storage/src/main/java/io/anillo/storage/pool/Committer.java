package io.anillo.storage.pool;

import static io.anillo.storage.pool.BlockPointer.UNIT_BYTES;

import io.anillo.storage.lock.SharedFlush;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Makes changes durable. A commit appends them to the journal; a checkpoint writes the changed
 * nodes to unused places and then lets the superblock point to them. Order, each step after a flush
 * of the one before: blocks; journal record, or nodes and catalog; superblock; only then is freed
 * space given out again.
 */
final class Committer {
  private final PoolState state;
  private final ReentrantLock lock = new ReentrantLock();
  private final Journal journal = new Journal();
  private final SharedFlush shared = new SharedFlush(this::commitOnce);
  private final SecureRandom random = new SecureRandom();
  private long generation;
  private List<Long> catalogPlace = new ArrayList<>();

  Committer(PoolState state) {
    this.state = state;
  }

  /** Continues after a superblock that was read. */
  Journal resume(Superblock superblock) {
    generation = superblock.generation();
    catalogPlace = new ArrayList<>(superblock.catalog());
    journal.reset(superblock.era(), superblock.nextSequence());
    return journal;
  }

  /** Makes everything durable that was done before the call. */
  void commit() throws IOException {
    shared.flush();
  }

  private void commitOnce() throws IOException {
    lock.lock();
    try {
      state.requireWorking();
      LongList freed = new LongList();
      int failures;
      do {
        failures = failedDisks();
        PendingLog.Taken taken = takeForJournal();
        if (taken == null) {
          checkpointLocked(false);
          continue;
        }
        for (int i = 0; i < taken.freed().size(); i++) {
          freed.add(taken.freed().array()[i]);
        }
        state.flushDisks(state.disks());
        if (taken.log().hasRemaining()) {
          appendRecord(taken.log());
        }
        // a disk that failed meanwhile must be known as failed before anyone relies on the rest
      } while (failedDisks() > failures);
      state.allocator.release(freed.array(), freed.size());
    } catch (IOException failure) {
      if (state.broken == null) {
        state.broken = failure;
      }
      throw failure;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes what is pending with no change half entered; null when it has to be a checkpoint, because
   * there is too much or not all of it was logged.
   */
  private PendingLog.@Nullable Taken takeForJournal() {
    state.quiesce.writeLock().lock();
    try {
      boolean logged = state.updates.get() <= state.updatesPerCheckpoint;
      return logged && journal.fits(state.pending.size()) ? state.takePending() : null;
    } finally {
      state.quiesce.writeLock().unlock();
    }
  }

  private int failedDisks() {
    int failed = 0;
    for (PoolDisk disk : state.disks()) {
      if (disk.state() == PoolDisk.State.FAULTED) {
        failed++;
      }
    }
    return failed;
  }

  private void appendRecord(ByteBuffer payload) throws IOException {
    List<PoolDisk> targets = Journal.disksFor(state.disks());
    ByteBuffer record = journal.record(payload);
    writeDurably(state, targets, journal.offset(), record, "journal records");
    journal.advance(record);
  }

  /** Writes the same to several disks, and flushes them; one that takes it is enough. */
  private static void writeDurably(
      PoolState state, List<PoolDisk> disks, long offset, ByteBuffer bytes, String what)
      throws IOException {
    int written = 0;
    for (PoolDisk disk : disks) {
      try {
        disk.writeAt(offset, bytes.duplicate());
        disk.flush();
        written++;
      } catch (IOException failure) {
        state.diskFailed(disk, failure);
      }
    }
    if (written == 0) {
      throw new IOException("no disk of pool " + state.name + " takes " + what);
    }
  }

  /** Commits if that is still wanted once nobody else does. */
  void relieve(BooleanSupplier wanted) throws IOException {
    lock.lock();
    try {
      if (wanted.getAsBoolean()) {
        commitOnce();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Writes all metadata to its place; the journal begins anew. */
  void checkpoint() throws IOException {
    checkpoint(false);
  }

  /** A checkpoint that gives the slabs of empty groups back. Nothing may be moving meanwhile. */
  void dissolveEmptyGroups() throws IOException {
    checkpoint(true);
  }

  private void checkpoint(boolean dissolve) throws IOException {
    lock.lock();
    try {
      state.requireWorking();
      checkpointLocked(dissolve);
    } catch (IOException failure) {
      if (state.broken == null) {
        state.broken = failure;
      }
      throw failure;
    } finally {
      lock.unlock();
    }
  }

  private record Store(SpaceAllocator.Run run, ByteBuffer bytes) {}

  private void checkpointLocked(boolean dissolve) throws IOException {
    List<Store> stores = new ArrayList<>();
    PendingLog.Taken taken;
    LongList nodes;
    Superblock superblock;
    List<PoolDisk> disks;
    List<Long> newPlace = new ArrayList<>();
    List<Group> dissolved = List.of();
    state.quiesce.writeLock().lock();
    try {
      lockFamilies(true);
      List<TreeNode> dirty = new ArrayList<>();
      for (VolumeFamily family : state.families.values()) {
        family.forEachDirty(node -> {
          dirty.add(node);
          node.dirty = false;
          node.counted = false;
        });
      }
      stores.addAll(place(dirty));
      for (VolumeFamily family : state.families.values()) {
        // roots have their places only now
        for (Version version : family.versions.values()) {
          TreeNode root = version.root;
          if (root != null) {
            version.rootLocation = root.location;
            version.rootCheck = root.check;
          }
        }
      }
      nodes = state.takeFreedNodes();
      for (long location : catalogPlace) {
        nodes.add(location);
      }
      state.updates.set(0);
      state.dirtyLeaves.set(0);
      if (dissolve) {
        // before the log is taken, which may tell of their making
        dissolved = state.allocator.dissolveEmptyGroups();
      }
      taken = state.takePending();
      byte[] catalog = Catalog.serialize(state);
      stores.addAll(placeCatalog(catalog, newPlace));
      disks = state.disks();
      superblock = superblock(catalog, newPlace, disks);
    } finally {
      lockFamilies(false);
      state.quiesce.writeLock().unlock();
    }
    for (Store store : stores) {
      state.storage.write(store.run.group(), store.run.unit(), 1, store.bytes.clear());
    }
    state.flushDisks(disks);
    writeSuperblock(superblock, disks);
    generation = superblock.generation();
    catalogPlace = newPlace;
    journal.reset(superblock.era(), superblock.nextSequence());
    state.allocator.release(taken.freed().array(), taken.freed().size());
    state.allocator.release(nodes.array(), nodes.size());
    state.allocator.freeSlabs(dissolved);
  }

  private void lockFamilies(boolean lockThem) {
    for (VolumeFamily family : state.families.values()) {
      if (lockThem) {
        family.lock.writeLock().lock();
      } else if (family.lock.isWriteLockedByCurrentThread()) {
        family.lock.writeLock().unlock();
      }
    }
  }

  private List<SpaceAllocator.Run> take(int units) throws IOException {
    List<SpaceAllocator.Run> runs = new ArrayList<>();
    int left = units;
    while (left > 0) {
      SpaceAllocator.Run run = state.allocator.allocateMetadata(left);
      if (run == null) {
        throw new IOException("pool " + state.name + " has no space left for its metadata");
      }
      runs.add(run);
      left -= run.units();
    }
    return runs;
  }

  /** Gives every node its place, children before parents as they come, and its contents' hash. */
  private List<Store> place(List<TreeNode> nodes) throws IOException {
    List<Store> stores = new ArrayList<>();
    int next = 0;
    for (SpaceAllocator.Run run : take(nodes.size())) {
      ByteBuffer bytes = ByteBuffer.allocateDirect(run.units() * UNIT_BYTES);
      for (int i = 0; i < run.units(); i++) {
        TreeNode node = nodes.get(next++);
        for (int slot = 0; node.level > 0 && slot < TreeNode.FAN_OUT; slot++) {
          TreeNode child = node.child(slot);
          if (child != null) {
            node.words[2 * slot] = child.location;
            node.words[2 * slot + 1] = child.check;
          }
        }
        ByteBuffer page = bytes.slice(i * UNIT_BYTES, UNIT_BYTES);
        node.serialize(page);
        node.location = BlockPointer.location(run.group().id, run.unit() + i, 1, false);
        node.check = BlockPointer.check(DiskLabel.crc(page.clear()), node.birth);
      }
      stores.add(new Store(run, bytes));
    }
    return stores;
  }

  private List<Store> placeCatalog(byte[] catalog, List<Long> place) throws IOException {
    List<Store> stores = new ArrayList<>();
    int done = 0;
    for (SpaceAllocator.Run run : take((catalog.length + UNIT_BYTES - 1) / UNIT_BYTES)) {
      ByteBuffer bytes = ByteBuffer.allocateDirect(run.units() * UNIT_BYTES);
      int count = Math.min(bytes.capacity(), catalog.length - done);
      bytes.put(catalog, done, count);
      done += count;
      stores.add(new Store(run, bytes));
      place.add(BlockPointer.location(run.group().id, run.unit(), run.units(), false));
    }
    return stores;
  }

  private Superblock superblock(byte[] catalog, List<Long> place, List<PoolDisk> disks)
      throws IOException {
    List<Superblock.DiskEntry> entries = new ArrayList<>();
    for (PoolDisk disk : disks) {
      entries.add(new Superblock.DiskEntry(disk.id, disk.uuid, disk.slabs, disk.state()));
    }
    List<Group> metadataGroups =
        state.allocator.groups().stream().filter(group -> group.metadata).toList();
    return new Superblock(
        state.uuid,
        state.name,
        generation + 1,
        random.nextLong(),
        journal.nextSequence(),
        entries,
        Catalog.serializeGroups(metadataGroups),
        metadataGroups.size(),
        place,
        catalog.length,
        DiskLabel.crc(ByteBuffer.wrap(catalog)));
  }

  private void writeSuperblock(Superblock superblock, List<PoolDisk> disks) throws IOException {
    ByteBuffer bytes = superblock.serialize();
    long offset = DiskLabel.superblockOffset((int) (superblock.generation() & 1));
    List<PoolDisk> takingPart = new ArrayList<>();
    for (PoolDisk disk : disks) {
      boolean works = disk.state() == PoolDisk.State.ONLINE || disk.state() == PoolDisk.State.SPARE;
      if (works && disk.present()) {
        takingPart.add(disk);
      }
    }
    writeDurably(state, takingPart, offset, bytes, "its superblock");
  }
}
