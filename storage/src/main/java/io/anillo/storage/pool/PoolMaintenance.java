package io.anillo.storage.pool;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.pool.PoolEvent.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Scrubbing, and moving slabs between disks, while the pool is in use. Both walk the maps of all
 * volumes, so that only what is in use is read and all of it is checked. Meanwhile freed space is
 * not given out again, so what the walk has seen stays where it was.
 */
public final class PoolMaintenance {
  private static final int SPARING_BLOCKS = 64;
  private static final long MAX_REST_NANOS = 1_000_000_000;

  private final PoolState state;
  private final Committer committer;
  private final ReentrantLock structure;
  private final ReentrantLock running = new ReentrantLock();
  private volatile long lastScrubMillis;

  PoolMaintenance(PoolState state, Committer committer, ReentrantLock structure) {
    this.state = state;
    this.committer = committer;
    this.structure = structure;
  }

  /**
   * What a scrub found.
   *
   * @param blocks blocks and map nodes that were checked, with all their copies
   * @param healed copies that were wrong and are right again
   * @param lost blocks that nothing could put right
   */
  public record ScrubResult(long blocks, long healed, long lost) {}

  /** Sees every block and node in use once. */
  private interface Visit {
    void block(long location, long check) throws IOException;
  }

  /**
   * Walks over everything.
   *
   * @param holdParts lets nothing be given out again while a part is looked at; whoever needs that
   *     for the whole walk sees to it himself
   */
  private void walk(Visit visit, boolean holdParts) throws IOException {
    for (VolumeFamily family : List.copyOf(state.families.values())) {
      Set<Long> seen = new HashSet<>();
      List<Version> versions;
      family.lock.readLock().lock();
      try {
        versions = List.copyOf(family.versions.values());
      } finally {
        family.lock.readLock().unlock();
      }
      for (Version version : versions) {
        walk(family, version, seen, visit, holdParts);
      }
    }
  }

  private void walk(
      VolumeFamily family, Version version, Set<Long> seen, Visit visit, boolean holdParts)
      throws IOException {
    long ranges = 1;
    for (long range = 0; range < ranges; range++) {
      if (holdParts) {
        state.allocator.holdReleases(true);
      }
      try {
        LongList found = new LongList();
        family.lock.writeLock().lock();
        try {
          ranges = VolumeFamily.ranges(version);
          family.collect(version, range, seen, found);
        } finally {
          family.lock.writeLock().unlock();
        }
        for (int i = 0; i < found.size(); i += 2) {
          visit.block(found.array()[i], found.array()[i + 1]);
        }
      } finally {
        if (holdParts) {
          state.allocator.holdReleases(false);
        }
      }
    }
  }

  /** When the last scrub ended, in milliseconds since 1970; 0 if there was none. */
  long lastScrubMillis() {
    return lastScrubMillis;
  }

  /**
   * Checks everything.
   *
   * @param sparing rests half of the time, so that others get at the disks
   * @param stop whether to give up
   */
  ScrubResult scrub(boolean sparing, BooleanSupplier stop) throws IOException {
    running.lock();
    try {
      state.requireWorking();
      long[] counts = new long[3];
      long[] began = {System.nanoTime()};
      walk(
          (location, check) -> {
            counts[0]++;
            BlockReader.Recovered recovered = state.reader.recover(location, check);
            if (recovered == null) {
              counts[2]++;
              lost(location);
            } else if (!recovered.clean()) {
              counts[1] += state.reader.heal(location, recovered);
            }
            if (sparing && counts[0] % SPARING_BLOCKS == 0) {
              if (stop.getAsBoolean()) {
                throw new IOException("the pool is being closed during a scrub");
              }
              LockSupport.parkNanos(Math.min(MAX_REST_NANOS, System.nanoTime() - began[0]));
              began[0] = System.nanoTime();
            }
          },
          true);
      state.flushDisks(state.disks());
      lastScrubMillis = System.currentTimeMillis();
      return new ScrubResult(counts[0], counts[1], counts[2]);
    } finally {
      running.unlock();
    }
  }

  private void lost(long location) {
    state.listener.event(
        new PoolEvent(
            Kind.LOST, state.name, "a block of " + BlockPointer.describe(location) + " is lost"));
  }

  PoolDisk find(String diskName) throws IOException {
    for (PoolDisk disk : state.disks()) {
      if (disk.name().equals(diskName)
          || disk.uuid.toString().equals(diskName)
          || Integer.toString(disk.id).equals(diskName)) {
        return disk;
      }
    }
    throw new IOException("pool " + state.name + " has no disk \"" + diskName + "\"");
  }

  void addDisk(Disk disk, boolean spare) throws IOException {
    add(disk, spare ? PoolDisk.State.SPARE : PoolDisk.State.ONLINE);
  }

  private PoolDisk add(Disk disk, PoolDisk.State diskState) throws IOException {
    structure.lock();
    try {
      state.requireWorking();
      if (DiskLabel.read(disk).isPresent()) {
        throw new IOException(
            disk.name() + " belongs to a pool already; wipe it first (anillo pool destroy)");
      }
      int id = 1;
      for (PoolDisk present : state.disks()) {
        id = Math.max(id, present.id + 1);
      }
      PoolDisk added = PoolOpener.format(state, id, disk, diskState, state.slabBytes);
      state.allocator.addDisk(added);
      committer.checkpoint();
      return added;
    } finally {
      structure.unlock();
    }
  }

  private record Move(Group group, int column) {}

  void removeDisk(String diskName) throws IOException {
    running.lock();
    try {
      evacuate(find(diskName), null);
    } finally {
      running.unlock();
    }
  }

  void replaceDisk(String diskName, Disk replacement) throws IOException {
    running.lock();
    try {
      PoolDisk old = find(diskName);
      evacuate(old, add(replacement, PoolDisk.State.ONLINE));
    } finally {
      running.unlock();
    }
  }

  void rebuildOntoSpares() throws IOException {
    running.lock();
    try {
      for (PoolDisk failed : state.disks()) {
        boolean gone =
            failed.state() == PoolDisk.State.FAULTED || failed.state() == PoolDisk.State.MISSING;
        if (!gone) {
          continue;
        }
        for (PoolDisk spare : state.disks()) {
          if (spare.state() == PoolDisk.State.SPARE) {
            spare.setState(PoolDisk.State.ONLINE);
            state.recordState(spare);
            evacuate(failed, spare);
            break;
          }
        }
      }
    } finally {
      running.unlock();
    }
  }

  /** Moves all columns away from a disk, to a given one if it is given, and drops the disk. */
  private void evacuate(PoolDisk old, @Nullable PoolDisk target) throws IOException {
    old.setLeaving(true);
    try {
      List<Move> moves = new ArrayList<>();
      for (Group group : state.allocator.groups()) {
        for (int c = 0; c < group.width(); c++) {
          if (group.disks[c] == old) {
            PoolDisk place = state.allocator.reserveTarget(group, c, target);
            if (place == null && target != null) {
              place = state.allocator.reserveTarget(group, c, null);
            }
            if (place == null) {
              abandon(moves);
              throw new IOException(
                  "the other disks have no room for what "
                      + old.name()
                      + " holds; add a disk first");
            }
            moves.add(new Move(group, c));
          }
        }
      }
      rebuild(moves, old.name());
      structure.lock();
      try {
        state.allocator.removeDisk(old);
        committer.checkpoint();
        forget(old);
      } finally {
        structure.unlock();
      }
    } finally {
      old.setLeaving(false);
    }
  }

  /** Wipes the label, so that the disk may be used elsewhere. */
  private static void forget(PoolDisk old) throws IOException {
    if (old.usable()) {
      try {
        ByteBuffer zeros = ByteBuffer.allocateDirect((int) DiskLabel.JOURNAL_OFFSET);
        old.writeAt(0, zeros);
        old.flush();
      } catch (IOException failing) {
        // it is not part of the pool any more, whatever its label says
        old.ioErrors.increment();
      }
    }
    old.detach();
  }

  private void abandon(List<Move> moves) {
    for (Move move : moves) {
      state.allocator.abandonTarget(move.group, move.column);
    }
  }

  private void rebuild(List<Move> moves, String subject) throws IOException {
    if (moves.isEmpty()) {
      return;
    }
    state.listener.event(
        new PoolEvent(Kind.REBUILD_STARTED, subject, moves.size() + " slabs move"));
    state.allocator.holdReleases(true);
    boolean done = false;
    try {
      // from here on writes go to both places; those that began before must be in the maps
      state.writers.writeLock().lock();
      state.writers.writeLock().unlock();
      // the catalog goes to both places as well
      committer.checkpoint();
      walk(this::copyToTargets, false);
      state.flushDisks(state.disks());
      done = true;
    } finally {
      if (!done) {
        abandon(moves);
      }
      state.allocator.holdReleases(false);
    }
    List<PoolDisk> oldDisks = new ArrayList<>();
    int[] oldSlabs = new int[moves.size()];
    for (Move move : moves) {
      oldSlabs[oldDisks.size()] = move.group.slabs[move.column];
      oldDisks.add(move.group.disks[move.column]);
      state.storage.swapTarget(move.group, move.column);
    }
    committer.checkpoint();
    for (int i = 0; i < oldSlabs.length; i++) {
      state.storage.endTarget(moves.get(i).group, moves.get(i).column);
      state.allocator.freeSlab(oldDisks.get(i), oldSlabs[i]);
    }
    state.listener.event(
        new PoolEvent(Kind.REBUILD_FINISHED, subject, moves.size() + " slabs have moved"));
  }

  private void copyToTargets(long location, long check) throws IOException {
    Group group = state.allocator.group(BlockPointer.group(location));
    boolean wanted = false;
    for (PoolDisk target : group.targetDisks) {
      wanted |= target != null;
    }
    if (!wanted) {
      return;
    }
    BlockReader.Recovered recovered = state.reader.recover(location, check);
    if (recovered == null) {
      lost(location);
      return;
    }
    int unit = BlockPointer.unit(location);
    for (int c = 0; c < group.width(); c++) {
      if (group.targetDisks[c] == null) {
        continue;
      }
      if (group.redundancy.kind() == Redundancy.Kind.STRIPED) {
        state.storage.writeStripedTarget(group, unit, c, recovered.contents());
      } else {
        state.storage.writeOneColumn(group, unit, c, recovered.columns()[c], true);
      }
    }
  }

  /**
   * Gives the slabs of groups that hold nothing back to the pool, for groups of any redundancy.
   * False when there are none, or when something else is under way.
   */
  boolean dissolveEmptyGroups() throws IOException {
    if (!state.allocator.hasEmptyGroups() || !running.tryLock()) {
      return false;
    }
    try {
      committer.dissolveEmptyGroups();
      return true;
    } finally {
      running.unlock();
    }
  }

  int rebalance() throws IOException {
    running.lock();
    try {
      dissolveEmptyGroups();
      List<Move> moves = new ArrayList<>();
      for (Group group : state.allocator.groups()) {
        for (int c = 0; c < group.width(); c++) {
          PoolDisk from = group.disks[c];
          PoolDisk to = emptiest(group);
          if (to != null && fullness(from) - fullness(to) > 0.1 && moves.size() < 4096) {
            if (state.allocator.reserveTarget(group, c, to) != null) {
              moves.add(new Move(group, c));
              moving.add(from);
            }
          }
        }
      }
      rebuild(moves, state.name);
      return moves.size();
    } finally {
      moving.clear();
      running.unlock();
    }
  }

  /** Disks that slabs are leaving, once for each slab, while moves are being planned. */
  private final List<PoolDisk> moving = new ArrayList<>();

  private double fullness(PoolDisk disk) {
    long leaving = moving.stream().filter(other -> other == disk).count();
    return (double) (disk.slabs - disk.freeSlabs() - leaving) / disk.slabs;
  }

  private @Nullable PoolDisk emptiest(Group group) {
    return state.disks().stream()
        .filter(disk -> disk.usable() && !group.contains(disk) && disk.freeSlabs() > 1)
        .min(Comparator.comparingDouble(this::fullness))
        .orElse(null);
  }
}
