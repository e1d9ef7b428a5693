package io.anillo.vmm.boot;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;

/**
 * ELF kernels with a PVH entry, as Xen defines it (xen/include/public/arch-x86/hvm/start_info.h):
 * 32-bit protected mode without paging, EBX at the start info.
 */
final class PvhLoader {
  private static final int MAGIC = 0x336E_C578;
  private static final int VERSION = 1;
  private static final long MODULE_LIST = LowMemory.PARAMETERS + 0x40;
  private static final long MEMORY_MAP = LowMemory.PARAMETERS + 0x80;
  private static final int MEMORY_MAP_ENTRY_BYTES = 24;
  private static final int MEMORY_MAP_MAXIMUM =
      (int) (LowMemory.PARAMETERS + 0x1000 - MEMORY_MAP) / MEMORY_MAP_ENTRY_BYTES;

  private PvhLoader() {}

  static LoadedKernel load(
      ElfImage elf, GuestMemory memory, CpuState state, MemoryMap map, BootRequest request)
      throws BootException {
    long end = elf.load(memory, map);
    long entry = elf.pvhEntry().orElseThrow();
    if (!map.isUsable(entry, 1)) {
      throw new BootException(
          "the kernel's PVH entry 0x" + Long.toHexString(entry) + " is outside of usable memory");
    }
    InitialRamDisk ramDisk = InitialRamDisk.load(memory, map, request, end, GuestMemory.HOLE_START);
    LowMemory.writeCommandLine(memory, request.commandLine(), LowMemory.COMMAND_LINE_MAXIMUM);
    if (map.regions().size() > MEMORY_MAP_MAXIMUM) {
      throw new BootException("the memory map has " + map.regions().size() + " entries, too many");
    }

    long info = LowMemory.PARAMETERS;
    memory.fill(info, 0x1000, (byte) 0);
    memory.putInt(info, MAGIC);
    memory.putInt(info + 4, VERSION);
    if (ramDisk.bytes() != 0) {
      memory.putInt(info + 12, 1);
      memory.putLong(info + 16, MODULE_LIST);
      memory.putLong(MODULE_LIST, ramDisk.address());
      memory.putLong(MODULE_LIST + 8, ramDisk.bytes());
    }
    memory.putLong(info + 24, LowMemory.COMMAND_LINE);
    memory.putLong(info + 32, request.rsdpAddress());
    memory.putLong(info + 40, MEMORY_MAP);
    memory.putInt(info + 48, map.regions().size());
    long at = MEMORY_MAP;
    for (MemoryRegion region : map.regions()) {
      memory.putLong(at, region.start());
      memory.putLong(at + 8, region.length());
      memory.putInt(at + 16, region.kind().code());
      at += MEMORY_MAP_ENTRY_BYTES;
    }

    FlatState.enterProtectedMode(state, memory, entry);
    state.general[CpuState.RBX] = info;
    return new LoadedKernel(
        "ELF" + (elf.wide() ? "64" : "32") + " kernel with a PVH entry", "", entry);
  }
}
