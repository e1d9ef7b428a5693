package io.anillo.vmm.device.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RawFileDiskTest {
  private static final int SIZE = 4 << 20;

  @TempDir Path directory;

  private Path create() throws IOException {
    Path file = directory.resolve("disk.img");
    RawFileDisk.create(file, SIZE);
    return file;
  }

  private static long blocks(Path file) throws Exception {
    Process stat = new ProcessBuilder("stat", "-c", "%b", file.toString()).start();
    String text =
        new String(
            stat.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.US_ASCII);
    assertThat(stat.waitFor()).isZero();
    return Long.parseLong(text.trim());
  }

  @Test
  void randomOperationsMatchAModel() throws IOException {
    long seed = 99;
    Random random = new Random(seed);
    byte[] model = new byte[SIZE];
    Path file = create();
    try (RawFileDisk disk = RawFileDisk.open(file, false)) {
      for (int i = 0; i < 300; i++) {
        int from = random.nextInt(SIZE);
        int length =
            random.nextInt(Math.min(SIZE - from, random.nextInt(10) == 0 ? SIZE : 50_000) + 1);
        switch (random.nextInt(5)) {
          case 0, 1 -> {
            byte[] data = new byte[length];
            random.nextBytes(data);
            disk.write(from, ByteBuffer.wrap(data));
            System.arraycopy(data, 0, model, from, length);
          }
          case 2 -> {
            disk.writeZeroes(from, length, random.nextBoolean());
            Arrays.fill(model, from, from + length, (byte) 0);
          }
          case 3 -> disk.flush();
          default -> {
            byte[] data = new byte[length + 3];
            disk.read(from, ByteBuffer.wrap(data, 2, length));
            assertThat(Arrays.copyOfRange(data, 2, length + 2))
                .as("seed %d step %d", seed, i)
                .isEqualTo(Arrays.copyOfRange(model, from, from + length));
          }
        }
      }
      assertThat(disk.sizeBytes()).isEqualTo(SIZE);
    }
    assertThat(Files.readAllBytes(file)).isEqualTo(model);
  }

  @Test
  void discardedAndZeroedRangesBecomeHoles() throws Exception {
    assumeTrue(System.getProperty("os.name").equals("Linux"), "holes are punched on Linux only");
    Path file = create();
    try (RawFileDisk disk = RawFileDisk.open(file, false)) {
      assertThat(blocks(file)).isLessThan(64);
      disk.write(0, ByteBuffer.wrap(new byte[SIZE]));
      disk.flush();
      long full = blocks(file);
      assertThat(full).isGreaterThanOrEqualTo(SIZE / 512);
      disk.discard(0, SIZE / 2);
      assumeTrue(blocks(file) < full, "the file system of the temporary directory has no holes");
      disk.writeZeroes(SIZE / 2, SIZE / 2, true);
      assertThat(blocks(file)).isLessThan(64);
      assertThat(Files.size(file)).isEqualTo(SIZE);
    }
  }

  @Test
  void aSecondWriterIsRefused() throws IOException {
    Path file = create();
    try (RawFileDisk disk = RawFileDisk.open(file, false)) {
      assertThat(disk.readOnly()).isFalse();
      assertThatThrownBy(() -> RawFileDisk.open(file, false))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("in use");
      assertThatThrownBy(() -> RawFileDisk.open(file, true))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("in use");
    }
    RawFileDisk.open(file, false).close();
  }

  @Test
  void readersShareAndKeepWritersOut() throws IOException {
    Path file = create();
    try (RawFileDisk first = RawFileDisk.open(file, true);
        RawFileDisk second = RawFileDisk.open(file, true)) {
      assertThatThrownBy(() -> RawFileDisk.open(file, false)).hasMessageContaining("in use");
      assertThatThrownBy(() -> first.write(0, ByteBuffer.allocate(1)))
          .hasMessageContaining("reading only");
      second.read(0, ByteBuffer.allocate(512));
    }
    RawFileDisk.open(file, false).close();
  }

  @Test
  void anotherProcessKeepsUsOut() throws Exception {
    Path file = create();
    Path ready = directory.resolve("ready");
    Path source = directory.resolve("Holder.java");
    Files.writeString(
        source,
        """
        import java.nio.channels.FileChannel;
        import java.nio.file.*;
        class Holder {
          public static void main(String[] arguments) throws Exception {
            try (var channel = FileChannel.open(Path.of(arguments[0]), StandardOpenOption.WRITE)) {
              channel.lock();
              Files.createFile(Path.of(arguments[1]));
              System.in.read();
            }
          }
        }
        """);
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    Process holder =
        new ProcessBuilder(java, source.toString(), file.toString(), ready.toString())
            .redirectErrorStream(true)
            .start();
    try {
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      while (!Files.exists(ready) && holder.isAlive() && System.nanoTime() < deadline) {
        Thread.sleep(20);
      }
      assertThat(ready).exists();
      assertThatThrownBy(() -> RawFileDisk.open(file, false))
          .hasMessageContaining("in use by another machine");
    } finally {
      holder.getOutputStream().close();
      holder.waitFor(10, TimeUnit.SECONDS);
      holder.destroy();
    }
    try (RawFileDisk disk = RawFileDisk.open(file, false);
        FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      assertThat(disk.sizeBytes()).isEqualTo(SIZE);
      assertThatThrownBy(
              () -> {
                FileLock ignored = channel.tryLock();
              })
          .isInstanceOf(java.nio.channels.OverlappingFileLockException.class);
    }
  }

  @Test
  void requestsBeyondTheEndFailAndChangeNothing() throws IOException {
    Path file = create();
    try (RawFileDisk disk = RawFileDisk.open(file, false)) {
      assertThatThrownBy(() -> disk.write(SIZE - 10, ByteBuffer.allocate(11)))
          .hasMessageContaining("beyond");
      assertThatThrownBy(() -> disk.read(-1, ByteBuffer.allocate(1)))
          .hasMessageContaining("beyond");
      assertThatThrownBy(() -> disk.writeZeroes(1, Long.MAX_VALUE, true))
          .hasMessageContaining("beyond");
      assertThatThrownBy(() -> disk.discard(SIZE + 1L, 0)).hasMessageContaining("beyond");
    }
    assertThat(Files.size(file)).isEqualTo(SIZE);
  }

  @Test
  void whatCannotBeOpenedIsNamed() {
    assertThatThrownBy(() -> RawFileDisk.open(directory.resolve("none"), false))
        .hasMessageContaining("does not exist");
    assertThatThrownBy(() -> RawFileDisk.open(directory, false))
        .hasMessageContaining("is a directory");
    assertThatThrownBy(
            () -> {
              create();
              create();
            })
        .hasMessageContaining("exists already");
  }
}
