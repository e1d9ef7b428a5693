package io.anillo.storage.pool;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Gives out units of groups and slabs of disks. Units come back in two steps: {@link #freeLater}
 * when nothing in memory names them, {@link #release} when nothing durable does.
 */
final class SpaceAllocator {
  /** Units of the shortest run that is used again at once. */
  private static final int LEAST_RECYCLED = 16;

  /**
   * Share of the pool's slabs up to which a large write rather gets a new group than pieces; also
   * limits what groups of one redundancy keep from others.
   */
  private static final double ROOMY = 0.5;

  /** Told of groups that the allocator makes, before they are used. */
  interface Listener {
    void groupMade(Group group);

    void usage(double fraction);
  }

  private final int slabUnits;
  private final Listener listener;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition freed = lock.newCondition();
  private final Map<Integer, PoolDisk> disks = new TreeMap<>();
  private final Map<Integer, Group> groups = new HashMap<>();
  private volatile @Nullable Group[] byId = new Group[64];
  private final Map<Redundancy, GroupList> dataGroups = new HashMap<>();
  private final GroupList metadataGroups = new GroupList();
  private int nextGroup = 1;
  private int metadataCopies = 1;
  private boolean holdReleases;
  private final List<long[]> heldBack = new ArrayList<>();

  /** Groups with {@link Group#young} units. */
  private final Set<Group> rejuvenated = new HashSet<>();

  /** The last run of young units that came back, in granules: the host has it in its cache. */
  private @Nullable Group recycled;

  private int recycledStart;
  private int recycledEnd;

  SpaceAllocator(int slabUnits, Listener listener) {
    this.slabUnits = slabUnits;
    this.listener = listener;
  }

  void addDisk(PoolDisk disk) {
    lock.lock();
    try {
      disks.put(disk.id, disk);
      metadataCopies = Math.max(1, Math.min(3, membersOnline()));
      freed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private int membersOnline() {
    int count = 0;
    for (PoolDisk disk : disks.values()) {
      if (disk.state() != PoolDisk.State.SPARE) {
        count++;
      }
    }
    return count;
  }

  void removeDisk(PoolDisk disk) {
    lock.lock();
    try {
      disks.remove(disk.id);
    } finally {
      lock.unlock();
    }
  }

  Collection<PoolDisk> disks() {
    lock.lock();
    try {
      return List.copyOf(disks.values());
    } finally {
      lock.unlock();
    }
  }

  Collection<Group> groups() {
    lock.lock();
    try {
      return groups.values().stream().sorted(Comparator.comparingInt(g -> g.id)).toList();
    } finally {
      lock.unlock();
    }
  }

  /** Looks up a group without a lock: readers need it for every run. */
  Group group(int id) throws IOException {
    @Nullable Group[] table = byId;
    Group group = id < table.length ? table[id] : null;
    if (group == null) {
      throw new IOException("the pool's metadata names group " + id + ", which does not exist");
    }
    return group;
  }

  /** Adds a group known from disk. */
  void adopt(Group group) throws IOException {
    lock.lock();
    try {
      if (groups.containsKey(group.id)) {
        return;
      }
      for (int i = 0; i < group.disks.length; i++) {
        if (group.disks[i].usedSlabs.get(group.slabs[i])) {
          throw new IOException(
              "the pool's metadata is damaged: group %d has slab %d of disk %d, which is in use"
                  .formatted(group.id, group.slabs[i], group.disks[i].id));
        }
        group.disks[i].usedSlabs.set(group.slabs[i]);
      }
      register(group);
    } finally {
      lock.unlock();
    }
  }

  private void register(Group group) {
    groups.put(group.id, group);
    @Nullable Group[] table = byId;
    if (group.id >= table.length) {
      table =
          Arrays.copyOf(
              table, Math.max(group.id + 1, Math.min(BlockPointer.MAX_GROUPS, table.length * 2)));
    }
    table[group.id] = group;
    byId = table;
    nextGroup = Math.max(nextGroup, group.id + 1);
    if (group.metadata) {
      metadataGroups.add(group);
    } else {
      groupsOf(group.redundancy).add(group);
    }
  }

  private GroupList groupsOf(Redundancy redundancy) {
    return dataGroups.computeIfAbsent(redundancy, absent -> new GroupList());
  }

  /** Whether there are slabs that hold nothing and cannot serve another redundancy as it is. */
  boolean hasEmptyGroups() {
    lock.lock();
    try {
      return dataGroups.values().stream().anyMatch(GroupList::hasEmpty);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Dissolves the groups that hold nothing. Readers that were late may still ask for them, and find
   * that what they read is not what they look for. Their slabs are free only once nothing durable
   * names them: then {@link #freeSlabs} has to be called.
   */
  List<Group> dissolveEmptyGroups() {
    lock.lock();
    try {
      List<Group> dissolved = new ArrayList<>();
      for (GroupList list : dataGroups.values()) {
        dissolved.addAll(list.removeEmpty());
      }
      for (Group group : dissolved) {
        groups.remove(group.id);
        rejuvenated.remove(group);
        if (recycled == group) {
          recycled = null;
        }
      }
      return dissolved;
    } finally {
      lock.unlock();
    }
  }

  void freeSlabs(List<Group> dissolved) {
    for (Group group : dissolved) {
      for (int i = 0; i < group.disks.length; i++) {
        freeSlab(group.disks[i], group.slabs[i]);
      }
    }
  }

  /** Marks units found in use when the pool is opened; false when someone has them already. */
  boolean markUsed(long location) throws IOException {
    lock.lock();
    try {
      Group group = group(BlockPointer.group(location));
      int granule = group.redundancy.granule();
      int first = BlockPointer.unit(location) / granule;
      int count = BlockPointer.units(location) / granule;
      if (count == 0
          || BlockPointer.unit(location) % granule != 0
          || BlockPointer.units(location) % granule != 0
          || first + count > group.granules()) {
        throw new IOException("the pool's metadata is damaged: " + BlockPointer.describe(location));
      }
      boolean free = group.space.isFree(first, count);
      if (free) {
        group.list().take(group, first, count);
      }
      return free;
    } finally {
      lock.unlock();
    }
  }

  /** A run of adjacent units. */
  record Run(Group group, int unit, int units) {}

  /**
   * Takes up to {@code wanted} adjacent units for blocks of {@code blockUnits}; null when the pool
   * is full.
   */
  @Nullable Run allocate(Redundancy redundancy, int blockUnits, int wanted) {
    lock.lock();
    try {
      Run run = allocateData(redundancy, blockUnits, wanted);
      if (run != null) {
        Group group = run.group;
        rejuvenated.add(group);
        int granule = group.redundancy.granule();
        group.young.set(run.unit / granule, (run.unit + run.units) / granule);
      }
      return run;
    } finally {
      lock.unlock();
    }
  }

  private @Nullable Run allocateData(Redundancy redundancy, int blockUnits, int wanted) {
    Run again = allocateRecycled(redundancy, blockUnits, wanted);
    if (again != null) {
      return again;
    }
    GroupList list = groupsOf(redundancy);
    Run run = null;
    if (GroupList.large(redundancy, wanted)) {
      run = list.takeLong(blockUnits, wanted, SpaceAllocator::takesWhole);
      if (run == null && preferNewGroup(redundancy, list)) {
        run = list.takeLong(blockUnits, wanted, SpaceAllocator::takesWhole);
      }
    }
    if (run == null) {
      run = list.take(blockUnits, wanted, SpaceAllocator::takesWhole);
    }
    if (run == null && makeGroup(redundancy, false, false) != null) {
      run = list.take(blockUnits, wanted, SpaceAllocator::takesWhole);
    }
    if (run == null) {
      // rather less redundancy, to be put right later, than no write at all
      run = list.take(blockUnits, wanted, SpaceAllocator::takesSome);
    }
    if (run == null && makeGroup(redundancy, false, true) != null) {
      run = list.take(blockUnits, wanted, SpaceAllocator::takesSome);
    }
    return run;
  }

  private static boolean takesWhole(Group group) {
    return group.whole() && !leaving(group);
  }

  private static boolean takesSome(Group group) {
    return group.writable() && !leaving(group);
  }

  /** Makes a group rather than let a large write go to pieces, if there are slabs in plenty. */
  private boolean preferNewGroup(Redundancy redundancy, GroupList list) {
    return !list.mostlyFree()
        && slabUnits * redundancy.data() / redundancy.granule() >= FreeMap.WORD
        && usedFraction() < ROOMY
        && makeGroup(redundancy, false, false) != null;
  }

  /** Takes what came back last, unless that would cut it into small pieces. */
  private @Nullable Run allocateRecycled(Redundancy redundancy, int blockUnits, int wanted) {
    Group group = recycled;
    if (group == null || !group.redundancy.equals(redundancy)) {
      return null;
    }
    int granule = redundancy.granule();
    if ((recycledEnd - recycledStart) * granule < Math.max(wanted, LEAST_RECYCLED)) {
      return null;
    }
    boolean free = group.space.isFree(recycledStart, recycledEnd - recycledStart);
    if (!free || !takesWhole(group)) {
      recycled = null;
      return null;
    }
    Run run = group.list().takeAt(group, recycledStart, blockUnits, wanted);
    recycledStart += run.units / granule;
    return run;
  }

  /**
   * Gives units back at once if they were given out since the last commit: what nothing durable
   * names and no map any more can be used again. False when they have to wait for a commit.
   */
  boolean releaseYoung(long location, int units) {
    lock.lock();
    try {
      Group group = groups.get(BlockPointer.group(location));
      if (group == null || holdReleases) {
        return false;
      }
      int granule = group.redundancy.granule();
      int first = BlockPointer.unit(location) / granule;
      int end = first + units / granule;
      if (group.young.nextClearBit(first) < end) {
        return false;
      }
      if (group == recycled && first == recycledEnd) {
        recycledEnd = end;
      } else {
        recycled = group;
        recycledStart = first;
        recycledEnd = end;
      }
      group.young.clear(first, end);
      group.list().giveBack(group, first, end - first);
      freed.signalAll();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** What has been given out may be named by what is durable from now on. */
  void forgetYoung() {
    lock.lock();
    try {
      rejuvenated.forEach(group -> group.young.clear());
      rejuvenated.clear();
    } finally {
      lock.unlock();
    }
  }

  /** Units that data can still take, if all of it has a redundancy that costs so much. */
  long freeUnits(double costs) {
    lock.lock();
    try {
      long slabs = 0;
      for (PoolDisk disk : disks.values()) {
        slabs += disk.usable() ? disk.freeSlabs() : 0;
      }
      long units = (long) (slabs * slabUnits / costs);
      for (GroupList list : dataGroups.values()) {
        units += list.freeUnits();
      }
      return units;
    } finally {
      lock.unlock();
    }
  }

  /** Takes one unit for metadata; null when there is none. */
  @Nullable Run allocateMetadata(int wanted) {
    lock.lock();
    try {
      Redundancy redundancy =
          metadataCopies == 1 ? Redundancy.NONE : Redundancy.mirror(metadataCopies);
      // as many copies as the pool's disks allow, if there is room for them
      Run run = metadataGroups.take(1, wanted, this::takesAllCopies);
      if (run == null && makeGroup(redundancy, true, false) != null) {
        run = metadataGroups.take(1, wanted, SpaceAllocator::takesWhole);
      }
      if (run == null) {
        run = metadataGroups.take(1, wanted, SpaceAllocator::takesSome);
      }
      if (run == null && makeGroup(redundancy, true, true) != null) {
        run = metadataGroups.take(1, wanted, SpaceAllocator::takesSome);
      }
      return run;
    } finally {
      lock.unlock();
    }
  }

  private boolean takesAllCopies(Group group) {
    return group.width() >= metadataCopies && takesWhole(group);
  }

  private static boolean leaving(Group group) {
    for (int i = 0; i < group.disks.length; i++) {
      if (group.disks[i].leaving() && group.targetDisks[i] == null) {
        return true;
      }
    }
    return false;
  }

  /**
   * Makes a group on the disks that have most room; null when too few have any.
   *
   * @param degraded failed disks may stand in for as many as the redundancy can do without
   */
  private @Nullable Group makeGroup(Redundancy redundancy, boolean metadata, boolean degraded) {
    List<PoolDisk> candidates = new ArrayList<>();
    for (PoolDisk disk : disks.values()) {
      int kept = metadata ? 0 : reserve(disk);
      if (disk.usable() && !disk.leaving() && disk.freeSlabs() > kept) {
        candidates.add(disk);
      }
    }
    candidates.sort(Comparator.comparingInt(PoolDisk::freeSlabs).reversed());
    if (degraded && candidates.size() + redundancy.extra() >= redundancy.width()) {
      for (PoolDisk disk : disks.values()) {
        boolean failed =
            disk.state() == PoolDisk.State.FAULTED || disk.state() == PoolDisk.State.MISSING;
        if (failed && !disk.leaving() && disk.freeSlabs() > 0) {
          candidates.add(disk);
        }
      }
    }
    if (candidates.size() < redundancy.width() || nextGroup >= BlockPointer.MAX_GROUPS) {
      return null;
    }
    PoolDisk[] members = new PoolDisk[redundancy.width()];
    int[] slabs = new int[members.length];
    for (int i = 0; i < members.length; i++) {
      members[i] = candidates.get(i);
      slabs[i] = members[i].usedSlabs.nextClearBit(0);
      members[i].usedSlabs.set(slabs[i]);
    }
    Group group = new Group(nextGroup, redundancy, metadata, slabUnits, members, slabs);
    register(group);
    listener.groupMade(group);
    listener.usage(usedFraction());
    return group;
  }

  /** Slabs that only metadata may take, so that a full pool can still be changed. */
  private static int reserve(PoolDisk disk) {
    return Math.max(1, disk.slabs / 64);
  }

  private double usedFraction() {
    long all = 0;
    long used = 0;
    for (PoolDisk disk : disks.values()) {
      if (disk.usable()) {
        all += disk.slabs;
        used += disk.slabs - disk.freeSlabs();
      }
    }
    return all == 0 ? 1 : (double) used / all;
  }

  /** A slab of another disk for a column of a group; null when there is none. */
  @Nullable PoolDisk reserveTarget(Group group, int column, @Nullable PoolDisk wanted) {
    lock.lock();
    try {
      PoolDisk best = null;
      for (PoolDisk disk : disks.values()) {
        boolean fits =
            disk.usable()
                && !disk.leaving()
                && disk.freeSlabs() > 0
                && !group.contains(disk)
                && (wanted == null || wanted == disk);
        if (fits && (best == null || disk.freeSlabs() > best.freeSlabs())) {
          best = disk;
        }
      }
      if (best != null) {
        int slab = best.usedSlabs.nextClearBit(0);
        best.usedSlabs.set(slab);
        group.targetSlabs[column] = slab;
        group.targetDisks[column] = best;
      }
      return best;
    } finally {
      lock.unlock();
    }
  }

  void abandonTarget(Group group, int column) {
    lock.lock();
    try {
      PoolDisk target = group.targetDisks[column];
      if (target != null) {
        target.usedSlabs.clear(group.targetSlabs[column]);
        group.targetDisks[column] = null;
      }
    } finally {
      lock.unlock();
    }
  }

  void freeSlab(PoolDisk disk, int slab) {
    lock.lock();
    try {
      disk.usedSlabs.clear(slab);
      freed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Gives units back for new use. */
  void release(long[] locations, int count) {
    lock.lock();
    try {
      if (holdReleases) {
        heldBack.add(Arrays.copyOf(locations, count));
        return;
      }
      releaseNow(locations, count);
      freed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void releaseNow(long[] locations, int count) {
    for (int i = 0; i < count; i++) {
      long location = locations[i];
      Group group = groups.get(BlockPointer.group(location));
      if (group == null) {
        continue;
      }
      int granule = group.redundancy.granule();
      int first = BlockPointer.unit(location) / granule;
      int units = BlockPointer.units(location) / granule;
      group.young.clear(first, first + units);
      group.list().giveBack(group, first, units);
    }
  }

  /** Gives back a run that was never named. */
  void giveBack(Run run) {
    int left = run.units;
    int at = run.unit;
    while (left > 0) {
      int part =
          Math.min(
              left,
              BlockPointer.MAX_UNITS
                  / run.group.redundancy.granule()
                  * run.group.redundancy.granule());
      release(new long[] {BlockPointer.location(run.group.id, at, part, false)}, 1);
      at += part;
      left -= part;
    }
  }

  /** While on, nothing that is in use now is given to anyone else. */
  void holdReleases(boolean hold) {
    lock.lock();
    try {
      holdReleases = hold;
      if (!hold) {
        for (long[] locations : heldBack) {
          releaseNow(locations, locations.length);
        }
        heldBack.clear();
        freed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Waits until space has come back, at most a while. */
  void awaitSpace(long millis) throws IOException {
    lock.lock();
    try {
      freed.awaitNanos(millis * 1_000_000);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while the pool is full", interrupted);
    } finally {
      lock.unlock();
    }
  }
}
