package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.PowerCutDisk;
import io.anillo.storage.disk.PowerCutDisk.Power;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Disks that rot, fail, leave and join while volumes are written and read. */
class PoolDiskChangesTest {
  private static final int BLOCK = 16 << 10;
  private static final int BLOCKS = 128;

  private final List<PoolEvent> events = new CopyOnWriteArrayList<>();
  private final PoolOptions options =
      PoolOptions.DEFAULT.withSlabBytes(128 << 10).withoutThreads().withListener(events::add);

  private static PowerCutDisk disk(String name) {
    return new PowerCutDisk(name, 12 << 20, new Power(Long.MAX_VALUE));
  }

  private static List<PowerCutDisk> disks(int count) {
    List<PowerCutDisk> disks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      disks.add(disk("disk" + i));
    }
    return disks;
  }

  /** Writes and reads blocks until told to stop, and remembers the first wrong byte. */
  private static final class Load implements AutoCloseable {
    private final ThinVolume volume;
    private final AtomicBoolean stop = new AtomicBoolean();
    private final AtomicReference<Throwable> failure = new AtomicReference<>();
    private final int[] latest = new int[BLOCKS];
    private final Thread thread;

    Load(ThinVolume volume, long seed) throws IOException {
      this.volume = volume;
      for (int b = 0; b < BLOCKS; b++) {
        write(b);
      }
      this.thread =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  Random random = new Random(seed);
                  while (!stop.get()) {
                    step(random);
                  }
                  for (int b = 0; b < BLOCKS; b++) {
                    check(b);
                  }
                } catch (Throwable thrown) {
                  failure.set(thrown);
                }
              });
    }

    private void step(Random random) throws IOException {
      int block = random.nextInt(BLOCKS);
      switch (random.nextInt(8)) {
        case 0, 1, 2 -> write(block);
        case 3 -> volume.flush();
        default -> check(block);
      }
    }

    private void write(int block) throws IOException {
      latest[block]++;
      ByteBuffer data = ByteBuffer.allocateDirect(BLOCK);
      while (data.hasRemaining()) {
        data.putInt(block * 1_000_003 + latest[block]);
      }
      volume.write((long) block * BLOCK, data.flip());
    }

    private void check(int block) throws IOException {
      ByteBuffer data = ByteBuffer.allocateDirect(BLOCK);
      volume.read((long) block * BLOCK, data);
      int expected = block * 1_000_003 + latest[block];
      for (int i = 0; i < BLOCK; i += 4) {
        if (data.getInt(i) != expected) {
          throw new AssertionError("block " + block + " is wrong at byte " + i);
        }
      }
    }

    @Override
    public void close() {
      stop.set(true);
      try {
        thread.join(Duration.ofSeconds(60));
      } catch (InterruptedException interrupted) {
        throw new AssertionError(interrupted);
      }
      assertThat(failure.get()).isNull();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"mirror:2", "mirror:3", "parity:2+1", "parity:2+2"})
  void everyByteSurvivesRotReplacementAndRemoval(String redundancy) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    List<PowerCutDisk> disks = disks(5);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      pool.createVolume(
          VolumeSpecification.of("volume", (long) BLOCKS * BLOCK, Redundancy.parse(redundancy)));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      try (Load load = new Load(volume, seed)) {
        for (int i = 0; i < 200; i++) {
          // only one disk rots, as redundancy of one can bear
          long offset = DiskLabel.SLABS_OFFSET + random.nextInt(2 << 20);
          disks.get(1).corrupt(offset, 1 + random.nextInt(2000), random);
        }
        pool.scrub();
        pool.replaceDisk("disk1", disk("new1"));
        pool.snapshot("volume", "middle");
        pool.failDisk("disk2");
        pool.replaceDisk("disk2", disk("new2"));
        pool.addDisk(disk("more"), false);
        pool.rebalance();
        pool.removeDisk("disk0");
      }
      assertThat(pool.status().disks())
          .extracting(PoolStatus.DiskStatus::name)
          .containsExactlyInAnyOrder("disk3", "disk4", "new1", "new2", "more");
      PoolMaintenance.ScrubResult scrub = pool.scrub();
      assertThat(scrub.lost()).isZero();
      assertThat(scrub.healed()).isZero();
      assertThat(events)
          .extracting(PoolEvent::kind)
          .contains(PoolEvent.Kind.HEALED)
          .doesNotContain(PoolEvent.Kind.LOST);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "striped:3"})
  void volumesWithoutRedundancyMoveBetweenDisks(String redundancy) throws IOException {
    List<PowerCutDisk> disks = disks(4);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      pool.createVolume(
          VolumeSpecification.of("volume", (long) BLOCKS * BLOCK, Redundancy.parse(redundancy)));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      try (Load load = new Load(volume, 5)) {
        pool.replaceDisk("disk1", disk("new1"));
        pool.removeDisk("disk0");
      }
      assertThat(pool.scrub()).extracting(PoolMaintenance.ScrubResult::lost).isEqualTo(0L);
    }
  }

  @Test
  void rotWithoutRedundancyIsAnErrorAndNeverWrongData() throws IOException {
    List<PowerCutDisk> disks = disks(1);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      pool.createVolume(VolumeSpecification.of("volume", 1 << 20, Redundancy.NONE));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      ByteBuffer data = ByteBuffer.allocate(1 << 20);
      new Random(4).nextBytes(data.array());
      volume.write(0, data);
      volume.flush();
      byte[] contents = disks.getFirst().contents();
      int at = find(contents, data.array(), 500_000, 64);
      disks.getFirst().corrupt(at, 1, new Random(9));
      ByteBuffer read = ByteBuffer.allocate(1 << 20);
      assertThatThrownBy(() -> volume.read(0, read)).hasMessageContaining("damaged on all disks");
      volume.read(0, ByteBuffer.allocate(400_000));
    }
  }

  private static int find(byte[] where, byte[] what, int from, int length) {
    for (int i = 0; i + length < where.length; i++) {
      int j = 0;
      while (j < length && where[i + j] == what[from + j]) {
        j++;
      }
      if (j == length) {
        return i;
      }
    }
    throw new AssertionError("the data is not on the disk");
  }

  @Test
  void aSpareTakesThePlaceOfAFailedDisk() throws Exception {
    List<PowerCutDisk> disks = disks(2);
    PoolOptions tended = PoolOptions.DEFAULT.withSlabBytes(128 << 10).withListener(events::add);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), tended)) {
      pool.addDisk(disk("spare"), true);
      pool.createVolume(
          VolumeSpecification.of("volume", (long) BLOCKS * BLOCK, Redundancy.mirror(2)));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      try (Load load = new Load(volume, 8)) {
        pool.failDisk("disk0");
        for (int i = 0; i < 300 && !finished(); i++) {
          Thread.sleep(50);
        }
      }
      assertThat(finished()).as(events.toString()).isTrue();
      assertThat(pool.scrub().lost()).isZero();
    }
  }

  private boolean finished() {
    return events.stream().anyMatch(event -> event.kind() == PoolEvent.Kind.REBUILD_FINISHED);
  }

  @Test
  void limitsHoldAndMayChangeWhileRequestsWait() throws Exception {
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks(1)), options)) {
      VolumeLimits slow = new VolumeLimits(0, 1 << 20);
      pool.createVolume(
          VolumeSpecification.of("volume", 4 << 20, Redundancy.NONE).withLimits(slow));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      long start = System.nanoTime();
      for (int i = 0; i < 8; i++) {
        volume.write(0, ByteBuffer.allocate(128 << 10));
      }
      // 1 MiB at 1 MiB a second, the first request and a tenth of a second free
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Duration.ofMillis(600));
      Thread writer =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  for (int i = 0; i < 480; i++) {
                    volume.write(0, ByteBuffer.allocate(128 << 10));
                  }
                } catch (IOException failure) {
                  throw new java.io.UncheckedIOException(failure);
                }
              });
      Thread.sleep(300);
      assertThat(writer.isAlive()).as("a minute's worth of writes").isTrue();
      pool.setLimits("volume", VolumeLimits.NONE);
      writer.join(Duration.ofSeconds(20));
      assertThat(writer.isAlive()).isFalse();
      pool.setLimits("volume", new VolumeLimits(20, 0));
      start = System.nanoTime();
      for (int i = 0; i < 20; i++) {
        volume.read(0, ByteBuffer.allocate(512));
      }
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Duration.ofMillis(600));
    }
  }

  @Test
  void rotIsFoundAndHealedInTheBackground() throws Exception {
    List<PowerCutDisk> disks = disks(2);
    PoolOptions tended =
        PoolOptions.DEFAULT
            .withSlabBytes(128 << 10)
            .withListener(events::add)
            .withScrubInterval(Duration.ofSeconds(1));
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), tended)) {
      pool.createVolume(
          VolumeSpecification.of("volume", (long) BLOCKS * BLOCK, Redundancy.mirror(2)));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      volume.write(0, ByteBuffer.allocate(BLOCKS * BLOCK));
      volume.flush();
      disks.get(1).corrupt(DiskLabel.SLABS_OFFSET, 2 << 20, new Random(1));
      for (int i = 0; i < 300 && pool.status().lastScrubMillis() == 0; i++) {
        Thread.sleep(50);
      }
      assertThat(healed()).isGreaterThan(BLOCKS / 2);
      assertThat(pool.scrub().healed()).isZero();
    }
  }

  @Test
  void aDiskThatComesBackIsBroughtUpToDate() throws Exception {
    List<PowerCutDisk> disks = disks(2);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      pool.createVolume(
          VolumeSpecification.of("volume", (long) BLOCKS * BLOCK, Redundancy.mirror(2)));
    }
    try (Pool pool = Pool.open(List.<Disk>of(disks.get(1)), options.withMissing())) {
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      try (Load load = new Load(volume, 10)) {
        Thread.sleep(100);
      }
    }
    PoolOptions tended = PoolOptions.DEFAULT.withListener(events::add);
    try (Pool pool = Pool.open(List.<Disk>copyOf(disks), tended)) {
      for (int i = 0; i < 300 && pool.status().lastScrubMillis() == 0; i++) {
        Thread.sleep(50);
      }
      assertThat(pool.status().lastScrubMillis()).isPositive();
      assertThat(healed()).isPositive();
      assertThat(pool.scrub().healed()).isZero();
    }
  }

  private long healed() {
    return events.stream().filter(event -> event.kind() == PoolEvent.Kind.HEALED).count();
  }

  @Test
  void aFullPoolHoldsTheWriterUntilThereIsRoom() throws Exception {
    List<PowerCutDisk> disks = disks(1);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      pool.createVolume(VolumeSpecification.of("large", 64 << 20, Redundancy.NONE));
      ThinVolume volume = pool.openVolume("large", Optional.empty());
      Thread writer =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  for (int i = 0; i < 10; i++) {
                    volume.write(i << 20, ByteBuffer.allocate(1 << 20));
                  }
                } catch (IOException failure) {
                  throw new java.io.UncheckedIOException(failure);
                }
              });
      for (int i = 0; i < 200 && !full(); i++) {
        Thread.sleep(20);
      }
      assertThat(full()).isTrue();
      assertThat(writer.isAlive()).isTrue();
      assertThat(events).extracting(PoolEvent::kind).contains(PoolEvent.Kind.SPACE);
      pool.addDisk(disk("more"), false);
      writer.join(Duration.ofSeconds(20));
      assertThat(writer.isAlive()).isFalse();
      pool.createVolume(
          VolumeSpecification.of("strict", 64 << 20, Redundancy.NONE).failingWhenFull());
      ThinVolume strict = pool.openVolume("strict", Optional.empty());
      assertThatThrownBy(
              () -> {
                for (int i = 0; i < 30; i++) {
                  strict.write(i << 20, ByteBuffer.allocate(1 << 20));
                }
              })
          .hasMessageContaining("No space left");
      volume.discard(0, 10 << 20);
      volume.flush();
      strict.write(40 << 20, ByteBuffer.allocate(1 << 20));
    }
  }

  @Test
  void whatOneVolumeLeavesServesAnyOther() throws IOException {
    List<PowerCutDisk> disks = disks(3);
    Random random = new Random(7);
    byte[] contents = new byte[32 << 20];
    random.nextBytes(contents);
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      for (String kind : List.of("mirror:3", "striped:3", "parity:2+1", "none", "mirror:2")) {
        Redundancy redundancy = Redundancy.parse(kind);
        pool.createVolume(
            VolumeSpecification.of("strict", contents.length, redundancy).failingWhenFull());
        ThinVolume volume = pool.openVolume("strict", Optional.empty());
        int written = 0;
        try {
          for (; written < contents.length; written += BLOCK) {
            volume.write(written, ByteBuffer.wrap(contents, written, BLOCK));
          }
        } catch (IOException full) {
          assertThat(full).hasMessageContaining("No space left");
        }
        // of three disks of 12 MiB each, of which 5 MiB are the journal
        assertThat((long) written * redundancy.width() / redundancy.data())
            .as(kind)
            .isGreaterThan(18 << 20);
        ByteBuffer read = ByteBuffer.allocate(written);
        volume.read(0, read);
        assertThat(read.flip()).as(kind).isEqualTo(ByteBuffer.wrap(contents, 0, written));
        volume.close();
        if (!kind.equals("mirror:2")) {
          pool.deleteVolume("strict");
        }
      }
    }
    try (Pool pool = Pool.open(List.<Disk>copyOf(disks), options)) {
      assertThat(pool.scrub().lost()).isZero();
      pool.deleteVolume("strict");
      pool.rebalance();
      assertThat(pool.status().disks())
          .allSatisfy(disk -> assertThat(disk.usedBytes()).isLessThan(1 << 20));
      for (PoolStatus.DiskStatus disk : pool.status().disks()) {
        for (int slab : disk.slabs()) {
          assertThat(slab).as("only metadata has slabs").isLessThanOrEqualTo(0);
        }
      }
    }
  }

  private boolean full() {
    return events.stream().anyMatch(event -> event.kind() == PoolEvent.Kind.FULL);
  }

  @Test
  void aMissingDiskIsAskedForAndPutRightWhenItReturns() throws IOException {
    List<PowerCutDisk> disks = disks(3);
    ByteBuffer data = ByteBuffer.allocate(1 << 20);
    new Random(4).nextBytes(data.array());
    try (Pool pool = Pool.create("test", List.<Disk>copyOf(disks), options)) {
      pool.createVolume(VolumeSpecification.of("volume", 1 << 20, Redundancy.mirror(2)));
    }
    List<Disk> two = List.of(disks.get(0), disks.get(2));
    assertThatThrownBy(() -> Pool.open(two, options)).hasMessageContaining("lacks disk 2");
    try (Pool pool = Pool.open(two, options.withMissing())) {
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      volume.write(0, data.duplicate());
    }
    try (Pool pool = Pool.open(List.<Disk>copyOf(disks), options)) {
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      ByteBuffer read = ByteBuffer.allocate(1 << 20);
      volume.read(0, read);
      assertThat(read.array()).isEqualTo(data.array());
      pool.scrub();
      assertThat(pool.scrub().healed()).isZero();
    }
  }
}
