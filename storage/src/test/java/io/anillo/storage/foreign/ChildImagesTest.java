package io.anillo.storage.foreign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.Extent;
import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.image.Images;
import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Images that build on others, and one whose log has to be replayed. */
class ChildImagesTest {
  private static final int SIZE = 12 << 20;

  @TempDir Path folder;
  private Path raw = Path.of("unset");

  @BeforeEach
  void makeContents() throws IOException {
    Peer.require("qemu-img", "qemu-io");
    byte[] contents = new byte[SIZE];
    new Random(6).nextBytes(contents);
    Arrays.fill(contents, 8 << 20, 10 << 20, (byte) 0);
    raw = folder.resolve("contents.raw");
    Files.write(raw, contents);
  }

  private static byte[] read(Path image, ImageFormat format) throws IOException {
    try (BlockDevice device =
        Images.open(image, Images.Options.READ_ONLY.as(Optional.of(format)))) {
      ByteBuffer bytes = ByteBuffer.allocate((int) device.sizeBytes());
      // in uneven pieces, across blocks and sectors
      Random random = new Random(3);
      while (bytes.position() < bytes.capacity()) {
        int at = bytes.position();
        int count = Math.min(bytes.capacity() - at, 1 + random.nextInt(300_000));
        Extent extent = device.status(at, count);
        assertThat(extent.lengthBytes()).isBetween(1L, (long) count);
        device.read(at, bytes.limit(at + count));
        for (int i = at; extent.zero() && i < at + extent.lengthBytes(); i++) {
          assertThat(bytes.get(i)).isZero();
        }
      }
      return bytes.array();
    }
  }

  private static void same(byte[] actual, byte[] expected) {
    assertThat(Arrays.mismatch(actual, expected)).isEqualTo(-1);
  }

  @Test
  void childrenOfVhdShowTheirParent() throws IOException {
    Path child = folder.resolve("child.vhd");
    byte[] expected = ChildImages.vhd(folder, raw, child);
    same(read(child, ImageFormat.VHD), expected);
    Peer.succeed("qemu-img", "create", "-f", "vpc", folder.resolve("base.vhd"), "12M");
    assertThatThrownBy(() -> read(child, ImageFormat.VHD)).hasMessageContaining("is another");
    Files.delete(folder.resolve("base.vhd"));
    assertThatThrownBy(() -> read(child, ImageFormat.VHD)).hasMessageContaining("does not exist");
  }

  @Test
  void childrenOfVdiShowTheirParent() throws IOException {
    Path child = folder.resolve("child.vdi");
    byte[] expected = ChildImages.vdi(folder, raw, child);
    same(read(child, ImageFormat.VDI), expected);
    Files.delete(folder.resolve("base.vdi"));
    assertThatThrownBy(() -> read(child, ImageFormat.VDI)).hasMessageContaining("not beside it");
  }

  @Test
  void childrenOfVhdxShowTheirParent() throws IOException {
    Path child = folder.resolve("child.vhdx");
    byte[] expected = ChildImages.vhdx(folder, raw, child);
    same(read(child, ImageFormat.VHDX), expected);
    Peer.succeed("qemu-img", "create", "-f", "vhdx", folder.resolve("base.vhdx"), "12M");
    assertThatThrownBy(() -> read(child, ImageFormat.VHDX))
        .hasMessageContaining("was changed since");
  }

  @Test
  void aVhdxThatLostItsPowerIsReadWithItsLog() throws IOException {
    Path image = folder.resolve("crashed.vhdx");
    ChildImages.crashedVhdx(folder, image);
    byte[] before = Files.readAllBytes(image);
    byte[] ours = read(image, ImageFormat.VHDX);
    same(Files.readAllBytes(image), before);
    // QEMU replays the log when it opens the image for writing
    Peer.succeed("qemu-img", "check", "-f", "vhdx", "-r", "all", image);
    assertThat(Arrays.mismatch(Files.readAllBytes(image), before)).isNotEqualTo(-1);
    Path flat = folder.resolve("replayed.raw");
    Peer.succeed("qemu-img", "convert", "-f", "vhdx", "-O", "raw", image, flat);
    same(ours, Files.readAllBytes(flat));
    assertThat(ours[4 << 20]).isEqualTo((byte) 9);
    assertThat(ours[7050 << 10]).isEqualTo((byte) 8);
  }
}
