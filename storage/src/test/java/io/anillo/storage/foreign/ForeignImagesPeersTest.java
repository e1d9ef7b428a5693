package io.anillo.storage.foreign;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.Extent;
import io.anillo.storage.image.ImageCopy;
import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.image.Images;
import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Images of other platforms, made by QEMU, read here. */
class ForeignImagesPeersTest {
  private static final int SIZE = 12 << 20;

  @TempDir Path folder;
  private Path raw = Path.of("unset");

  @BeforeEach
  void makeContents() throws IOException {
    Peer.require("qemu-img");
    Random random = new Random(11);
    byte[] contents = new byte[SIZE];
    for (int at = 0; at < SIZE; at += 50_000) {
      int kind = random.nextInt(3);
      for (int i = at; i < Math.min(SIZE, at + 50_000); i++) {
        contents[i] = (byte) (kind == 0 ? 0 : kind == 1 ? i / 100 : random.nextInt());
      }
    }
    java.util.Arrays.fill(contents, 4 << 20, 8 << 20, (byte) 0);
    raw = folder.resolve("contents.raw");
    Files.write(raw, contents);
  }

  @ParameterizedTest
  @CsvSource({
    "vdi, VDI, static=off",
    "vdi, VDI, static=on",
    "vpc, VHD, 'subformat=dynamic,force_size=on'",
    "vpc, VHD, 'subformat=fixed,force_size=on'",
    "vpc, VHD, subformat=dynamic",
    "vhdx, VHDX, 'subformat=dynamic,block_size=4M'",
    "vhdx, VHDX, 'subformat=fixed,block_size=1M'",
    "vhdx, VHDX, 'subformat=dynamic,block_size=2M'",
    "vmdk, VMDK, subformat=monolithicSparse",
    "vmdk, VMDK, subformat=monolithicFlat",
    "vmdk, VMDK, subformat=twoGbMaxExtentSparse",
    "vmdk, VMDK, subformat=twoGbMaxExtentFlat",
    "vmdk, VMDK, subformat=streamOptimized",
    "vmdk, VMDK, 'subformat=monolithicSparse,zeroed_grain=on'",
  })
  void imagesOfOtherPlatformsReadTheSame(String format, ImageFormat known, String option)
      throws IOException {
    Path image = folder.resolve("image." + format);
    Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", format, "-o", option, raw, image);
    try (BlockDevice expected = Images.open(raw, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(image, Images.Options.READ_ONLY.as(Optional.of(known)))) {
      assertThat(actual.sizeBytes()).isGreaterThanOrEqualTo(SIZE);
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
      assertThat(actual.readOnly()).isTrue();
      if (!option.contains("ixed") && !option.contains("Flat") && !option.contains("static=on")) {
        Extent hole = actual.status(5 << 20, 1 << 20);
        assertThat(hole.zero()).as("the middle is not stored").isTrue();
      }
    }
    try (BlockDevice recognised = Images.open(image, Images.Options.READ_ONLY)) {
      assertThat(recognised.sizeBytes()).isGreaterThanOrEqualTo(SIZE);
    }
    assertThatThrownBy(() -> Images.open(image, Images.Options.READ_WRITE).close())
        .hasMessageContaining("can only be read");
    // and onwards into our own format, for QEMU to compare
    Path copy = folder.resolve("copy.raw");
    try (BlockDevice source = Images.open(image, Images.Options.READ_ONLY)) {
      io.anillo.storage.disk.FileDisk.create(copy, source.sizeBytes()).close();
      try (BlockDevice target = Images.open(copy, Images.Options.READ_WRITE)) {
        ImageCopy.copy(source, target, done -> {});
      }
    }
    Peer.succeed("qemu-img", "compare", "-f", format, "-F", "raw", image, copy);
  }

  @Test
  void overlaysOfVmdkShowTheirParent() throws IOException {
    Peer.require("qemu-io");
    Path base = folder.resolve("base.vmdk");
    Path top = folder.resolve("top.vmdk");
    Peer.succeed("qemu-img", "convert", "-O", "vmdk", raw, base);
    Peer.succeed("qemu-img", "create", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", top);
    Peer.succeed("qemu-io", "-f", "vmdk", "-c", "write -P 77 1M 200k", top);
    Path flat = folder.resolve("flat.raw");
    Peer.succeed("qemu-img", "convert", "-f", "vmdk", "-O", "raw", top, flat);
    try (BlockDevice expected = Images.open(flat, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(top, Images.Options.READ_ONLY)) {
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
      ByteBuffer bytes = ByteBuffer.allocate(1000);
      actual.read(1 << 20, bytes);
      assertThat(bytes.array()).containsOnly(77);
    }
  }

  @Test
  void descriptorsMayNotNameFilesElsewhere() throws IOException {
    Path image = folder.resolve("evil.vmdk");
    for (String name : new String[] {"/etc/passwd", "../contents.raw", "a/b"}) {
      Files.writeString(
          image,
          "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
              + "createType=\"monolithicFlat\"\nRW 2 FLAT \""
              + name
              + "\" 0\n");
      assertThatThrownBy(() -> Images.open(image, Images.Options.READ_ONLY).close())
          .hasMessageContaining("only files in its own folder");
    }
  }

  private Path appliance(String... diskFiles) throws IOException {
    return applianceOf("", diskFiles);
  }

  private Path applianceOf(String attributes, String... diskFiles) throws IOException {
    Path ova = folder.resolve("appliance.ova");
    StringBuilder references = new StringBuilder();
    StringBuilder disks = new StringBuilder();
    for (int i = 0; i < diskFiles.length; i++) {
      references.append(
          "<File ovf:id=\"file%d\" ovf:href=\"%s\" %s/>".formatted(i, diskFiles[i], attributes));
      disks.append(
          "<Disk ovf:diskId=\"d%d\" ovf:fileRef=\"file%d\" ovf:capacity=\"12582912\"/>"
              .formatted(i, i));
    }
    String description =
        "<?xml version=\"1.0\"?><Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\""
            + " xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"><References>"
            + references
            + "</References><DiskSection><Info>disks</Info>"
            + disks
            + "</DiskSection></Envelope>";
    try (OutputStream out = Files.newOutputStream(ova);
        TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      put(tar, "appliance.ovf", description.getBytes(StandardCharsets.UTF_8));
      for (String disk : diskFiles) {
        put(tar, disk, Files.readAllBytes(folder.resolve(disk)));
      }
    }
    return ova;
  }

  private static void put(TarArchiveOutputStream tar, String name, byte[] bytes)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(bytes.length);
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }

  @Test
  void disksOfAnApplianceAreReadInPlace() throws IOException {
    Path one = folder.resolve("one.vmdk");
    Peer.succeed("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, one);
    Files.copy(one, folder.resolve("two.vmdk"));
    Path single = appliance("one.vmdk");
    try (BlockDevice expected = Images.open(raw, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(single, Images.Options.READ_ONLY)) {
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
    }
    Path several = appliance("one.vmdk", "two.vmdk");
    assertThatThrownBy(() -> Images.open(several, Images.Options.READ_ONLY).close())
        .hasMessageContaining("one.vmdk, two.vmdk");
    Images.Options second = Images.Options.READ_ONLY.atSnapshot(Optional.of("two.vmdk"));
    try (BlockDevice expected = Images.open(raw, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(several, second)) {
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
    }
  }

  @Test
  void packedDisksOfAnApplianceAreUnpacked() throws IOException {
    Path disk = folder.resolve("disk.vmdk");
    Peer.succeed("qemu-img", "convert", "-O", "vmdk", raw, disk);
    Path packed = folder.resolve("disk.vmdk.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(packed))) {
      Files.copy(disk, out);
    }
    Path ova = applianceOf("ovf:compression=\"gzip\"", "disk.vmdk.gz");
    try (BlockDevice expected = Images.open(raw, Images.Options.READ_ONLY);
        BlockDevice actual = Images.open(ova, Images.Options.READ_ONLY)) {
      assertThat(ImageCopy.firstDifference(expected, actual)).isEqualTo(-1);
    }
    byte[] whole = Files.readAllBytes(packed);
    Files.write(packed, java.util.Arrays.copyOf(whole, whole.length / 2));
    Path cut = applianceOf("ovf:compression=\"gzip\"", "disk.vmdk.gz");
    assertThatThrownBy(() -> Images.open(cut, Images.Options.READ_ONLY).close())
        .hasMessageContaining("cannot be unpacked");
    Path unknown = applianceOf("ovf:compression=\"rot13\"", "disk.vmdk.gz");
    assertThatThrownBy(() -> Images.open(unknown, Images.Options.READ_ONLY).close())
        .hasMessageContaining("rot13");
  }
}
