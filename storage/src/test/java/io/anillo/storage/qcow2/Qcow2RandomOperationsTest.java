package io.anillo.storage.qcow2;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.Extent;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.Images;
import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Random operations on images of all layouts, against an array in memory and QEMU's tools. */
class Qcow2RandomOperationsTest {
  private static final int OPERATIONS = Integer.getInteger("anillo.operations", 250);
  private static final int SEQUENCES = Integer.getInteger("anillo.sequences", 1);

  @TempDir Path folder;

  static List<Qcow2Options> layouts() {
    List<Qcow2Options> layouts = new ArrayList<>();
    layouts.add(Qcow2Options.DEFAULT);
    layouts.add(Qcow2Options.DEFAULT.withBacking("base.raw", "raw"));
    layouts.add(Qcow2Options.DEFAULT.withClusterBytes(512));
    layouts.add(Qcow2Options.DEFAULT.withClusterBytes(4096).withBacking("base.raw", "raw"));
    layouts.add(Qcow2Options.DEFAULT.withClusterBytes(2 << 20));
    layouts.add(new Qcow2Options(2, 4096, 16, false, false, false, null, null));
    layouts.add(new Qcow2Options(2, 65536, 16, false, false, false, "base.raw", "raw"));
    layouts.add(new Qcow2Options(3, 4096, 16, true, false, true, null, null));
    layouts.add(new Qcow2Options(3, 16384, 16, false, true, false, null, null));
    layouts.add(new Qcow2Options(3, 65536, 16, false, true, true, "base.raw", "raw"));
    for (int bits : new int[] {4, 8, 32, 64}) {
      layouts.add(new Qcow2Options(3, 4096, bits, false, false, false, null, null));
    }
    layouts.add(new Qcow2Options(3, 512, 64, false, false, false, "base.raw", "raw"));
    return layouts;
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void everyByteIsWhatWasLastWritten(Qcow2Options options) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    for (int i = 0; i < SEQUENCES; i++) {
      System.out.println("seed " + (seed + i) + " for " + options);
      runSequence(options, new Random(seed + i));
    }
  }

  private void runSequence(Qcow2Options options, Random random) throws IOException {
    int size = 3 << 20;
    byte[] model = new byte[size];
    if (options.backingFile() != null) {
      byte[] base = new byte[2 << 20];
      random.nextBytes(base);
      Arrays.fill(base, 300_000, 500_000, (byte) 0);
      Files.write(folder.resolve("base.raw"), base);
      System.arraycopy(base, 0, model, 0, base.length);
    }
    Path path = folder.resolve("image.qcow2");
    Files.deleteIfExists(path);
    try (FileDisk disk = FileDisk.create(path, 0)) {
      Qcow2Creator.create(disk, size, options);
    }
    Map<String, byte[]> snapshots = new HashMap<>();
    BlockDevice image = Images.open(path, Images.Options.READ_WRITE);
    try {
      for (int i = 0; i < OPERATIONS; i++) {
        int offset = random.nextInt(model.length);
        int length = Math.min(model.length - offset, length(random));
        switch (random.nextInt(20)) {
          case 0, 1, 2, 3, 4, 5, 6, 7 -> write(image, model, offset, length, random);
          case 8, 9, 10, 11 -> verify(image, model, offset, length);
          case 12, 13 -> {
            image.writeZeroes(offset, length, random.nextBoolean());
            Arrays.fill(model, offset, offset + length, (byte) 0);
          }
          case 14 -> {
            image.discard(offset, length);
            byte[] now = read(image, offset, length);
            System.arraycopy(now, 0, model, offset, length);
          }
          case 15 -> image.flush();
          case 16 -> {
            image.close();
            Qcow2Check.Result result = check(path);
            assertThat(result.corruptions()).as(result.messages().toString()).isZero();
            assertThat(result.leaks()).as(result.messages().toString()).isZero();
            image = Images.open(path, Images.Options.READ_WRITE);
          }
          case 17 -> model = changeSnapshots(image, model, snapshots, random);
          case 18 -> {
            if (random.nextInt(4) == 0 && model.length < 16 << 20) {
              int newSize = model.length + 512 * (1 + random.nextInt(2000));
              image.resize(newSize);
              model = Arrays.copyOf(model, newSize);
            } else if (random.nextInt(4) == 0 && snapshots.isEmpty()) {
              int newSize = Math.max(1 << 20, model.length - 512 * random.nextInt(2000));
              image.resize(newSize);
              model = Arrays.copyOf(model, newSize);
            }
          }
          default -> {
            Extent extent = image.status(offset, length);
            assertThat(extent.lengthBytes()).isBetween(1L, (long) length);
            if (extent.zero()) {
              assertThat(Arrays.copyOfRange(model, offset, offset + (int) extent.lengthBytes()))
                  .containsOnly(0);
            }
          }
        }
      }
      verify(image, model, 0, model.length);
    } finally {
      image.close();
    }
    compareWithQemu(path, model, snapshots);
  }

  private static int length(Random random) {
    return switch (random.nextInt(4)) {
      case 0 -> 512 * (1 + random.nextInt(8));
      case 1 -> 1 + random.nextInt(10_000);
      case 2 -> 4096 * (1 + random.nextInt(40));
      default -> 1 + random.nextInt(400_000);
    };
  }

  private static void write(BlockDevice image, byte[] model, int offset, int length, Random random)
      throws IOException {
    byte[] data = new byte[length];
    random.nextBytes(data);
    image.write(offset, ByteBuffer.wrap(data));
    System.arraycopy(data, 0, model, offset, length);
  }

  private static byte[] read(BlockDevice image, int offset, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    image.read(offset, bytes);
    return bytes.array();
  }

  private static void verify(BlockDevice image, byte[] model, int offset, int length)
      throws IOException {
    byte[] bytes = read(image, offset, length);
    int mismatch = Arrays.mismatch(bytes, Arrays.copyOfRange(model, offset, offset + length));
    assertThat(mismatch).as("first wrong byte from %d", offset).isEqualTo(-1);
  }

  private static byte[] changeSnapshots(
      BlockDevice image, byte[] model, Map<String, byte[]> snapshots, Random random)
      throws IOException {
    Qcow2Snapshots table = ((Qcow2Image) image).snapshots();
    int limit = ((Qcow2Image) image).header.refcountOrder == 0 ? 0 : 3;
    if (snapshots.size() < limit && random.nextBoolean()) {
      String name = "snapshot " + random.nextInt(1000);
      if (!snapshots.containsKey(name)) {
        table.create(name);
        snapshots.put(name, model.clone());
      }
    } else if (!snapshots.isEmpty()) {
      String name =
          snapshots.keySet().stream().sorted().toList().get(random.nextInt(snapshots.size()));
      if (random.nextBoolean()) {
        table.restore(name);
        return snapshots.getOrDefault(name, model).clone();
      }
      table.delete(name);
      snapshots.remove(name);
    }
    return model;
  }

  private static Qcow2Check.Result check(Path path) throws IOException {
    try (FileDisk disk = FileDisk.open(path, FileDisk.Mode.READ_ONLY)) {
      return Qcow2Check.run(disk, Qcow2Check.Repair.NOTHING);
    }
  }

  private void compareWithQemu(Path path, byte[] model, Map<String, byte[]> snapshots)
      throws IOException {
    Peer.require("qemu-img");
    Path raw = folder.resolve("model.raw");
    Files.write(raw, model);
    Peer.succeed("qemu-img", "check", "-f", "qcow2", path);
    Peer.succeed("qemu-img", "compare", "-f", "qcow2", "-F", "raw", path, raw);
    for (Map.Entry<String, byte[]> snapshot : snapshots.entrySet()) {
      Path out = folder.resolve("snapshot.raw");
      Peer.succeed(
          "qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-l", snapshot.getKey(), path, out);
      byte[] seen = Files.readAllBytes(out);
      // QEMU shows a snapshot with the present size of the disk
      int common = Math.min(seen.length, snapshot.getValue().length);
      assertThat(Arrays.mismatch(seen, 0, common, snapshot.getValue(), 0, common)).isEqualTo(-1);
      try (BlockDevice ours =
          Images.open(path, Images.Options.READ_ONLY.atSnapshot(Optional.of(snapshot.getKey())))) {
        assertThat(ours.sizeBytes()).isEqualTo(snapshot.getValue().length);
        verify(ours, snapshot.getValue(), 0, snapshot.getValue().length);
      }
    }
  }
}
