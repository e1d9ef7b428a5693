package io.anillo.storage.image;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.Extent;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.foreign.ChildImages;
import io.anillo.storage.peer.Peer;
import io.anillo.storage.qcow2.Qcow2Check;
import io.anillo.storage.qcow2.Qcow2Creator;
import io.anillo.storage.qcow2.Qcow2Image;
import io.anillo.storage.qcow2.Qcow2Options;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Images with random damage: whatever is in them, opening, reading, checking, repairing and writing
 * ends soon, in an {@link IOException} at worst, and takes little memory.
 */
class HostileImagesTest {
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 120);
  private static final int SIZE = 1 << 20;
  private static final long MOST_READ = 8 << 20;

  @TempDir Path folder;

  private byte[] original(String kind) throws IOException {
    Path raw = folder.resolve("raw");
    byte[] contents = new byte[SIZE];
    new Random(5).nextBytes(contents);
    java.util.Arrays.fill(contents, SIZE / 4, SIZE / 2, (byte) 0);
    Files.write(raw, contents);
    Path made = folder.resolve("made");
    Files.deleteIfExists(made);
    if (kind.startsWith("qcow2")) {
      makeQcow2(kind, raw, made);
    } else if (kind.equals("ova")) {
      makeAppliance(raw, made);
    } else if (kind.endsWith("child") || kind.endsWith("crashed")) {
      Peer.require("qemu-img", "qemu-io");
      makeChild(kind, made);
    } else {
      Peer.require("qemu-img");
      String[] words = kind.split(" ");
      String options = words.length > 1 ? words[1] : "";
      if (options.isEmpty()) {
        Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", words[0], raw, made);
      } else {
        Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", words[0], "-o", options, raw, made);
      }
    }
    // VHDX is 8 MiB even when empty; most of it says nothing
    return Files.readAllBytes(made);
  }

  private void makeChild(String kind, Path made) throws IOException {
    Path base = folder.resolve("base.raw");
    Files.write(base, new byte[12 << 20]);
    byte[] contents =
        switch (kind) {
          case "vpc child" -> ChildImages.vhd(folder, base, made);
          case "vdi child" -> ChildImages.vdi(folder, base, made);
          case "vhdx child" -> ChildImages.vhdx(folder, base, made);
          default -> {
            ChildImages.crashedVhdx(folder, made);
            yield new byte[12 << 20];
          }
        };
    assertThat(contents).hasSize(12 << 20);
  }

  private static void makeAppliance(Path raw, Path made) throws IOException {
    Path disk = raw.resolveSibling("disk.vmdk");
    Peer.require("qemu-img");
    Peer.succeed("qemu-img", "convert", "-O", "vmdk", raw, disk);
    String description =
        "<Envelope><References><File id='a' href='disk.vmdk'/></References>"
            + "<DiskSection><Disk fileRef='a'/></DiskSection></Envelope>";
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(Files.newOutputStream(made))) {
      for (String name : List.of("a.ovf", "disk.vmdk")) {
        byte[] bytes =
            name.equals("a.ovf")
                ? description.getBytes(StandardCharsets.UTF_8)
                : Files.readAllBytes(disk);
        TarArchiveEntry entry = new TarArchiveEntry(name);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
      }
    }
  }

  private static void makeQcow2(String kind, Path raw, Path made) throws IOException {
    boolean extended = kind.contains("extended");
    Qcow2Options options =
        new Qcow2Options(
            3,
            extended ? 16384 : 4096,
            16,
            kind.contains("lazy"),
            extended,
            kind.contains("zstd"),
            null,
            null);
    try (FileDisk disk = FileDisk.create(made, 0)) {
      Qcow2Creator.create(disk, SIZE, options);
    }
    try (BlockDevice source = Images.open(raw, Images.Options.READ_ONLY);
        Qcow2Image target = (Qcow2Image) Images.open(made, Images.Options.READ_WRITE)) {
      if (kind.contains("compressed")) {
        ImageCopy.copyCompressed(source, target, done -> {});
      } else {
        ImageCopy.copy(source, target, done -> {});
        target.snapshots().create("one");
        target.write(1000, ByteBuffer.allocate(100_000));
        target.snapshots().create("two");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "qcow2",
        "qcow2 lazy",
        "qcow2 extended",
        "qcow2 compressed",
        "qcow2 compressed zstd",
        "vdi",
        "vpc",
        "vpc child",
        "vdi child",
        "vhdx",
        "vhdx child",
        "vhdx crashed",
        "ova",
        "vmdk",
        "vmdk subformat=streamOptimized"
      })
  void damageEndsInOneSentence(String kind) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    byte[] original = original(kind);
    int refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
      Path image = folder.resolve("damaged");
      Files.write(image, damaged(original, random));
      ImageFormat format = ImageFormat.of(kind.split(" ")[0]);
      String what = kind + ", round " + i + " of seed " + seed;
      long seedOfUse = random.nextLong();
      AtomicReference<Throwable> end = new AtomicReference<>();
      Assertions.assertTimeoutPreemptively(
          Duration.ofSeconds(120),
          () -> {
            try {
              use(image, format, new Random(seedOfUse));
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

  private static byte[] damaged(byte[] original, Random random) {
    byte[] bytes = original.clone();
    int changes = 1 + random.nextInt(6);
    int head = Math.min(bytes.length, 1 << (9 + random.nextInt(12)));
    for (int i = 0; i < changes; i++) {
      int at = random.nextInt(random.nextInt(4) == 0 ? bytes.length : head);
      switch (random.nextInt(4)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) 0xff;
        case 2 -> bytes[at] = (byte) random.nextInt(256);
        default -> {
          int length = Math.min(bytes.length - at, 8);
          int from = random.nextInt(bytes.length - length);
          System.arraycopy(original, from, bytes, at, length);
        }
      }
    }
    if (random.nextInt(10) == 0) {
      return java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length));
    }
    return bytes;
  }

  private static void use(Path image, ImageFormat format, Random random) throws IOException {
    IOException first = null;
    List<Work> works =
        format == ImageFormat.QCOW2
            ? List.of(
                () -> read(image, format),
                () -> check(image, Qcow2Check.Repair.NOTHING),
                () -> write(image, random),
                () -> check(image, Qcow2Check.Repair.ALL),
                () -> read(image, format))
            : List.of(() -> read(image, format));
    for (Work work : works) {
      try {
        work.run();
      } catch (IOException sentence) {
        first = first == null ? sentence : first;
      }
    }
    if (first != null) {
      throw first;
    }
  }

  private interface Work {
    void run() throws IOException;
  }

  private static void read(Path image, ImageFormat format) throws IOException {
    Images.Options options = Images.Options.READ_ONLY.as(java.util.Optional.of(format));
    try (BlockDevice device = Images.open(image, options)) {
      ByteBuffer buffer = ByteBuffer.allocate(64 << 10);
      long read = 0;
      for (long at = 0; at < device.sizeBytes() && read < MOST_READ; ) {
        Extent extent = device.status(at, Math.min(device.sizeBytes() - at, 1 << 20));
        assertThat(extent.lengthBytes()).isPositive();
        int count = (int) Math.min(buffer.capacity(), extent.lengthBytes());
        device.read(at, buffer.clear().limit(count));
        read += count;
        at += count;
      }
    }
  }

  private static void check(Path image, Qcow2Check.Repair repair) throws IOException {
    try (FileDisk disk = FileDisk.open(image, FileDisk.Mode.READ_WRITE)) {
      Qcow2Check.run(disk, repair);
    }
  }

  private static void write(Path image, Random random) throws IOException {
    Images.Options options = Images.Options.READ_WRITE.as(java.util.Optional.of(ImageFormat.QCOW2));
    try (BlockDevice device = Images.open(image, options)) {
      for (int i = 0; i < 20 && device.sizeBytes() > 70_000; i++) {
        long offset = random.nextLong(Math.min(device.sizeBytes(), 4 << 20) - 65_536);
        switch (random.nextInt(4)) {
          case 0 -> device.writeZeroes(offset, 50_000, random.nextBoolean());
          case 1 -> device.flush();
          default -> device.write(offset, ByteBuffer.allocate(1 + random.nextInt(60_000)));
        }
      }
    }
  }

  @Test
  void headersThatPromiseTooMuchTakeNoMemory() throws IOException {
    Peer.require("qemu-img");
    for (String kind : List.of("vdi", "vpc", "vmdk", "qcow2")) {
      byte[] original = original(kind);
      for (int at = 0; at + 4 < 512; at += 4) {
        byte[] bytes = original.clone();
        ByteBuffer.wrap(bytes).putInt(at, 0x7fffffff);
        Path image = folder.resolve("large");
        Files.write(image, bytes);
        try {
          read(image, ImageFormat.of(kind.toLowerCase(Locale.ROOT)));
        } catch (IOException refused) {
          assertThat(refused.getMessage()).isNotBlank();
        }
      }
    }
  }
}
