package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.MemoryDisk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Disks of a pool with random damage, by accident or with checksums made right again: whatever is
 * on them, opening and using the pool ends soon, in a sentence at worst, and takes little memory.
 */
class HostilePoolTest {
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 120);
  private static final int SLAB_BYTES = 64 << 10;
  private static final PoolOptions OPTIONS =
      PoolOptions.DEFAULT.withSlabBytes(SLAB_BYTES).withoutThreads();
  private static final long MOST_READ = 4 << 20;

  private static List<byte[]> pool() throws IOException {
    List<byte[]> disks = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      disks.add(new byte[(int) DiskLabel.SLABS_OFFSET + 40 * SLAB_BYTES]);
    }
    Pool pool = Pool.create("fuzzed", opened(disks), OPTIONS);
    pool.createVolume(VolumeSpecification.of("mirrored", 2 << 20, Redundancy.mirror(2)));
    pool.createVolume(VolumeSpecification.of("parity", 1 << 20, Redundancy.parity(2, 1)));
    pool.createVolume(
        VolumeSpecification.of("packed", 1 << 20, Redundancy.striped(2)).withCompression());
    Random random = new Random(3);
    for (String name : List.of("mirrored", "parity", "packed")) {
      byte[] bytes = new byte[200_000];
      random.nextBytes(bytes);
      ThinVolume volume = pool.openVolume(name, Optional.empty());
      volume.write(0, ByteBuffer.wrap(bytes));
      pool.snapshot(name, "one");
      volume.write(100_000, ByteBuffer.wrap(bytes, 0, 60_000));
    }
    pool.cloneVolume("mirrored", "one", "clone");
    // everything in its place, then changes that are in the journal alone: nobody closes the pool
    Pool reopened = Pool.open(opened(disks), OPTIONS);
    ThinVolume volume = reopened.openVolume("mirrored", Optional.empty());
    volume.write(300_000, ByteBuffer.allocate(50_000));
    reopened.snapshot("mirrored", "two");
    reopened.deleteSnapshot("packed", "one");
    return disks;
  }

  private static List<Disk> opened(List<byte[]> disks) {
    List<Disk> opened = new ArrayList<>();
    for (byte[] disk : disks) {
      opened.add(new MemoryDisk("disk" + opened.size(), disk));
    }
    return opened;
  }

  @ParameterizedTest
  @ValueSource(strings = {"bytes", "label", "superblock", "catalog", "node", "journal"})
  void damageEndsInOneSentence(String kind) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    List<byte[]> original = pool();
    // without damage all of the use works, so that damage is met wherever it is
    use(copy(original));
    int refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
      List<byte[]> disks = copy(original);
      damage(kind, disks, random);
      String what = kind + ", round " + i + " of seed " + seed;
      AtomicReference<Throwable> end = new AtomicReference<>();
      Assertions.assertTimeoutPreemptively(
          Duration.ofSeconds(120),
          () -> {
            try {
              use(disks);
            } catch (Throwable thrown) {
              end.set(thrown);
            }
          },
          what);
      Throwable thrown = end.get();
      if (thrown instanceof IOException sentence) {
        assertThat(sentence.getMessage()).as(what).isNotBlank().doesNotContain("\n");
        refused++;
      } else if (thrown != null) {
        throw new AssertionError(what + ": " + thrown, thrown);
      }
    }
    System.out.println("%s: %d of %d refused".formatted(kind, refused, ROUNDS));
  }

  private static List<byte[]> copy(List<byte[]> disks) {
    return disks.stream().map(byte[]::clone).toList();
  }

  private static void damage(String kind, List<byte[]> disks, Random random) throws IOException {
    PoolSurgery surgery = new PoolSurgery(disks, random);
    switch (kind) {
      case "bytes" -> {
        for (int i = 1 + random.nextInt(8); i > 0; i--) {
          byte[] disk = disks.get(random.nextInt(disks.size()));
          PoolSurgery.scramble(disk, 0, random.nextBoolean() ? 300 << 10 : disk.length, random);
        }
      }
      case "label" -> surgery.label();
      case "superblock" -> surgery.superblock();
      case "catalog" -> surgery.catalog();
      case "node" -> surgery.node();
      case "journal" -> surgery.journal();
      default -> throw new IllegalArgumentException(kind);
    }
  }

  private interface Work {
    void run() throws IOException;
  }

  private static void use(List<byte[]> disks) throws IOException {
    List<IOException> sentences = new ArrayList<>();
    Pool pool = Pool.open(opened(disks), OPTIONS);
    PoolStatus status = pool.status();
    for (PoolStatus.VolumeStatus volume : status.volumes()) {
      // a catalog may say one byte a second, and be obeyed
      attempt(sentences, () -> pool.setLimits(volume.name(), VolumeLimits.NONE));
      for (PoolStatus.SnapshotStatus snapshot : volume.snapshots()) {
        attempt(
            sentences,
            () -> {
              try (ThinVolume opened = pool.openSnapshot(volume.name(), snapshot.name(), none())) {
                read(opened);
              }
            });
      }
      attempt(
          sentences,
          () -> {
            try (ThinVolume opened = pool.openVolume(volume.name(), none())) {
              write(opened);
            }
          });
      attempt(sentences, () -> pool.snapshot(volume.name(), "new"));
      for (PoolStatus.SnapshotStatus snapshot : volume.snapshots()) {
        attempt(sentences, () -> pool.deleteSnapshot(volume.name(), snapshot.name()));
      }
      attempt(sentences, () -> pool.rollBack(volume.name(), "new"));
    }
    attempt(sentences, pool::scrub);
    attempt(sentences, pool::rebalance);
    attempt(sentences, pool::close);
    if (!sentences.isEmpty()) {
      throw sentences.getFirst();
    }
  }

  private static Optional<char[]> none() {
    return Optional.empty();
  }

  private static void attempt(List<IOException> sentences, Work work) {
    try {
      work.run();
    } catch (IOException sentence) {
      sentences.add(sentence);
    }
  }

  private static void read(ThinVolume volume) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(64 << 10);
    long end = Math.min(volume.sizeBytes(), MOST_READ);
    for (long at = 0; at < end; at += buffer.capacity()) {
      volume.read(at, buffer.clear().limit((int) Math.min(buffer.capacity(), end - at)));
    }
  }

  private static void write(ThinVolume volume) throws IOException {
    if (volume.sizeBytes() > 200_000) {
      volume.write(50_000, ByteBuffer.allocate(100_000));
      volume.discard(0, 100_000);
    }
    read(volume);
    volume.flush();
  }
}
