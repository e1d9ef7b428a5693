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
  private static final int CUTS = Integer.getInteger("anillo.cuts", 40);
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

  /** The same while disks are added, replaced and removed, and clones come and go. */
  @ParameterizedTest
  @ValueSource(strings = {"none", "mirror:2", "parity:2+1", "mirror:2 zstd secret"})
  void changesOfDisksMayBeCutAnywhere(String kind) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int i = 0; i < (kind.contains("secret") ? CUTS / 10 : CUTS); i++) {
      Run run = new Run(kind.split(" ")[0], random, "cut " + i + " of seed " + seed);
      run.maintenance = true;
      run.packed = kind.contains("zstd");
      run.run();
    }
  }

  private static final class Run {
    private boolean maintenance;
    private boolean packed;
    private int nextDisk = 3;
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
        VolumeSpecification specification =
            VolumeSpecification.of("volume", (long) BLOCKS * blockBytes(), redundancy);
        if (packed) {
          specification = specification.withCompression().withPassphrase("word".toCharArray());
        }
        pool.createVolume(specification);
      }
      int cuts = 1 + random.nextInt(3);
      for (int i = 0; i < cuts; i++) {
        live(random.nextInt(300));
        verify();
      }
    }

    private Optional<char[]> passphrase() {
      return packed ? Optional.of("word".toCharArray()) : Optional.empty();
    }

    /** What a person would name to open the pool: every disk that says it belongs to it. */
    private List<Disk> members() throws IOException {
      List<Disk> members = new ArrayList<>();
      for (PowerCutDisk disk : disks) {
        if (Pool.poolOf(disk).isPresent()) {
          members.add(disk);
        }
      }
      return members;
    }

    private PowerCutDisk newDisk(Power power) {
      PowerCutDisk disk = new PowerCutDisk("disk" + nextDisk++, 7 << 20, power);
      disks.add(disk);
      return disk;
    }

    private void changeDisks(Pool pool, Power power) throws IOException {
      List<PoolStatus.DiskStatus> present = pool.status().disks();
      String name = present.get(random.nextInt(present.size())).name();
      switch (random.nextInt(5)) {
        case 0 -> pool.replaceDisk(name, newDisk(power));
        case 1 -> {
          if (present.size() < 5) {
            pool.addDisk(newDisk(power), false);
          }
        }
        case 2 -> {
          if (present.size() > 3) {
            pool.removeDisk(name);
          }
        }
        case 3 -> pool.rebalance();
        default -> {
          if (!snapshots.isEmpty()) {
            String clone = "clone" + value++;
            pool.cloneVolume("volume", snapshots.keySet().iterator().next(), clone);
            pool.deleteVolume(clone);
          }
        }
      }
    }

    private int blockBytes() {
      return packed ? 64 << 10 : redundancy.granule() * 4096;
    }

    /** Works until the power fails. */
    private void live(int operations) throws IOException {
      Power power = new Power(operations);
      for (PowerCutDisk disk : disks) {
        disk.restore(random, power);
      }
      try {
        // with few changes to the checkpoint, or all of them in the journal
        int updates = random.nextBoolean() ? 1 + random.nextInt(40) : 32768;
        Pool pool = Pool.open(members(), OPTIONS.withUpdatesPerCheckpoint(updates));
        ThinVolume volume = pool.openVolume("volume", passphrase());
        while (true) {
          if (maintenance && random.nextInt(20) == 0) {
            changeDisks(pool, power);
          }
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
        default -> write(volume, block, count);
      }
    }

    private void write(ThinVolume volume, int block, int count) throws IOException {
      value++;
      mark(block, count, value);
      ByteBuffer data = ByteBuffer.allocate(count * blockBytes());
      while (data.hasRemaining()) {
        data.putInt(value);
      }
      volume.write((long) block * blockBytes(), data.flip());
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

    /** Opens the pool after a cut and looks; then once more after it was written to. */
    private void verify() throws IOException {
      try (Pool pool = Pool.open(members(), OPTIONS)) {
        List<String> names =
            pool.status().disks().stream().map(PoolStatus.DiskStatus::name).toList();
        disks.removeIf(disk -> !names.contains(disk.name()));
        assertThat(disks).as(what).hasSameSizeAs(names);
        for (PoolStatus.VolumeStatus status : pool.status().volumes()) {
          if (status.name().startsWith("clone")) {
            pool.deleteVolume(status.name());
          }
        }
        ThinVolume volume = pool.openVolume("volume", passphrase());
        for (int b = 0; b < BLOCKS; b++) {
          int found = read(volume, b);
          if (!allowed.get(b).contains(found)) {
            throw new AssertionError(
                "%s: block %d is %d, not one of %s".formatted(what, b, found, allowed.get(b)));
          }
          latest[b] = found;
        }
        settle();
        // new blocks take no space that what was recovered still needs
        for (int i = 0; i < 40; i++) {
          write(volume, random.nextInt(BLOCKS), 1);
        }
        volume.flush();
        settle();
        for (int b = 0; b < BLOCKS; b++) {
          if (read(volume, b) != latest[b]) {
            throw new AssertionError("%s: block %d changed after recovery".formatted(what, b));
          }
        }
        for (Map.Entry<String, int[]> snapshot : snapshots.entrySet()) {
          ThinVolume held = pool.openSnapshot("volume", snapshot.getKey(), passphrase());
          for (int b = 0; b < BLOCKS; b++) {
            int found = read(held, b);
            if (found != snapshot.getValue()[b]) {
              throw new AssertionError(
                  "%s: block %d of %s is %d".formatted(what, b, snapshot.getKey(), found));
            }
          }
          held.close();
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
