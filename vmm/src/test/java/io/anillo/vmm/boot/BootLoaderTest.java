package io.anillo.vmm.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BootLoaderTest {
  private static final byte[] RAM_DISK = "a RAM disk".getBytes(StandardCharsets.US_ASCII);

  private final GuestMemory memory = new GuestMemory(SyntheticImages.RAM_BYTES);
  private final CpuState state = new CpuState();

  @AfterEach
  void release() {
    memory.close();
  }

  private LoadedKernel load(ByteBuffer kernel) throws BootException {
    return BootLoader.load(
        memory, state, SyntheticImages.request(kernel, ByteBuffer.wrap(RAM_DISK)));
  }

  private String text(long address) {
    StringBuilder text = new StringBuilder();
    for (long at = address; memory.getByte(at) != 0; at++) {
      text.append((char) memory.getByte(at));
    }
    return text.toString();
  }

  private byte[] bytes(long address, int length) {
    byte[] bytes = new byte[length];
    memory.read(address, bytes, 0, length);
    return bytes;
  }

  @Test
  void linuxIsEnteredInLongModeWhenItHasA64BitEntry() throws BootException {
    LoadedKernel kernel = load(SyntheticImages.linux(true));

    assertThat(kernel)
        .isEqualTo(new LoadedKernel("Linux bzImage, 64-bit entry", "6.1.0-test", 0x100200));
    assertThat(state.rip).isEqualTo(0x100200);
    assertThat(state.code64()).isTrue();
    assertThat(state.cr0 & CpuState.CR0_PG).isNotZero();
    assertThat(state.rflags() & CpuState.IF).isZero();
    assertThat(state.segmentSelector[CpuState.CS]).isEqualTo(0x10);
    assertThat(state.segmentSelector[CpuState.DS]).isEqualTo(0x18);
    for (long address : new long[] {0, 0x7000, 0x100200, 0x3FFFFFFF, 0xFFFFFFFFL}) {
      assertThat(walk(address)).isEqualTo(address);
    }
  }

  /** Translates an address as the processor would, through 2 MiB pages only. */
  private long walk(long address) {
    long pointers = memory.getLong(state.cr3 + (address >>> 39 & 511) * 8);
    long directory = memory.getLong((pointers & -4096) + (address >>> 30 & 511) * 8);
    long page = memory.getLong((directory & -4096) + (address >>> 21 & 511) * 8);
    assertThat(pointers & directory & page & 3).isEqualTo(3);
    assertThat(page & 0x80).isEqualTo(0x80);
    return (page & -(1L << 21)) + (address & (1 << 21) - 1);
  }

  @Test
  void linuxIsEnteredInProtectedModeWhenItHasNo64BitEntry() throws BootException {
    load(SyntheticImages.linux(false));

    assertThat(state.rip).isEqualTo(0x100000);
    assertThat(state.cr0).isEqualTo(CpuState.CR0_PE | CpuState.CR0_ET);
    assertThat(state.efer).isZero();
    assertThat(state.segmentAccess[CpuState.CS]).isEqualTo(0xC09B);
    assertThat(state.segmentAccess[CpuState.SS]).isEqualTo(0xC093);
    assertThat(state.segmentLimit[CpuState.CS]).isEqualTo(0xFFFFFFFFL);
  }

  @Test
  void linuxFindsItsParametersInTheZeroPage() throws BootException {
    load(SyntheticImages.linux(true));

    long page = state.general[CpuState.RSI];
    assertThat(memory.getInt(page + 0x202)).isEqualTo(0x53726448);
    assertThat(memory.getByte(page + 0x210)).isEqualTo((byte) 0xFF);
    assertThat(text(memory.getInt(page + 0x228))).isEqualTo("console=ttyS0");
    assertThat(memory.getInt(page + 0x21C)).isEqualTo(RAM_DISK.length);
    int ramDisk = memory.getInt(page + 0x218);
    assertThat(bytes(ramDisk, RAM_DISK.length)).isEqualTo(RAM_DISK);
    assertThat(ramDisk % 4096).isZero();
    assertThat((long) ramDisk)
        .as("as high as possible, below the ACPI tables")
        .isEqualTo(SyntheticImages.RAM_BYTES - 0x10000 - 4096);
    assertThat(memory.getLong(page + 0x70)).isEqualTo(0xE0000);
    assertThat(memory.getByte(page + 0x1E8)).isEqualTo((byte) 4);
    assertThat(memory.getLong(page + 0x2D0 + 20)).isEqualTo(0x9FC00);
    assertThat(memory.getInt(page + 0x2D0 + 20 + 16)).isEqualTo(2);
    assertThat(bytes(0x100000, SyntheticImages.PAYLOAD.length)).isEqualTo(SyntheticImages.PAYLOAD);
  }

  @Test
  void descriptorTableInMemoryMatchesTheSegmentCaches() throws BootException {
    load(SyntheticImages.linux(true));

    assertThat(memory.getLong(state.gdtBase + 0x10)).isEqualTo(0x00AF9B000000FFFFL);
    assertThat(memory.getLong(state.gdtBase + 0x18)).isEqualTo(0x00CF93000000FFFFL);
    assertThat(memory.getLong(state.gdtBase + 0x20)).isEqualTo(0x00008B0000000067L);
  }

  @Test
  void elfWithPvhNoteIsEnteredAtTheNotesAddress() throws BootException {
    LoadedKernel kernel = load(SyntheticImages.pvh());

    assertThat(kernel.format()).isEqualTo("ELF64 kernel with a PVH entry");
    assertThat(state.rip).isEqualTo(0x200010);
    assertThat(state.segmentAccess[CpuState.CS]).isEqualTo(0xC09B);
    assertThat(bytes(0x200000, SyntheticImages.PAYLOAD.length)).isEqualTo(SyntheticImages.PAYLOAD);
    long info = state.general[CpuState.RBX];
    assertThat(memory.getInt(info)).isEqualTo(0x336EC578);
    assertThat(memory.getInt(info + 12)).as("modules").isEqualTo(1);
    long module = memory.getLong(info + 16);
    assertThat(bytes(memory.getLong(module), RAM_DISK.length)).isEqualTo(RAM_DISK);
    assertThat(memory.getLong(module + 8)).isEqualTo(RAM_DISK.length);
    assertThat(text(memory.getLong(info + 24))).isEqualTo("console=ttyS0");
    assertThat(memory.getLong(info + 32)).isEqualTo(0xE0000);
    assertThat(memory.getInt(info + 48)).isEqualTo(4);
    assertThat(memory.getLong(memory.getLong(info + 40) + 24)).isEqualTo(0x9FC00);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void multibootKernelGetsItsInformation(boolean elf) throws BootException {
    load(elf ? SyntheticImages.multibootElf() : SyntheticImages.multibootFlat());

    assertThat(state.rip).isEqualTo(elf ? 0x100020 : 0x200040);
    assertThat(state.general[CpuState.RAX]).isEqualTo(0x2BADB002);
    assertThat(state.cr0 & CpuState.CR0_PG).isZero();
    long payload = elf ? 0x100000 : 0x200100;
    assertThat(bytes(payload, SyntheticImages.PAYLOAD.length)).isEqualTo(SyntheticImages.PAYLOAD);
    long info = state.general[CpuState.RBX];
    assertThat(memory.getInt(info) & (1 | 4 | 8 | 64)).isEqualTo(1 | 4 | 8 | 64);
    assertThat(memory.getInt(info + 4)).isEqualTo(0x9FC00 / 1024);
    assertThat(memory.getInt(info + 8))
        .isEqualTo((int) (SyntheticImages.RAM_BYTES - 0x110000) / 1024);
    assertThat(text(memory.getInt(info + 16))).isEqualTo("console=ttyS0");
    long module = memory.getInt(info + 24);
    assertThat(bytes(memory.getInt(module), RAM_DISK.length)).isEqualTo(RAM_DISK);
    assertThat(memory.getInt(info + 44)).isEqualTo(4 * 24);
    assertThat(memory.getLong(memory.getInt(info + 48) + 24 + 4)).isEqualTo(0x9FC00);
  }

  @Test
  void reloadingClearsWhatTheFormerGuestLeftInZeroedMemory() throws BootException {
    memory.fill(0x200200, 0xE00, (byte) 0x55);
    load(SyntheticImages.pvh());
    assertThat(bytes(0x200200, 0xE00)).containsOnly(0);
  }

  @Test
  void unusableImagesAreRefusedWithOneSentence() {
    assertThatThrownBy(() -> load(SyntheticImages.empty()))
        .isInstanceOf(BootException.class)
        .hasMessage("the kernel image is empty");
    assertThatThrownBy(() -> load(ByteBuffer.wrap("#!/bin/sh\n".getBytes(StandardCharsets.UTF_8))))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("none of bzImage, ELF with a PVH note, and multiboot 1");
    assertThatThrownBy(() -> load(SyntheticImages.linux(true).slice(0, 3000)))
        .isInstanceOf(BootException.class)
        .hasMessage(
            "the kernel image is truncated: its header promises 5120 bytes, and it has 3000");
    assertThatThrownBy(() -> load(SyntheticImages.linux(true).putInt(0x260, 0x10000000)))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("needs 273 MiB of memory, and the machine has 64 MiB");
    assertThatThrownBy(() -> load(SyntheticImages.pvh().putLong(0x58, 0xA0000)))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("0xa0000");
    assertThatThrownBy(() -> load(SyntheticImages.pvh().putLong(0x58, 0x7000)))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("boot parameters");
    assertThatThrownBy(() -> load(SyntheticImages.pvh().putInt(0x208, 17)))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("neither a PVH entry note nor a multiboot header");
  }

  @Test
  void oversizedRamDisksAndCommandLinesAreRefused() {
    ByteBuffer large = ByteBuffer.allocate(50 << 20);
    assertThatThrownBy(() ->
            BootLoader.load(
                memory, state, SyntheticImages.request(SyntheticImages.linux(true), large)))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("50 MiB does not fit");
    BootRequest request =
        new BootRequest(
            SyntheticImages.linux(true),
            SyntheticImages.empty(),
            "x".repeat(2048),
            SyntheticImages.memoryMap(),
            0);
    assertThatThrownBy(() -> BootLoader.load(memory, state, request))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("at most 2047");
  }

  /**
   * Whatever the bytes, the result is a loaded kernel or a sentence, and memory outside RAM stays
   * untouched.
   */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void mutatedImagesNeverDoMoreThanFail(long seed) {
    Random random = new Random(seed);
    List<ByteBuffer> images =
        List.of(
            SyntheticImages.linux(true),
            SyntheticImages.linux(false),
            SyntheticImages.pvh(),
            SyntheticImages.multibootElf(),
            SyntheticImages.multibootFlat());
    int loaded = 0;
    for (int round = 0; round < 3000; round++) {
      byte[] image = images.get(random.nextInt(images.size())).array().clone();
      mutate(image, random);
      int length = random.nextInt(4) == 0 ? random.nextInt(image.length + 1) : image.length;
      try {
        load(ByteBuffer.wrap(image).slice(0, length));
        loaded++;
        assertThat(memory.isRam(state.rip)).as("seed %d round %d", seed, round).isTrue();
      } catch (BootException e) {
        assertThat(e.getMessage()).isNotBlank().doesNotContain("\n");
      }
    }
    assertThat(loaded).as("some mutations are harmless").isPositive();
    assertThat(bytes(SyntheticImages.RAM_BYTES - 0x10000, 0x10000)).containsOnly(0);
    assertThat(bytes(0xA0000, 0x60000)).containsOnly(0);
  }

  /** Changes a few fields, mostly in the headers, to values that are likely to hit a border. */
  private static void mutate(byte[] image, Random random) {
    int[] borders = {0, 1, -1, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0x9FC00, 0x100000, 0x3FF0000};
    int changes = 1 + random.nextInt(4);
    for (int i = 0; i < changes; i++) {
      int range = random.nextInt(3) == 0 ? image.length : Math.min(image.length, 0x280);
      int at = random.nextInt(range - 4);
      int value = random.nextBoolean() ? borders[random.nextInt(borders.length)] : random.nextInt();
      int width = 1 + random.nextInt(4);
      for (int b = 0; b < width; b++) {
        image[at + b] = (byte) (value >>> 8 * b);
      }
    }
  }
}
