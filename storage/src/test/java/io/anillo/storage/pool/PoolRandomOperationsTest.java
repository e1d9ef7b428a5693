package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.PowerCutDisk;
import io.anillo.storage.disk.PowerCutDisk.Power;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random operations on volumes of all kinds, against arrays in memory. */
class PoolRandomOperationsTest {
  private static final int SIZE = 3 << 20;
  private static final PoolOptions OPTIONS =
      PoolOptions.DEFAULT.withSlabBytes(256 << 10).withoutThreads();

  private static final int SEQUENCES = Integer.getInteger("anillo.sequences", 1);
  private static final int ROUNDS = Integer.getInteger("anillo.operations", 300) / 25;

  private final Map<String, byte[]> volumes = new HashMap<>();
  private final Map<String, Map<String, byte[]>> snapshots = new HashMap<>();

  @ParameterizedTest
  @ValueSource(
      strings = {
        "none",
        "striped:3",
        "mirror:2",
        "mirror:3",
        "parity:2+1",
        "parity:3+2",
        "none zstd",
        "parity:2+1 zstd",
        "mirror:2 secret",
        "parity:4+1 zstd secret"
      })
  void everyByteIsWhatWasLastWritten(String kind) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    for (int i = 0; i < SEQUENCES; i++) {
      System.out.println("seed " + (seed + i) + " for " + kind);
      runSequence(kind, new Random(seed + i));
    }
  }

  private void runSequence(String kind, Random random) throws IOException {
    volumes.clear();
    snapshots.clear();
    List<PowerCutDisk> disks = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      disks.add(new PowerCutDisk("disk" + i, (24 << 20) + i * 700_000, new Power(Long.MAX_VALUE)));
    }
    Pool pool = Pool.create("test", List.<Disk>copyOf(disks), OPTIONS);
    String[] parts = kind.split(" ");
    VolumeSpecification specification =
        VolumeSpecification.of("first", SIZE, Redundancy.parse(parts[0]));
    Optional<char[]> passphrase = Optional.empty();
    if (kind.contains("zstd")) {
      specification = specification.withCompression();
    }
    if (kind.contains("secret")) {
      passphrase = Optional.of("a secret".toCharArray());
      specification = specification.withPassphrase(passphrase.get());
    }
    pool.createVolume(specification);
    volumes.put("first", new byte[SIZE]);
    snapshots.put("first", new HashMap<>());
    for (int round = 0; round < ROUNDS; round++) {
      String name = pick(random, volumes);
      byte[] model = volumes.getOrDefault(name, new byte[0]);
      ThinVolume volume = pool.openVolume(name, passphrase);
      for (int i = 0; i < 25; i++) {
        change(volume, model, random);
      }
      volume.close();
      changeVersions(pool, name, random, passphrase);
      if (random.nextInt(4) == 0) {
        pool.close();
        pool = Pool.open(List.<Disk>copyOf(disks), OPTIONS);
      }
    }
    verifyAll(pool, passphrase);
    PoolMaintenance.ScrubResult result = pool.scrub();
    assertThat(result.healed()).isZero();
    assertThat(result.lost()).isZero();
    pool.close();
    pool = Pool.open(List.<Disk>copyOf(disks), OPTIONS);
    verifyAll(pool, passphrase);
    for (String name : List.copyOf(volumes.keySet())) {
      pool.deleteVolume(name);
    }
    PoolStatus status = pool.status();
    pool.close();
    pool = Pool.open(List.<Disk>copyOf(disks), OPTIONS);
    // everything has been given back but the catalog
    long used = pool.status().disks().stream().mapToLong(PoolStatus.DiskStatus::usedBytes).sum();
    assertThat(used).as(status.toString()).isLessThan(100_000);
    pool.close();
  }

  @Test
  void siblingsShareBlocksAfterTheirOriginIsDeleted() throws IOException {
    List<Disk> disks = List.of(new PowerCutDisk("disk", 24 << 20, new Power(Long.MAX_VALUE)));
    try (Pool pool = Pool.create("test", disks, OPTIONS)) {
      pool.createVolume(VolumeSpecification.of("first", 1 << 20, Redundancy.NONE));
      byte[] data = new byte[1 << 20];
      new Random(1).nextBytes(data);
      ThinVolume first = pool.openVolume("first", Optional.empty());
      first.write(0, ByteBuffer.wrap(data));
      pool.snapshot("first", "origin");
      pool.cloneVolume("first", "origin", "sibling");
      pool.deleteSnapshot("first", "origin");
      for (int i = 0; i < 5; i++) {
        first.write(0, ByteBuffer.allocate(1 << 20));
        first.flush();
      }
      ThinVolume sibling = pool.openVolume("sibling", Optional.empty());
      verify(sibling, data, "sibling");
      assertThat(pool.status().volumes()).allMatch(volume -> volume.snapshots().isEmpty());
    }
  }

  // found by seed 52346670488062, in all redundancies: a hidden version was removed twice
  @Test
  void aCloneOutlivesItsVolumeWhoseSnapshotWentBefore() throws IOException {
    List<Disk> disks = List.of(new PowerCutDisk("disk", 24 << 20, new Power(Long.MAX_VALUE)));
    byte[] data = new byte[1 << 20];
    new Random(1).nextBytes(data);
    try (Pool pool = Pool.create("test", disks, OPTIONS)) {
      pool.createVolume(VolumeSpecification.of("first", 1 << 20, Redundancy.NONE));
      try (ThinVolume first = pool.openVolume("first", Optional.empty())) {
        first.write(0, ByteBuffer.wrap(data));
      }
      pool.snapshot("first", "origin");
      pool.cloneVolume("first", "origin", "clone");
      pool.deleteSnapshot("first", "origin");
      pool.deleteVolume("first");
      // takes whatever has been given back
      pool.createVolume(VolumeSpecification.of("other", 16 << 20, Redundancy.NONE));
      try (ThinVolume other = pool.openVolume("other", Optional.empty())) {
        for (int at = 0; at < 16 << 20; at += 1 << 20) {
          other.write(at, ByteBuffer.allocate(1 << 20).put(0, (byte) 1));
          other.flush();
        }
      }
      try (ThinVolume clone = pool.openVolume("clone", Optional.empty())) {
        verify(clone, data, "clone");
      }
      pool.deleteVolume("other");
    }
    try (Pool pool = Pool.open(disks, OPTIONS);
        ThinVolume clone = pool.openVolume("clone", Optional.empty())) {
      verify(clone, data, "clone after opening");
      assertThat(pool.scrub().lost()).isZero();
    }
  }

  private static String pick(Random random, Map<String, ?> map) {
    List<String> names = map.keySet().stream().sorted().toList();
    return names.get(random.nextInt(names.size()));
  }

  private static void change(ThinVolume volume, byte[] model, Random random) throws IOException {
    int offset = random.nextInt(model.length);
    int length =
        Math.min(
            model.length - offset,
            random.nextBoolean() ? 1 + random.nextInt(20_000) : 1 + random.nextInt(500_000));
    switch (random.nextInt(10)) {
      case 0, 1, 2, 3 -> {
        byte[] data = new byte[length];
        if (random.nextBoolean()) {
          random.nextBytes(data);
        } else {
          Arrays.fill(data, (byte) random.nextInt());
        }
        ByteBuffer source = random.nextBoolean() ? ByteBuffer.wrap(data) : direct(data);
        volume.write(offset, source);
        System.arraycopy(data, 0, model, offset, length);
      }
      case 4 -> {
        volume.writeZeroes(offset, length, random.nextBoolean());
        Arrays.fill(model, offset, offset + length, (byte) 0);
      }
      case 5 -> {
        volume.discard(offset, length);
        ByteBuffer now = ByteBuffer.allocate(length);
        volume.read(offset, now);
        System.arraycopy(now.array(), 0, model, offset, length);
      }
      case 6 -> volume.flush();
      default -> {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        volume.read(offset, bytes);
        int wrong =
            Arrays.mismatch(bytes.array(), Arrays.copyOfRange(model, offset, offset + length));
        assertThat(wrong).as("first wrong byte from %d", offset).isEqualTo(-1);
      }
    }
  }

  private static ByteBuffer direct(byte[] data) {
    return ByteBuffer.allocateDirect(data.length).put(data).flip();
  }

  private void changeVersions(Pool pool, String name, Random random, Optional<char[]> passphrase)
      throws IOException {
    Map<String, byte[]> own = snapshots.getOrDefault(name, new HashMap<>());
    byte[] model = volumes.getOrDefault(name, new byte[0]);
    switch (random.nextInt(7)) {
      case 0, 1 -> {
        String snapshot = "s" + random.nextInt(1000);
        if (!own.containsKey(snapshot)) {
          pool.snapshot(name, snapshot);
          own.put(snapshot, model.clone());
        }
      }
      case 2 -> {
        if (!own.isEmpty()) {
          String snapshot = pick(random, own);
          pool.rollBack(name, snapshot);
          volumes.put(name, own.getOrDefault(snapshot, model).clone());
        }
      }
      case 3 -> {
        if (!own.isEmpty()) {
          String snapshot = pick(random, own);
          pool.deleteSnapshot(name, snapshot);
          own.remove(snapshot);
        }
      }
      case 4 -> {
        String copy = "clone" + random.nextInt(1000);
        if (!own.isEmpty() && volumes.size() < 4 && !volumes.containsKey(copy)) {
          String snapshot = pick(random, own);
          pool.cloneVolume(name, snapshot, copy);
          volumes.put(copy, own.getOrDefault(snapshot, model).clone());
          snapshots.put(copy, new HashMap<>());
        }
      }
      case 5 -> {
        if (volumes.size() > 1) {
          pool.deleteVolume(name);
          volumes.remove(name);
          snapshots.remove(name);
        }
      }
      default -> {
        int newSize =
            Math.max(512, Math.min(2 * SIZE, model.length + 512 * (random.nextInt(2000) - 900)));
        try (ThinVolume volume = pool.openVolume(name, passphrase)) {
          volume.resize(newSize);
        }
        volumes.put(name, Arrays.copyOf(model, newSize));
      }
    }
  }

  private void verifyAll(Pool pool, Optional<char[]> passphrase) throws IOException {
    for (Map.Entry<String, byte[]> volume : volumes.entrySet()) {
      try (ThinVolume open = pool.openVolume(volume.getKey(), passphrase)) {
        verify(open, volume.getValue(), volume.getKey());
      }
      Map<String, byte[]> own = snapshots.getOrDefault(volume.getKey(), Map.of());
      for (Map.Entry<String, byte[]> snapshot : own.entrySet()) {
        try (ThinVolume open = pool.openSnapshot(volume.getKey(), snapshot.getKey(), passphrase)) {
          verify(open, snapshot.getValue(), volume.getKey() + "@" + snapshot.getKey());
        }
      }
    }
  }

  private static void verify(ThinVolume volume, byte[] model, String what) throws IOException {
    assertThat(volume.sizeBytes()).as(what).isEqualTo(model.length);
    ByteBuffer bytes = ByteBuffer.allocate(model.length);
    volume.read(0, bytes);
    assertThat(Arrays.mismatch(bytes.array(), model)).as(what).isEqualTo(-1);
  }
}
