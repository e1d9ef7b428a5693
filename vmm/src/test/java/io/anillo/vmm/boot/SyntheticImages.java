package io.anillo.vmm.boot;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Small kernel images of every format, and a machine's memory map. */
final class SyntheticImages {
  static final long RAM_BYTES = 64 << 20;
  static final byte[] PAYLOAD = "payload of the kernel".getBytes(StandardCharsets.US_ASCII);

  private SyntheticImages() {}

  static List<MemoryRegion> memoryMap() {
    return List.of(
        new MemoryRegion(0, 0x9FC00, MemoryRegion.Kind.USABLE),
        new MemoryRegion(0x9FC00, 0x60400, MemoryRegion.Kind.RESERVED),
        new MemoryRegion(0x100000, RAM_BYTES - 0x100000 - 0x10000, MemoryRegion.Kind.USABLE),
        new MemoryRegion(RAM_BYTES - 0x10000, 0x10000, MemoryRegion.Kind.ACPI_RECLAIMABLE));
  }

  static ByteBuffer empty() {
    return ByteBuffer.allocate(0);
  }

  static BootRequest request(ByteBuffer kernel, ByteBuffer ramDisk) {
    return new BootRequest(kernel, ramDisk, "console=ttyS0", memoryMap(), 0xE0000);
  }

  private static ByteBuffer image(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** A bzImage of boot protocol 2.15 with one setup sector. */
  static ByteBuffer linux(boolean longMode) {
    ByteBuffer image = image(1024 + 4096);
    image.put(0x1F1, (byte) 1);
    image.putInt(0x1F4, 4096 / 16);
    image.putShort(0x1FE, (short) 0xAA55);
    image.put(0x200, (byte) 0xEB);
    image.put(0x201, (byte) 0x6A);
    image.putInt(0x202, 0x53726448);
    image.putShort(0x206, (short) 0x20F);
    image.putShort(0x20E, (short) 0x100);
    image.put(0x300, "6.1.0-test".getBytes(StandardCharsets.US_ASCII));
    image.put(0x211, (byte) 1);
    image.putInt(0x214, 0x100000);
    image.putInt(0x22C, 0x7FFFFFFF);
    image.put(0x234, (byte) 1);
    image.putShort(0x236, (short) (longMode ? 1 : 0));
    image.putInt(0x238, 2047);
    image.putLong(0x258, 0x1000000);
    image.putInt(0x260, 0x800000);
    image.put(1024, PAYLOAD);
    return image;
  }

  /** An ELF64 file with one segment at 2 MiB and a PVH note that enters it at offset 0x10. */
  static ByteBuffer pvh() {
    ByteBuffer image = image(0x1000 + 0x200);
    elfHeader(image, 2, 62, 0x40, 2);
    programHeader64(image, 0x40, 1, 0x1000, 0x200000, 0x200, 0x1000);
    programHeader64(image, 0x78, 4, 0x200, 0, 0x18, 0x18);
    image.putInt(0x200, 4).putInt(0x204, 8).putInt(0x208, 18);
    image.put(0x20C, "Xen\0".getBytes(StandardCharsets.US_ASCII));
    image.putLong(0x210, 0x200010);
    image.put(0x1000, PAYLOAD);
    return image;
  }

  /** An ELF32 file with one segment at 1 MiB and a multiboot header. */
  static ByteBuffer multibootElf() {
    ByteBuffer image = image(0x1000 + 0x200);
    elfHeader(image, 1, 3, 0x34, 1);
    image.putInt(24, 0x100020);
    int header = 0x34;
    image.putInt(header, 1).putInt(header + 4, 0x1000).putInt(header + 12, 0x100000);
    image.putInt(header + 16, 0x200).putInt(header + 20, 0x3000);
    multibootHeader(image, 0x400, 3);
    image.put(0x1000, PAYLOAD);
    return image;
  }

  /** A file that is no ELF, with load addresses in its multiboot header. */
  static ByteBuffer multibootFlat() {
    ByteBuffer image = image(0x800);
    multibootHeader(image, 0x20, 1 << 16);
    image.putInt(0x20 + 12, 0x200020).putInt(0x20 + 16, 0x200000);
    image.putInt(0x20 + 20, 0).putInt(0x20 + 24, 0x204000).putInt(0x20 + 28, 0x200040);
    image.put(0x100, PAYLOAD);
    return image;
  }

  private static void multibootHeader(ByteBuffer image, int at, int flags) {
    image.putInt(at, 0x1BADB002).putInt(at + 4, flags).putInt(at + 8, -(0x1BADB002 + flags));
  }

  private static void elfHeader(ByteBuffer image, int width, int machine, int table, int segments) {
    image.put(0, new byte[] {0x7F, 'E', 'L', 'F', (byte) width, 1, 1});
    image.putShort(16, (short) 2).putShort(18, (short) machine);
    if (width == 2) {
      image.putLong(32, table).putShort(54, (short) 56).putShort(56, (short) segments);
    } else {
      image.putInt(28, table).putShort(42, (short) 32).putShort(44, (short) segments);
    }
  }

  private static void programHeader64(
      ByteBuffer image, int at, int type, long offset, long address, long file, long memory) {
    image.putInt(at, type).putLong(at + 8, offset).putLong(at + 24, address);
    image.putLong(at + 32, file).putLong(at + 40, memory).putLong(at + 48, 4);
  }
}
