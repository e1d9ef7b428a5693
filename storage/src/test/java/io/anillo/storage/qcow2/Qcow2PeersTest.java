package io.anillo.storage.qcow2;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.ImageCopy;
import io.anillo.storage.image.Images;
import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Images made by QEMU are read here, and images made here are read by QEMU. */
class Qcow2PeersTest {
  private static final int SIZE = 6 << 20;

  @TempDir Path folder;
  private Path raw = Path.of("unset");

  @BeforeEach
  void makeContents() throws IOException {
    Peer.require("qemu-img", "qemu-io");
    Random random = new Random(7);
    byte[] contents = new byte[SIZE];
    for (int at = 0; at < SIZE; at += 10_000) {
      int kind = random.nextInt(3);
      for (int i = at; i < Math.min(SIZE, at + 10_000); i++) {
        contents[i] = (byte) (kind == 0 ? 0 : kind == 1 ? i / 100 : random.nextInt());
      }
    }
    raw = folder.resolve("contents.raw");
    Files.write(raw, contents);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "compat=1.1",
        "compat=0.10",
        "compression_type=zstd",
        "cluster_size=512",
        "cluster_size=2M",
        "extended_l2=on",
        "lazy_refcounts=on",
        "refcount_bits=1",
        "preallocation=metadata"
      })
  void imagesOfQemuReadTheSame(String option) throws IOException {
    for (String compressed : new String[] {"", "-c"}) {
      if (!compressed.isEmpty() && option.startsWith("preallocation")) {
        continue;
      }
      Path image = folder.resolve("qemu" + compressed + ".qcow2");
      if (compressed.isEmpty()) {
        Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", option, raw, image);
      } else {
        Peer.succeed(
            "qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", option, raw, image);
      }
      requireSame(image);
      // and stays sound when written here and there in turn
      try (BlockDevice ours = Images.open(image, Images.Options.READ_WRITE)) {
        ours.write(12345, ByteBuffer.wrap(new byte[300_000]));
      }
      Peer.succeed("qemu-img", "check", image);
      Peer.succeed("qemu-io", "-f", "qcow2", "-c", "write -P 17 1000k 200k", image);
      try (BlockDevice ours = Images.open(image, Images.Options.READ_ONLY)) {
        ByteBuffer bytes = ByteBuffer.allocate(200 << 10);
        ours.read(1000 << 10, bytes);
        assertThat(bytes.array()).containsOnly(17);
        ours.read(12345, bytes.clear());
        assertThat(bytes.array()).containsOnly(0);
      }
    }
  }

  private void requireSame(Path image) throws IOException {
    try (BlockDevice expected = Images.open(raw, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(image, Images.Options.READ_ONLY)) {
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void compressedCopiesReadTheSameInQemu(boolean zstd) throws IOException {
    Path image = folder.resolve("ours.qcow2");
    Qcow2Options options = new Qcow2Options(3, 65536, 16, false, false, zstd, null, null);
    try (FileDisk disk = FileDisk.create(image, 0)) {
      Qcow2Creator.create(disk, SIZE, options);
    }
    try (BlockDevice source = Images.open(raw, Images.Options.READ_ONLY);
        Qcow2Image target = (Qcow2Image) Images.open(image, Images.Options.READ_WRITE)) {
      ImageCopy.copyCompressed(source, target, done -> {});
    }
    Peer.succeed("qemu-img", "check", image);
    Peer.succeed("qemu-img", "compare", raw, image);
    assertThat(Files.size(image)).isLessThan(SIZE * 3 / 4);
  }

  @Test
  void chainsOfQemuReadTheSameAndCommitHere() throws IOException {
    Path base = folder.resolve("base.qcow2");
    Path top = folder.resolve("top.qcow2");
    Peer.succeed("qemu-img", "convert", "-O", "qcow2", raw, base);
    Peer.succeed("qemu-img", "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", top, "8M");
    Peer.succeed(
        "qemu-io", "-c", "write -P 3 100k 300k", "-c", "write -z 2M 1M", "-c", "write 7M 1k", top);
    Path flat = folder.resolve("flat.raw");
    Peer.succeed("qemu-img", "convert", "-O", "raw", top, flat);
    try (BlockDevice expected = Images.open(flat, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(top, Images.Options.READ_ONLY)) {
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
    }
    try (Qcow2Image overlay = (Qcow2Image) Images.open(top, Images.Options.READ_ONLY.alone());
        BlockDevice below = Images.open(base, Images.Options.READ_WRITE)) {
      ImageCopy.commit(overlay, below, done -> {});
    }
    Peer.succeed("qemu-img", "check", base);
    Peer.succeed("qemu-img", "compare", flat, base);
  }

  @Test
  void rebasedOverlaysReadTheSame() throws IOException {
    Path other = folder.resolve("other.raw");
    byte[] changed = Files.readAllBytes(raw);
    new Random(3).nextBytes(changed);
    Files.write(other, changed);
    Path top = folder.resolve("top.qcow2");
    Peer.succeed("qemu-img", "create", "-f", "qcow2", "-b", "contents.raw", "-F", "raw", top);
    Peer.succeed("qemu-io", "-c", "write -P 3 100k 300k", top);
    Path flat = folder.resolve("flat.raw");
    Peer.succeed("qemu-img", "convert", "-O", "raw", top, flat);
    for (Optional<Path> target : List.of(Optional.of(other), Optional.<Path>empty())) {
      Images.rebase(top, target.map(Path::toString), Optional.empty(), done -> {});
      Peer.succeed("qemu-img", "check", top);
      Peer.succeed("qemu-img", "compare", flat, top);
    }
  }

  @Test
  void brokenCountsAreRepaired() throws IOException {
    Path image = folder.resolve("broken.qcow2");
    Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image);
    try (FileDisk disk = FileDisk.open(image, FileDisk.Mode.READ_WRITE)) {
      Qcow2Header header = Qcow2Image.readHeader(new ImageFile(disk));
      long block = new ImageFile(disk).readWords(header.refcountTableOffset, 1)[0];
      disk.write(block + 20, ByteBuffer.wrap(new byte[30]));
      disk.write(block + 400, ByteBuffer.wrap(new byte[] {0, 5}));
      Qcow2Check.Result found = Qcow2Check.run(disk, Qcow2Check.Repair.NOTHING);
      assertThat(found.corruptions()).isPositive();
      Qcow2Check.run(disk, Qcow2Check.Repair.ALL);
      assertThat(Qcow2Check.run(disk, Qcow2Check.Repair.NOTHING).clean()).isTrue();
      // the whole structure gone
      disk.write(header.refcountTableOffset, ByteBuffer.wrap(new byte[8]));
      Qcow2Check.run(disk, Qcow2Check.Repair.ALL);
    }
    Peer.succeed("qemu-img", "check", image);
    Peer.succeed("qemu-img", "compare", raw, image);
  }
}
