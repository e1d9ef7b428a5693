package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.MemoryDisk;
import io.anillo.storage.pool.SpaceAllocator.Run;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Where space is taken when what is free is in pieces. */
class SpaceAllocatorTest {
  private static final int SLAB_UNITS = 512;
  private static final int SLABS = 16;

  /** Of a disk's slabs, the one that is kept for metadata. */
  private static final int RESERVED = 1;

  private final SpaceAllocator allocator =
      new SpaceAllocator(
          SLAB_UNITS,
          new SpaceAllocator.Listener() {
            @Override
            public void groupMade(Group group) {}

            @Override
            public void usage(double fraction) {}
          });

  private void addDisks(int count) {
    for (int i = 1; i <= count; i++) {
      allocator.addDisk(
          new PoolDisk(
              i,
              new UUID(0, i),
              SLABS,
              SLAB_UNITS * BlockPointer.UNIT_BYTES,
              PoolDisk.State.ONLINE,
              new MemoryDisk("disk" + i, new byte[4096])));
    }
  }

  private Run take(Redundancy redundancy, int blockUnits, int wanted) {
    Run run = allocator.allocate(redundancy, blockUnits, wanted);
    assertThat(run).isNotNull();
    return run;
  }

  private void release(Run run) {
    allocator.giveBack(run);
  }

  /** Fills groups block by block, and then lets only every other block be taken. */
  private void leaveHoles(int groups) {
    List<Run> runs = new ArrayList<>();
    for (int i = 0; i < groups * SLAB_UNITS; i++) {
      runs.add(take(Redundancy.NONE, 1, 1));
    }
    for (int i = 0; i < runs.size(); i += 2) {
      release(runs.get(i));
    }
  }

  @Test
  void aLargeWriteFindsTheLongRunAmongHoles() {
    addDisks(1);
    List<Run> first = new ArrayList<>();
    for (int i = 0; i < SLAB_UNITS; i++) {
      first.add(take(Redundancy.NONE, 1, 1));
    }
    leaveHoles(SLABS - RESERVED - 1);
    // the oldest group, behind all the holes
    first.subList(0, 256).forEach(this::release);
    allocator.forgetYoung();
    int units = 0;
    while (units < 256) {
      Run run = take(Redundancy.NONE, 1, 64);
      assertThat(run.group()).isEqualTo(first.getFirst().group());
      assertThat(run.units()).isEqualTo(64);
      units += run.units();
    }
    // now there are only holes, and they are used
    assertThat(take(Redundancy.NONE, 1, 64).units()).isEqualTo(1);
  }

  @Test
  void withoutALongRunTheLongestOfSomeHolesIsTaken() {
    addDisks(1);
    List<Run> runs = new ArrayList<>();
    for (int i = 0; i < (SLABS - RESERVED) * SLAB_UNITS; i++) {
      runs.add(take(Redundancy.NONE, 1, 1));
    }
    Group newest = runs.getLast().group();
    for (int unit : new int[] {3, 70, 140, 141, 142, 143, 144, 200}) {
      runs.stream().filter(r -> r.group() == newest && r.unit() == unit).forEach(this::release);
    }
    Run run = take(Redundancy.NONE, 1, 64);
    assertThat(run.unit()).isEqualTo(140);
    assertThat(run.units()).isEqualTo(5);
  }

  @Test
  void aNewGroupIsMadeRatherThanPiecesWhileThereIsPlenty() {
    addDisks(1);
    leaveHoles(2);
    assertThat(allocator.groups()).hasSize(2);
    // half of both groups is free, in holes: not more than they hold
    assertThat(take(Redundancy.NONE, 1, 64).units()).isEqualTo(64);
    assertThat(allocator.groups()).hasSize(3);
    // small writes still use the holes
    while (allocator.freeUnits(1) > (SLABS - 3) * SLAB_UNITS) {
      take(Redundancy.NONE, 1, 1);
    }
    assertThat(allocator.groups()).hasSize(3);
  }

  @Test
  void holesAreUsedOnceHalfOfTheSlabsAreTaken() {
    addDisks(1);
    leaveHoles(SLABS / 2);
    assertThat(take(Redundancy.NONE, 1, 64).units()).isEqualTo(1);
    assertThat(allocator.groups()).hasSize(SLABS / 2);
  }

  @Test
  void slabsOfEmptyGroupsServeAnotherRedundancy() {
    addDisks(3);
    List<Run> runs = new ArrayList<>();
    while (true) {
      Run run = allocator.allocate(Redundancy.mirror(3), 1, 64);
      if (run == null) {
        break;
      }
      runs.add(run);
    }
    assertThat(allocator.hasEmptyGroups()).isFalse();
    runs.subList(1, runs.size()).forEach(this::release);
    assertThat(allocator.allocate(Redundancy.striped(3), 1, 64)).isNull();
    assertThat(allocator.hasEmptyGroups()).isTrue();
    List<Group> dissolved = allocator.dissolveEmptyGroups();
    assertThat(dissolved).doesNotContain(runs.getFirst().group()).hasSize(SLABS - RESERVED - 1);
    // not before nothing durable names them
    assertThat(allocator.allocate(Redundancy.striped(3), 1, 64)).isNull();
    allocator.freeSlabs(dissolved);
    assertThat(take(Redundancy.striped(3), 1, 64).units()).isEqualTo(64);
    assertThat(take(Redundancy.mirror(3), 1, 64).group()).isEqualTo(runs.getFirst().group());
  }

  /** What is taken is nobody else's, and a pool is full only when there is no room for a block. */
  @ParameterizedTest
  @ValueSource(
      strings = {"none 1", "none 16", "none 200", "mirror:2 4", "striped:3 1", "parity:2+1 2"})
  void takesWhatIsFreeUntilNothingIs(String kind) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed + " for " + kind);
    Random random = new Random(seed);
    Redundancy redundancy = Redundancy.parse(kind.split(" ")[0]);
    int blockUnits = Integer.parseInt(kind.split(" ")[1]);
    addDisks(3);
    List<Run> runs = new ArrayList<>();
    Set<Long> taken = new HashSet<>();
    for (int round = 0; round < 6; round++) {
      while (true) {
        int wanted = blockUnits * (1 + random.nextInt(1 << random.nextInt(8)));
        Run run = allocator.allocate(redundancy, blockUnits, wanted);
        if (run == null) {
          break;
        }
        assertThat(run.units() % blockUnits).isZero();
        assertThat(run.units()).isBetween(blockUnits, wanted);
        for (int i = 0; i < run.units(); i++) {
          assertThat(taken.add(unit(run, i))).isTrue();
        }
        runs.add(run);
      }
      for (Group group : allocator.groups().stream().filter(g -> !g.metadata).toList()) {
        assertThat(longestFree(group, taken)).isLessThan(blockUnits);
        int free = 0;
        for (int unit = 0; unit < group.units(); unit++) {
          free += taken.contains(unit(new Run(group, unit, 1), 0)) ? 0 : 1;
        }
        assertThat(group.freeGranules() * redundancy.granule()).isEqualTo(free);
      }
      assertThat(allocator.allocateMetadata(1)).isNotNull();
      allocator.forgetYoung();
      giveSomeBack(runs, taken, blockUnits, random);
    }
  }

  private static long unit(Run run, int index) {
    return (long) run.group().id << 32 | run.unit() + index;
  }

  private static int longestFree(Group group, Set<Long> taken) {
    int granule = group.redundancy.granule();
    int longest = 0;
    int length = 0;
    for (int unit = 0; unit < group.units() / granule * granule; unit++) {
      length = taken.contains(unit(new Run(group, unit, 1), 0)) ? 0 : length + 1;
      longest = Math.max(longest, length);
    }
    return longest;
  }

  /** Gives blocks back, one by one or whole runs. */
  private void giveSomeBack(List<Run> runs, Set<Long> taken, int blockUnits, Random random) {
    List<Run> kept = new ArrayList<>();
    int whole = random.nextInt(4);
    for (Run run : runs) {
      for (int at = 0; at < run.units(); at += blockUnits) {
        Run block = new Run(run.group(), run.unit() + at, blockUnits);
        if (random.nextInt(4) <= whole) {
          kept.add(block);
          continue;
        }
        for (int i = 0; i < blockUnits; i++) {
          taken.remove(unit(block, i));
        }
        release(block);
      }
    }
    runs.clear();
    runs.addAll(kept);
  }
}
