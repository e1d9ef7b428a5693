package io.anillo.storage.pool;

import io.anillo.storage.pool.SpaceAllocator.Run;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The groups of one redundancy, or those of metadata, and which of them have room: what is free in
 * them comes in long runs and in holes that random writes leave. Large writes look for long runs
 * and small ones take holes, so that a large write stays in one piece. Hot: every write allocates.
 * Guarded by the allocator.
 */
final class GroupList {
  /** Granules wanted from which on a write looks for a long run first. */
  static final int LARGE = 16;

  /** Blocks of the longest run that is given out at once. */
  private static final int LARGEST_BATCH = 256;

  /** Holes among which a large write takes the longest when there is no long run. */
  private static final int HOLES_COMPARED = 32;

  private final List<Group> groups = new ArrayList<>();
  private final BitSet withRoom = new BitSet();
  private final BitSet withLongRun = new BitSet();
  private long granules;
  private long free;

  /** Adds the newest group. */
  void add(Group group) {
    group.enter(this, groups.size());
    groups.add(group);
    granules += group.granules();
    free += group.freeGranules();
    note(group);
  }

  boolean hasEmpty() {
    return groups.stream().anyMatch(Group::empty);
  }

  /** Removes the groups that hold nothing. */
  List<Group> removeEmpty() {
    List<Group> empty = groups.stream().filter(Group::empty).toList();
    List<Group> left = groups.stream().filter(group -> !group.empty()).toList();
    groups.clear();
    withRoom.clear();
    withLongRun.clear();
    granules = 0;
    free = 0;
    left.forEach(this::add);
    return empty;
  }

  private void note(Group group) {
    withRoom.set(group.place, group.space.free() > 0);
    withLongRun.set(group.place, group.space.hasLong());
  }

  void take(Group group, int first, int count) {
    group.space.take(first, count);
    free -= count;
    note(group);
  }

  void giveBack(Group group, int first, int count) {
    int before = group.space.free();
    group.space.giveBack(first, count);
    free += group.space.free() - before;
    group.tooMany = Integer.MAX_VALUE;
    note(group);
  }

  /** Units that are free. */
  long freeUnits() {
    return groups.isEmpty() ? 0 : free * groups.getFirst().redundancy.granule();
  }

  /** Whether the groups hold less than they could take in holes. */
  boolean mostlyFree() {
    return free > granules - free;
  }

  static boolean large(Redundancy redundancy, int wanted) {
    return wanted / redundancy.granule() >= LARGE;
  }

  /** Takes adjacent units out of a long run; null when there is none. */
  @Nullable Run takeLong(int blockUnits, int wanted, Predicate<Group> usable) {
    return take(withLongRun, true, blockUnits, wanted, usable);
  }

  /** Takes adjacent units wherever there are any; null when there is no room for a block. */
  @Nullable Run take(int blockUnits, int wanted, Predicate<Group> usable) {
    return take(withRoom, false, blockUnits, wanted, usable);
  }

  private @Nullable Run take(
      BitSet candidates, boolean longRun, int blockUnits, int wanted, Predicate<Group> usable) {
    // the newest group is the one being filled
    int place = candidates.length() - 1;
    for (; place >= 0; place = candidates.previousSetBit(place - 1)) {
      Group group = groups.get(place);
      if (!usable.test(group)) {
        continue;
      }
      Run run = takeFrom(group, longRun, blockUnits, wanted);
      if (run != null) {
        return run;
      }
    }
    return null;
  }

  private @Nullable Run takeFrom(Group group, boolean longRun, int blockUnits, int wanted) {
    int needed = blockUnits / group.redundancy.granule();
    int most = most(group, blockUnits, wanted);
    int first = longRun ? findLong(group, needed, most) : find(group, needed, most);
    return first < 0 ? null : takeAt(group, first, blockUnits, wanted);
  }

  /** Granules of the longest run that a request gets: whole blocks that one pointer could name. */
  private static int most(Group group, int blockUnits, int wanted) {
    int granule = group.redundancy.granule();
    int needed = blockUnits / granule;
    int most = Math.min(Math.max(blockUnits, wanted), LARGEST_BATCH * blockUnits) / granule;
    return Math.max(needed, Math.min(most, BlockPointer.MAX_UNITS / granule) / needed * needed);
  }

  /** Takes what is free from a granule on, behind which there is room for a block at least. */
  Run takeAt(Group group, int first, int blockUnits, int wanted) {
    int granule = group.redundancy.granule();
    int needed = blockUnits / granule;
    int room = group.space.endOfFree(first, most(group, blockUnits, wanted)) - first;
    int count = room / needed * needed;
    take(group, first, count);
    return new Run(group, first * granule, count * granule);
  }

  /** Where the last long run goes on, or the next one that a block fits in; -1 without. */
  private static int findLong(Group group, int needed, int most) {
    FreeMap space = group.space;
    int first = group.longCursor;
    if (!space.isFree(first, most)) {
      boolean wrapped = false;
      while (true) {
        first = space.nextLong(first);
        if (first < 0) {
          if (wrapped) {
            return -1;
          }
          wrapped = true;
          first = 0;
          continue;
        }
        int end = space.endOfFree(first, most);
        if (end - first >= needed) {
          break;
        }
        first = end;
      }
    }
    group.longCursor = space.endOfFree(first, most);
    return first;
  }

  /** Next fit; a request for much compares a few holes. */
  private static int find(Group group, int needed, int most) {
    FreeMap space = group.space;
    if (needed >= group.tooMany) {
      return -1;
    }
    int compared = most >= LARGE ? HOLES_COMPARED : 1;
    int best = -1;
    int bestRoom = needed - 1;
    boolean wrapped = false;
    int at = group.cursor;
    while (compared > 0) {
      int start = space.nextFree(at);
      if (start + needed > space.size()) {
        if (wrapped) {
          break;
        }
        wrapped = true;
        at = 0;
        continue;
      }
      int room = space.endOfFree(start, most) - start;
      if (room > bestRoom) {
        best = start;
        bestRoom = room;
      }
      if (room >= needed) {
        compared = room == most ? 0 : compared - 1;
      }
      if (wrapped && start >= group.cursor) {
        break;
      }
      at = start + room;
    }
    if (best < 0) {
      group.tooMany = needed;
    } else {
      group.cursor = best + bestRoom / needed * needed;
    }
    return best;
  }
}
