package io.anillo.storage.crash;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.Images;
import io.anillo.storage.peer.Peer;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolMaintenance;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeSpecification;
import io.anillo.storage.qcow2.Qcow2Check;
import io.anillo.storage.qcow2.Qcow2Creator;
import io.anillo.storage.qcow2.Qcow2Image;
import io.anillo.storage.qcow2.Qcow2Options;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code kill -9} of a process that writes: what it had flushed is there. */
class KilledProcessTest {
  private static final int KILLS = Integer.getInteger("anillo.kills", 2);
  private static final int BLOCK = CrashingWriter.BLOCK;
  private static final int BLOCKS = CrashingWriter.BLOCKS;

  @TempDir Path folder;

  private final long seed = Long.getLong("anillo.seed", System.nanoTime());
  private final Random random = new Random(seed);

  /** Per block: the values that it may have. */
  private final List<Set<Integer>> allowed = new ArrayList<>();

  private final int[] latest = new int[BLOCKS];
  private final Map<String, int[]> snapshots = new HashMap<>();

  KilledProcessTest() {
    for (int i = 0; i < BLOCKS; i++) {
      allowed.add(new HashSet<>(Set.of(0)));
    }
  }

  private void runAndKill(String kind, List<Path> files) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                ProcessHandle.current().info().command().orElse("java"),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                CrashingWriter.class.getName(),
                kind,
                Long.toString(random.nextLong())));
    files.forEach(file -> command.add(file.toString()));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    int lines = 20 + random.nextInt(1500);
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        take(line);
        if (--lines == 0) {
          // the handle's, which leaves what was said readable
          process.toHandle().destroyForcibly();
        }
      }
    }
    process.waitFor();
    assertThat(lines).as("the writer ended by itself").isLessThanOrEqualTo(0);
  }

  private void take(String line) {
    String[] words = line.split(" ");
    switch (words[0]) {
      case "write" -> {
        // the last line may be cut short, and then nothing of it was written
        if (words.length == 3) {
          int block = Integer.parseInt(words[1]);
          latest[block] = Integer.parseInt(words[2]);
          allowed.get(block).add(latest[block]);
        }
      }
      case "snapshot" -> {
        snapshots.put(words[1], latest.clone());
        settle();
      }
      case "flushed" -> settle();
      default -> throw new AssertionError(line);
    }
  }

  private void settle() {
    for (int b = 0; b < BLOCKS; b++) {
      allowed.set(b, new HashSet<>(Set.of(latest[b])));
    }
  }

  private void verify(BlockDevice device, String what) throws IOException {
    for (int b = 0; b < BLOCKS; b++) {
      int found = read(device, b, what);
      assertThat(allowed.get(b)).as("%s, block %d", what, b).contains(found);
      latest[b] = found;
    }
    settle();
  }

  private static int read(BlockDevice device, int block, String what) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(BLOCK);
    device.read((long) block * BLOCK, bytes);
    int first = bytes.getInt(0);
    for (int i = 0; i < BLOCK; i += 4) {
      assertThat(bytes.getInt(i)).as("%s, block %d is torn", what, block).isEqualTo(first);
    }
    return first;
  }

  @ParameterizedTest
  @ValueSource(strings = {"mirror:2", "parity:2+1"})
  void pool(String redundancy) throws Exception {
    System.out.println("seed " + seed);
    List<Path> files = new ArrayList<>();
    List<Disk> disks = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      files.add(folder.resolve("disk" + i));
      disks.add(FileDisk.create(files.get(i), 64 << 20));
    }
    try (Pool pool = Pool.create("test", disks, PoolOptions.DEFAULT)) {
      pool.createVolume(
          VolumeSpecification.of("volume", (long) BLOCKS * BLOCK, Redundancy.parse(redundancy)));
    }
    for (int i = 0; i < KILLS; i++) {
      String what = "kill " + i + " of seed " + seed;
      runAndKill("pool", files);
      disks.clear();
      for (Path file : files) {
        disks.add(FileDisk.open(file, FileDisk.Mode.READ_WRITE));
      }
      try (Pool pool = Pool.open(disks, PoolOptions.DEFAULT)) {
        try (ThinVolume volume = pool.openVolume("volume", Optional.empty())) {
          verify(volume, what);
        }
        for (Map.Entry<String, int[]> snapshot : snapshots.entrySet()) {
          try (ThinVolume held = pool.openSnapshot("volume", snapshot.getKey(), Optional.empty())) {
            for (int b = 0; b < BLOCKS; b++) {
              assertThat(read(held, b, what)).as(what).isEqualTo(snapshot.getValue()[b]);
            }
          }
          pool.deleteSnapshot("volume", snapshot.getKey());
        }
        snapshots.clear();
        PoolMaintenance.ScrubResult scrub = pool.scrub();
        assertThat(scrub.healed()).as(what).isZero();
        assertThat(scrub.lost()).as(what).isZero();
      }
    }
  }

  @Test
  void qcow2() throws Exception {
    System.out.println("seed " + seed);
    Path image = folder.resolve("image.qcow2");
    try (FileDisk disk = FileDisk.create(image, 0)) {
      Qcow2Creator.create(disk, (long) BLOCKS * BLOCK, Qcow2Options.DEFAULT.withClusterBytes(4096));
    }
    for (int i = 0; i < KILLS; i++) {
      String what = "kill " + i + " of seed " + seed;
      runAndKill("qcow2", List.of(image));
      try (FileDisk disk = FileDisk.open(image, FileDisk.Mode.READ_WRITE)) {
        assertThat(Qcow2Check.run(disk, Qcow2Check.Repair.NOTHING).corruptions()).as(what).isZero();
      }
      for (Map.Entry<String, int[]> snapshot : snapshots.entrySet()) {
        Images.Options held = Images.Options.READ_ONLY.atSnapshot(Optional.of(snapshot.getKey()));
        try (BlockDevice device = Images.open(image, held)) {
          for (int b = 0; b < BLOCKS; b++) {
            assertThat(read(device, b, what)).as(what).isEqualTo(snapshot.getValue()[b]);
          }
        }
      }
      try (Qcow2Image device = (Qcow2Image) Images.open(image, Images.Options.READ_WRITE)) {
        verify(device, what);
        for (String name : snapshots.keySet()) {
          device.snapshots().delete(name);
        }
        snapshots.clear();
      }
    }
    try (FileDisk disk = FileDisk.open(image, FileDisk.Mode.READ_WRITE)) {
      Qcow2Check.run(disk, Qcow2Check.Repair.ALL);
    }
    Peer.require("qemu-img");
    Peer.succeed("qemu-img", "check", image);
  }
}
