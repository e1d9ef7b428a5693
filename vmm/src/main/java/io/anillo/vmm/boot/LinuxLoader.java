package io.anillo.vmm.boot;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;

/**
 * Linux bzImages by the kernel's own boot protocol (Documentation/arch/x86/boot.rst), versions 2.02
 * and later: the 64-bit entry where the kernel has one, else the 32-bit entry. The real-mode code
 * of the image is never run.
 */
final class LinuxLoader {
  private static final int SETUP_SECTORS = 0x1F1, SYSTEM_SIZE = 0x1F4, VIDEO_MODE = 0x1FA;
  private static final int BOOT_FLAG = 0x1FE, JUMP = 0x200, MAGIC = 0x202, VERSION = 0x206;
  private static final int KERNEL_VERSION = 0x20E, LOADER_TYPE = 0x210, LOAD_FLAGS = 0x211;
  private static final int RAM_DISK = 0x218, RAM_DISK_SIZE = 0x21C, COMMAND_LINE = 0x228;
  private static final int RAM_DISK_MAXIMUM = 0x22C, EXTENDED_LOAD_FLAGS = 0x236;
  private static final int COMMAND_LINE_SIZE = 0x238, PREFERRED_ADDRESS = 0x258, INIT_SIZE = 0x260;

  /** Fields of the zero page outside the setup header (arch/x86/include/uapi/asm/bootparam.h). */
  private static final int ACPI_RSDP = 0x70, E820_ENTRIES = 0x1E8, E820_TABLE = 0x2D0;

  private static final int E820_MAXIMUM = 128, E820_ENTRY_BYTES = 20;

  private static final int LOADED_HIGH = 1;
  private static final int KERNEL_64 = 1;
  private static final int SECTOR = 512;
  private static final int ZERO_PAGE_BYTES = 4096;
  private static final int VIDEO_MODE_NORMAL = 0xFFFF;
  private static final int LOADER_UNDEFINED = 0xFF;
  private static final long LOAD_ADDRESS = 1 << 20;
  private static final long ENTRY_64 = 0x200;

  private LinuxLoader() {}

  static boolean recognises(ImageReader image) {
    return image.matches(MAGIC, "HdrS") && image.matches(BOOT_FLAG, "\u0055\u00AA");
  }

  static LoadedKernel load(
      ImageReader image, GuestMemory memory, CpuState state, MemoryMap map, BootRequest request)
      throws BootException {
    int version = image.u16(VERSION);
    if (version < 0x202 || (image.u8(LOAD_FLAGS) & LOADED_HIGH) == 0) {
      throw new BootException(
          "the kernel is a Linux image of an unsupported kind (boot protocol %d.%02d%s)"
              .formatted(
                  version >> 8,
                  version & 0xFF,
                  (image.u8(LOAD_FLAGS) & LOADED_HIGH) == 0 ? ", zImage" : ""));
    }
    int setupSectors = image.u8(SETUP_SECTORS) == 0 ? 4 : image.u8(SETUP_SECTORS);
    long payload = (setupSectors + 1L) * SECTOR;
    // The kernel states its size in units of 16 bytes, rounded up.
    long systemBytes = (version >= 0x204 ? image.u32(SYSTEM_SIZE) : image.u16(SYSTEM_SIZE)) * 16;
    if (payload + systemBytes > image.size() + 15L) {
      throw new BootException(
          "the kernel image is truncated: its header promises "
              + (payload + systemBytes)
              + " bytes, and it has "
              + image.size());
    }
    long payloadBytes = image.size() - payload;
    if (payloadBytes <= 0) {
      throw new BootException("the kernel image is truncated: it ends before the kernel begins");
    }

    // Unpacking happens in place: the kernel needs the memory from its preferred address on as
    // well.
    long occupiedEnd = LOAD_ADDRESS + payloadBytes;
    if (version >= 0x20A) {
      long start = Math.max(LOAD_ADDRESS, image.i64(PREFERRED_ADDRESS));
      occupiedEnd = Math.max(occupiedEnd, start + image.u32(INIT_SIZE));
    }
    if (occupiedEnd < 0 || !map.isUsable(LOAD_ADDRESS, occupiedEnd - LOAD_ADDRESS)) {
      throw new BootException(
          "this kernel needs "
              + mebibytes(occupiedEnd)
              + " MiB of memory, and the machine has "
              + mebibytes(map.usableBytes())
              + " MiB");
    }
    image.copyTo(memory, LOAD_ADDRESS, payload, payloadBytes);

    writeZeroPage(image, memory, map, request, version, occupiedEnd);
    boolean longMode = version >= 0x20C && (image.u16(EXTENDED_LOAD_FLAGS) & KERNEL_64) != 0;
    long entry = longMode ? LOAD_ADDRESS + ENTRY_64 : LOAD_ADDRESS;
    if (longMode) {
      FlatState.enterLongMode(state, memory, entry);
    } else {
      FlatState.enterProtectedMode(state, memory, entry);
    }
    state.general[CpuState.RSI] = LowMemory.PARAMETERS;
    String kernelVersion =
        image.u16(KERNEL_VERSION) == 0
            ? ""
            : image.string(JUMP + (long) image.u16(KERNEL_VERSION), 256);
    return new LoadedKernel(
        "Linux bzImage, " + (longMode ? "64" : "32") + "-bit entry", kernelVersion, entry);
  }

  private static void writeZeroPage(
      ImageReader image,
      GuestMemory memory,
      MemoryMap map,
      BootRequest request,
      int version,
      long occupiedEnd)
      throws BootException {
    long page = LowMemory.PARAMETERS;
    memory.fill(page, ZERO_PAGE_BYTES, (byte) 0);
    // The header ends where the jump at its beginning leads, at most where the zero page's next
    // field lies.
    long headerEnd = Math.min(MAGIC + (long) image.u8(JUMP + 1), 0x290);
    image.copyTo(memory, page + SETUP_SECTORS, SETUP_SECTORS, headerEnd - SETUP_SECTORS);

    long ramDiskMaximum = version >= 0x203 ? image.u32(RAM_DISK_MAXIMUM) : 0x37FF_FFFFL;
    InitialRamDisk ramDisk =
        InitialRamDisk.load(memory, map, request, occupiedEnd, ramDiskMaximum + 1);
    memory.putInt(page + RAM_DISK, (int) ramDisk.address());
    memory.putInt(page + RAM_DISK_SIZE, (int) ramDisk.bytes());

    long commandLineMaximum = version >= 0x206 ? image.u32(COMMAND_LINE_SIZE) : 255;
    LowMemory.writeCommandLine(memory, request.commandLine(), commandLineMaximum);
    memory.putInt(page + COMMAND_LINE, (int) LowMemory.COMMAND_LINE);
    memory.putByte(page + LOADER_TYPE, (byte) LOADER_UNDEFINED);
    memory.putShort(page + VIDEO_MODE, (short) VIDEO_MODE_NORMAL);
    memory.putLong(page + ACPI_RSDP, request.rsdpAddress());

    if (map.regions().size() > E820_MAXIMUM) {
      throw new BootException(
          "the memory map has "
              + map.regions().size()
              + " entries, and Linux takes "
              + E820_MAXIMUM);
    }
    memory.putByte(page + E820_ENTRIES, (byte) map.regions().size());
    long at = page + E820_TABLE;
    for (MemoryRegion region : map.regions()) {
      memory.putLong(at, region.start());
      memory.putLong(at + 8, region.length());
      memory.putInt(at + 16, region.kind().code());
      at += E820_ENTRY_BYTES;
    }
  }

  private static long mebibytes(long bytes) {
    return (bytes >>> 20) + 1;
  }
}
