package io.anillo.storage.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.peer.Peer;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeSpecification;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Files and block devices, with the host's cache and past it, against a model in memory. */
class FileDiskTest {
  private static final int SIZE = (1 << 20) + 3 * 512;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(
      value = FileDisk.Mode.class,
      names = {"READ_WRITE", "READ_WRITE_DIRECT"})
  void filesHoldWhatWasWritten(FileDisk.Mode mode) throws IOException {
    Path file = folder.resolve("disk");
    FileDisk.create(file, SIZE).close();
    try (FileDisk disk = FileDisk.open(file, mode)) {
      exercise(disk, SIZE);
      disk.resize(SIZE + 512);
      assertThat(disk.sizeBytes()).isEqualTo(SIZE + 512);
      disk.resize(4096 + 512);
      assertThat(disk.sizeBytes()).isEqualTo(4096 + 512);
      assertThatThrownBy(() -> disk.read(4096, ByteBuffer.allocate(513)))
          .isInstanceOf(IOException.class);
    }
  }

  /** Writes, zeroes and reads at any place, aligned or not, from buffers of any kind. */
  private static void exercise(FileDisk disk, int size) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    byte[] model = new byte[size];
    for (int i = 0; i < 400; i++) {
      int unit = random.nextBoolean() ? 4096 : 512;
      int offset = random.nextInt(size / unit) * unit;
      int length = Math.min(size - offset, unit * (1 + random.nextInt(20)));
      ByteBuffer buffer = buffer(length, random);
      int start = buffer.position();
      switch (random.nextInt(8)) {
        case 0 -> {
          disk.punch(offset, length);
          Arrays.fill(model, offset, offset + length, (byte) 0);
        }
        case 1 -> {
          disk.zero(offset, length);
          Arrays.fill(model, offset, offset + length, (byte) 0);
        }
        case 2 -> disk.flush();
        case 3, 4, 5 -> {
          byte[] data = new byte[length];
          random.nextBytes(data);
          disk.write(offset, buffer.put(data).position(start));
          System.arraycopy(data, 0, model, offset, length);
        }
        default -> {
          disk.read(offset, buffer);
          byte[] found = new byte[length];
          buffer.get(start, found);
          assertThat(found).isEqualTo(Arrays.copyOfRange(model, offset, offset + length));
        }
      }
      assertThat(disk.sizeBytes()).isEqualTo(size);
    }
    ByteBuffer all = ByteBuffer.allocate(size);
    disk.read(0, all);
    assertThat(Arrays.mismatch(all.array(), model)).as("seed " + seed).isEqualTo(-1);
  }

  private static ByteBuffer buffer(int length, Random random) {
    ByteBuffer whole =
        random.nextBoolean()
            ? ByteBuffer.allocate(length + 100)
            : ByteBuffer.allocateDirect(length + 8192).alignedSlice(4096);
    int start = random.nextBoolean() ? 0 : 52;
    return whole.limit(start + length).position(start);
  }

  /** A loop device over a file, or a skipped test where there may be none. */
  private final class LoopDevice implements AutoCloseable {
    final Path path;

    LoopDevice(String name, int size) throws IOException {
      Peer.require("losetup");
      Path file = folder.resolve(name);
      FileDisk.create(file, size).close();
      Peer.Outcome made = Peer.run("losetup", "--find", "--show", file);
      Assumptions.assumeTrue(made.exitCode() == 0, "no loop devices may be made here");
      path = Path.of(made.output().strip());
    }

    @Override
    public void close() {
      Peer.succeed("losetup", "--detach", path);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = FileDisk.Mode.class,
      names = {"READ_WRITE", "READ_WRITE_DIRECT"})
  void blockDevicesHoldWhatWasWritten(FileDisk.Mode mode) throws IOException {
    try (LoopDevice device = new LoopDevice("device", 1 << 20);
        FileDisk disk = FileDisk.open(device.path, mode)) {
      assertThat(disk.sizeBytes()).isEqualTo(1 << 20);
      exercise(disk, 1 << 20);
      assertThatThrownBy(() -> disk.resize(2 << 20)).hasMessageContaining("cannot grow");
    }
  }

  @Test
  void blockDevicesMakeAPool() throws IOException {
    try (LoopDevice one = new LoopDevice("one", 32 << 20);
        LoopDevice two = new LoopDevice("two", 32 << 20)) {
      byte[] data = new byte[1 << 20];
      new Random(2).nextBytes(data);
      FileDisk first = FileDisk.open(one.path, FileDisk.Mode.READ_WRITE_DIRECT);
      FileDisk second = FileDisk.open(two.path, FileDisk.Mode.READ_WRITE_DIRECT);
      try (Pool pool = Pool.create("loop", List.of(first, second), PoolOptions.DEFAULT)) {
        pool.createVolume(VolumeSpecification.of("v", 8 << 20, Redundancy.parse("mirror:2")));
        try (ThinVolume volume = pool.openVolume("v", Optional.empty())) {
          volume.write(12_345, ByteBuffer.wrap(data));
        }
      }
      first = FileDisk.open(one.path, FileDisk.Mode.READ_WRITE);
      second = FileDisk.open(two.path, FileDisk.Mode.READ_WRITE);
      try (Pool pool = Pool.open(List.of(first, second), PoolOptions.DEFAULT);
          ThinVolume volume = pool.openVolume("v", Optional.empty())) {
        ByteBuffer found = ByteBuffer.allocate(data.length);
        volume.read(12_345, found);
        assertThat(found.array()).isEqualTo(data);
        assertThat(pool.scrub().lost()).isZero();
      }
    }
  }
}
