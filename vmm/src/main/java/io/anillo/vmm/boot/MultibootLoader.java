package io.anillo.vmm.boot;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import java.nio.charset.StandardCharsets;

/**
 * Kernels with a multiboot header (Multiboot Specification 0.6.96): 32-bit ELF, or anything else
 * with the addresses in the header itself. The initial RAM disk becomes the first module.
 */
final class MultibootLoader {
  private static final int HEADER_MAGIC = 0x1BAD_B002;
  private static final int LOADED_MAGIC = 0x2BAD_B002;
  private static final int SEARCHED_BYTES = 8192;

  /**
   * Header flags: page-aligned modules, memory information, video mode (a wish), addresses in the
   * header.
   */
  private static final int KNOWN_REQUIREMENTS = 7;

  private static final int REQUIREMENTS = 0xFFFF;
  private static final int ADDRESSES_IN_HEADER = 1 << 16;

  /** Flags of the information structure that say which of its fields are filled in. */
  private static final int HAS_MEMORY = 1, HAS_COMMAND_LINE = 4, HAS_MODULES = 8, HAS_MAP = 64;

  private static final int HAS_LOADER_NAME = 512;

  private static final long MODULES = LowMemory.PARAMETERS + 0x80;
  private static final long LOADER_NAME = LowMemory.PARAMETERS + 0xA0;
  private static final long MODULE_NAME = LowMemory.PARAMETERS + 0xB0;
  private static final long MEMORY_MAP = LowMemory.PARAMETERS + 0xC0;
  private static final int MEMORY_MAP_ENTRY_BYTES = 24;
  private static final int MEMORY_MAP_MAXIMUM =
      (int) (LowMemory.PARAMETERS + 0x1000 - MEMORY_MAP) / MEMORY_MAP_ENTRY_BYTES;
  private static final long UPPER_MEMORY = 1 << 20;
  private static final long LOWER_MEMORY_MAXIMUM = 640 * 1024;

  private MultibootLoader() {}

  static boolean recognises(ImageReader image) {
    return headerOffset(image) >= 0;
  }

  /** Where the header lies, or -1. */
  private static int headerOffset(ImageReader image) {
    try {
      for (int at = 0; at + 12 <= Math.min(SEARCHED_BYTES, image.size()); at += 4) {
        if (image.i32(at) == HEADER_MAGIC
            && image.i32(at) + image.i32(at + 4) + image.i32(at + 8) == 0) {
          return at;
        }
      }
      return -1;
    } catch (BootException e) {
      throw new IllegalStateException("reads inside the image failed", e);
    }
  }

  static LoadedKernel load(
      ImageReader image, GuestMemory memory, CpuState state, MemoryMap map, BootRequest request)
      throws BootException {
    int header = headerOffset(image);
    int flags = image.i32(header + 4);
    int unknown = flags & REQUIREMENTS & ~KNOWN_REQUIREMENTS;
    if (unknown != 0) {
      throw new BootException(
          "the kernel's multiboot header asks for features 0x"
              + Integer.toHexString(unknown)
              + ", which do not exist here");
    }
    long end;
    long entry;
    String kind;
    if ((flags & ADDRESSES_IN_HEADER) != 0) {
      end = loadByHeader(image, header, memory, map);
      entry = image.u32(header + 28);
      kind = "multiboot kernel";
    } else {
      if (!ElfImage.recognises(image)) {
        throw new BootException(
            "the kernel has a multiboot header without load addresses, but is not an ELF file");
      }
      ElfImage elf = ElfImage.parse(image);
      if (elf.wide()) {
        throw new BootException(
            "the kernel is a 64-bit ELF file with a multiboot header, and multiboot 1 takes 32-bit"
                + " ones only");
      }
      end = elf.load(memory, map);
      entry = elf.entry();
      kind = "multiboot ELF32 kernel";
    }
    if (!map.isUsable(entry, 1)) {
      throw new BootException(
          "the kernel's entry 0x" + Long.toHexString(entry) + " is outside of usable memory");
    }
    InitialRamDisk module = InitialRamDisk.load(memory, map, request, end, GuestMemory.HOLE_START);
    LowMemory.writeCommandLine(memory, request.commandLine(), LowMemory.COMMAND_LINE_MAXIMUM);
    writeInformation(memory, map, module);
    FlatState.enterProtectedMode(state, memory, entry);
    state.general[CpuState.RAX] = LOADED_MAGIC;
    state.general[CpuState.RBX] = LowMemory.PARAMETERS;
    return new LoadedKernel(kind, "", entry);
  }

  /** §3.1.3, the address fields of the header. */
  private static long loadByHeader(ImageReader image, int header, GuestMemory memory, MemoryMap map)
      throws BootException {
    long headerAddress = image.u32(header + 12);
    long loadAddress = image.u32(header + 16);
    long loadEnd = image.u32(header + 20);
    long zeroEnd = image.u32(header + 24);
    long offset = loadAddress == 0xFFFF_FFFFL ? 0 : header - (headerAddress - loadAddress);
    long start = loadAddress == 0xFFFF_FFFFL ? headerAddress - header : loadAddress;
    long bytes = loadEnd == 0 ? image.size() - offset : loadEnd - start;
    if (offset < 0 || bytes <= 0 || !image.contains(offset, bytes)) {
      throw new BootException(
          "the kernel's multiboot header is damaged: its load addresses do not match the file");
    }
    long zeroBytes = Math.max(0, zeroEnd - (start + bytes));
    ElfImage.requireLoadable(map, start, bytes + zeroBytes);
    image.copyTo(memory, start, offset, bytes);
    memory.fill(start + bytes, zeroBytes, (byte) 0);
    return start + bytes + zeroBytes;
  }

  /** §3.3, the boot information. */
  private static void writeInformation(GuestMemory memory, MemoryMap map, InitialRamDisk module)
      throws BootException {
    if (map.regions().size() > MEMORY_MAP_MAXIMUM) {
      throw new BootException("the memory map has " + map.regions().size() + " entries, too many");
    }
    long info = LowMemory.PARAMETERS;
    memory.fill(info, 0x1000, (byte) 0);
    int flags = HAS_MEMORY | HAS_COMMAND_LINE | HAS_MAP | HAS_LOADER_NAME;
    memory.putInt(info + 4, (int) (Math.min(map.usableEnd(0), LOWER_MEMORY_MAXIMUM) / 1024));
    memory.putInt(info + 8, (int) ((map.usableEnd(UPPER_MEMORY) - UPPER_MEMORY) / 1024));
    memory.putInt(info + 16, (int) LowMemory.COMMAND_LINE);
    if (module.bytes() != 0) {
      flags |= HAS_MODULES;
      memory.putInt(info + 20, 1);
      memory.putInt(info + 24, (int) MODULES);
      memory.putInt(MODULES, (int) module.address());
      memory.putInt(MODULES + 4, (int) (module.address() + module.bytes()));
      memory.putInt(MODULES + 8, (int) MODULE_NAME);
    }
    memory.putInt(info + 44, map.regions().size() * MEMORY_MAP_ENTRY_BYTES);
    memory.putInt(info + 48, (int) MEMORY_MAP);
    long at = MEMORY_MAP;
    for (MemoryRegion region : map.regions()) {
      memory.putInt(at, MEMORY_MAP_ENTRY_BYTES - 4);
      memory.putLong(at + 4, region.start());
      memory.putLong(at + 12, region.length());
      memory.putInt(at + 20, region.kind().code());
      at += MEMORY_MAP_ENTRY_BYTES;
    }
    byte[] name = "Anillo\0".getBytes(StandardCharsets.US_ASCII);
    memory.write(LOADER_NAME, name, 0, name.length);
    memory.putInt(info + 64, (int) LOADER_NAME);
    memory.putInt(info, flags);
  }
}
