package io.anillo.cli.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.boot.BootLoader;
import io.anillo.vmm.boot.BootRequest;
import io.anillo.vmm.boot.LoadedKernel;
import io.anillo.vmm.boot.MemoryRegion;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveInputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The real default guest, from the user's cache; made there first when apt can. */
class DefaultGuestTest {
  private static final List<DefaultGuest> GUEST = new ArrayList<>();

  @BeforeAll
  static void prepare() {
    try {
      GUEST.add(DefaultGuest.get(GuestCache.ofUser(), false, Progress.SILENT));
    } catch (ImageException e) {
      assumeTrue(false, "the default guest cannot be made here: " + e.getMessage());
    }
  }

  private static Map<String, byte[]> files() throws IOException {
    Map<String, byte[]> files = new HashMap<>();
    try (InputStream in = Files.newInputStream(GUEST.getFirst().initialRamDisk());
        CpioArchiveInputStream archive = new CpioArchiveInputStream(in)) {
      for (CpioArchiveEntry entry = archive.getNextEntry();
          entry != null;
          entry = archive.getNextEntry()) {
        files.put(entry.getName(), archive.readAllBytes());
      }
    }
    return files;
  }

  @Test
  void initialRamDiskHasBusyboxInitAndDriversInLoadingOrder() throws IOException {
    Map<String, byte[]> files = files();
    assertThat(files.get("bin/busybox")).startsWith(0x7F, 'E', 'L', 'F');
    assertThat(files.get("init")).asString().startsWith("#!/bin/busybox sh");
    List<String> order =
        new String(files.get("lib/modules/order"), StandardCharsets.UTF_8).lines().toList();
    assertThat(order)
        .extracting(path -> path.substring(path.lastIndexOf('/') + 1))
        .containsSubsequence("virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "virtio_blk.ko");
    assertThat(order).allSatisfy(path -> assertThat(files).containsKey("lib/modules/" + path));
  }

  @Test
  void itsKernelIsEnteredIn64BitMode() throws IOException, BootException {
    GuestMemory memory = new GuestMemory(512 << 20);
    CpuState state = new CpuState();
    LoadedKernel kernel = load(memory, state, Files.readAllBytes(GUEST.getFirst().kernel()));
    assertThat(kernel.format()).isEqualTo("Linux bzImage, 64-bit entry");
    assertThat(kernel.version()).contains("-cloud-amd64");
    assertThat(state.code64()).isTrue();
    memory.close();
  }

  @Test
  void everyTruncationOfItsKernelIsRefused() throws IOException {
    GuestMemory memory = new GuestMemory(512 << 20);
    byte[] image = Files.readAllBytes(GUEST.getFirst().kernel());
    for (int length = 0; length < image.length - 0x10000; length += 1 + image.length / 50) {
      byte[] cut = java.util.Arrays.copyOf(image, length);
      org.assertj.core.api.Assertions.assertThatThrownBy(() -> load(memory, new CpuState(), cut))
          .isInstanceOf(BootException.class);
    }
    memory.close();
  }

  private static LoadedKernel load(GuestMemory memory, CpuState state, byte[] kernel)
      throws BootException {
    return BootLoader.load(
        memory,
        state,
        new BootRequest(
            ByteBuffer.wrap(kernel),
            ByteBuffer.allocate(0),
            DefaultGuest.COMMAND_LINE,
            List.of(
                new MemoryRegion(0, 0xA0000, MemoryRegion.Kind.USABLE),
                new MemoryRegion(0x100000, (512 << 20) - 0x100000, MemoryRegion.Kind.USABLE)),
            0));
  }
}
