package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.PowerCutDisk;
import io.anillo.storage.disk.PowerCutDisk.Power;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Cuts the power of all disks at random writes, data and metadata alike. Afterwards the pool opens,
 * what was flushed is there, what was not is old or new but nothing else, and a scrub finds
 * nothing.
 */
class PoolPowerCutTest {
  private static final int BLOCKS = 150;
  private static final int CUTS = Integer.getInteger("anillo.cuts", 60);
  private static final PoolOptions OPTIONS =
      PoolOptions.DEFAULT.withSlabBytes(64 << 10).withoutThreads();

  @ParameterizedTest
  @ValueSource(strings = {"none", "striped:2", "mirror:2", "parity:2+1"})
  void nothingFlushedIsLost(String redundancy) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int i = 0; i < CUTS; i++) {
      new Run(redundancy, random, "cut " + i + " of seed " + seed).run();
    }
  }

  private static final class Run {
    private final Random random;
    private final String what;
    private final Redundancy redundancy;
    private final List<PowerCutDisk> disks = new ArrayList<>();

    /** Per block: the values it may have; one once it is flushed. */
    private final List<Set<Integer>> allowed = new ArrayList<>();

    private final int[] latest = new int[BLOCKS];
    private final Map<String, int[]> snapshots = new HashMap<>();
    private String doubtful = "";
    private int value;

    Run(String redundancy, Random random, String what) throws IOException {
      this.redundancy = Redundancy.parse(redundancy);
      this.random = random;
      this.what = what;
      for (int i = 0; i < BLOCKS; i++) {
        allowed.add(new HashSet<>(Set.of(0)));
      }
    }

    void run() throws IOException {
      Power power = new Power(Long.MAX_VALUE);
      for (int i = 0; i < 3; i++) {
        disks.add(new PowerCutDisk("disk" + i, 7 << 20, power));
      }
      try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), OPTIONS)) {
        pool.createVolume(
            VolumeSpecification.of("volume", (long) BLOCKS * blockBytes(), redundancy));
      }
      int cuts = 1 + random.nextInt(3);
      for (int i = 0; i < cuts; i++) {
        live(random.nextInt(300));
        verify();
      }
    }

    private int blockBytes() {
      return redundancy.granule() * 4096;
    }

    /** Works until the power fails. */
    private void live(int operations) throws IOException {
      Power power = new Power(operations);
      for (PowerCutDisk disk : disks) {
        disk.restore(random, power);
      }
      try {
        Pool pool = Pool.open(List.<Disk>copyOf(disks), OPTIONS);
        ThinVolume volume = pool.openVolume("volume", Optional.empty());
        while (true) {
          step(pool, volume);
        }
      } catch (IOException failure) {
        assertThat(power.isOff()).as(what + ": " + failure).isTrue();
      }
      Power again = new Power(Long.MAX_VALUE);
      for (PowerCutDisk disk : disks) {
        disk.restore(random, again);
      }
    }

    private void step(Pool pool, ThinVolume volume) throws IOException {
      int block = random.nextInt(BLOCKS);
      int count = Math.min(BLOCKS - block, 1 + random.nextInt(8));
      switch (random.nextInt(12)) {
        case 0, 1 -> {
          volume.flush();
          settle();
        }
        case 2 -> {
          if (snapshots.size() < 4) {
            String name = "s" + value++;
            doubtful = name;
            int[] held = latest.clone();
            pool.snapshot("volume", name);
            snapshots.put(name, held);
            doubtful = "";
            settle();
          }
        }
        case 3 -> {
          if (!snapshots.isEmpty()) {
            String name = snapshots.keySet().iterator().next();
            snapshots.remove(name);
            doubtful = name;
            pool.deleteSnapshot("volume", name);
            doubtful = "";
            settle();
          }
        }
        case 4 -> {
          mark(block, count, 0);
          volume.discard((long) block * blockBytes(), (long) count * blockBytes());
        }
        default -> {
          value++;
          mark(block, count, value);
          ByteBuffer data = ByteBuffer.allocate(count * blockBytes());
          while (data.hasRemaining()) {
            data.putInt(value);
          }
          volume.write((long) block * blockBytes(), data.flip());
        }
      }
    }

    private void mark(int block, int count, int newValue) {
      for (int b = block; b < block + count; b++) {
        allowed.get(b).add(newValue);
        latest[b] = newValue;
      }
    }

    private void settle() {
      for (int b = 0; b < BLOCKS; b++) {
        allowed.set(b, new HashSet<>(Set.of(latest[b])));
      }
    }

    private void verify() throws IOException {
      try (Pool pool = Pool.open(List.<Disk>copyOf(disks), OPTIONS)) {
        ThinVolume volume = pool.openVolume("volume", Optional.empty());
        for (int b = 0; b < BLOCKS; b++) {
          int found = read(volume, b);
          if (!allowed.get(b).contains(found)) {
            throw new AssertionError(
                "%s: block %d is %d, not one of %s".formatted(what, b, found, allowed.get(b)));
          }
          latest[b] = found;
        }
        settle();
        for (Map.Entry<String, int[]> snapshot : snapshots.entrySet()) {
          ThinVolume held = pool.openSnapshot("volume", snapshot.getKey(), Optional.empty());
          for (int b = 0; b < BLOCKS; b++) {
            int found = read(held, b);
            if (found != snapshot.getValue()[b]) {
              throw new AssertionError(
                  "%s: block %d of %s is %d".formatted(what, b, snapshot.getKey(), found));
            }
          }
        }
        PoolMaintenance.ScrubResult scrub = pool.scrub();
        assertThat(scrub.healed()).as(what).isZero();
        assertThat(scrub.lost()).as(what).isZero();
        // what was being made or deleted may be there or not
        if (!doubtful.isEmpty()
            && pool.status().volumes().getFirst().snapshots().stream()
                .anyMatch(snapshot -> snapshot.name().equals(doubtful))) {
          pool.deleteSnapshot("volume", doubtful);
        }
        doubtful = "";
      }
    }

    private int read(ThinVolume volume, int block) throws IOException {
      ByteBuffer bytes = ByteBuffer.allocate(blockBytes());
      volume.read((long) block * blockBytes(), bytes);
      int first = bytes.getInt(0);
      for (int i = 0; i < bytes.capacity(); i += 4) {
        if (bytes.getInt(i) != first) {
          throw new AssertionError(what + ", block " + block + " is torn");
        }
      }
      return first;
    }
  }
}
