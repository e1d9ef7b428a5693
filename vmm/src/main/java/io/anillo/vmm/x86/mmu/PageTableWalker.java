package io.anillo.vmm.x86.mmu;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;

/**
 * Walks the guest's page tables in all paging modes (Intel SDM vol. 3A chapter 4): 32-bit with 4
 * MiB pages, PAE, and 4-level with 2 MiB and 1 GiB pages. Sets accessed and dirty bits. The result
 * of the last walk stays in the fields.
 */
final class PageTableWalker {
  /** Bits of a page-fault error code (Intel SDM vol. 3A §4.7). */
  static final int ERROR_PRESENT = 1,
      ERROR_WRITE = 2,
      ERROR_USER = 4,
      ERROR_RESERVED = 8,
      ERROR_FETCH = 16;

  static final int PHYSICAL_BITS = 40;

  private static final long PRESENT = 1,
      WRITABLE = 2,
      USER = 4,
      ACCESSED = 32,
      DIRTY = 64,
      LARGE = 128,
      GLOBAL = 256;
  private static final long NO_EXECUTE = 1L << 63;
  private static final long ADDRESS = ((1L << PHYSICAL_BITS) - 1) & ~0xFFFL;
  private static final long RESERVED_HIGH = ((1L << 52) - 1) & ~((1L << PHYSICAL_BITS) - 1);

  private final CpuState state;
  private final GuestMemory memory;
  private final PhysicalWrites writes;

  /** Guest-physical address of the 4 KiB page that holds the linear address. */
  long physicalPage;

  boolean writable;
  boolean user;
  boolean executable;
  boolean global;
  boolean dirty;

  /** Size of the mapping found, in bytes. */
  long pageBytes;

  /** Told before an accessed or dirty bit is written into a page table. */
  interface PhysicalWrites {
    void written(long address, int sizeBytes);
  }

  PageTableWalker(CpuState state, GuestMemory memory, PhysicalWrites writes) {
    this.state = state;
    this.memory = memory;
    this.writes = writes;
  }

  /**
   * Walks for one access.
   *
   * @param asUser whether the access has user privilege
   * @param smap whether supervisor accesses to user pages fault
   * @return -1 when the access is allowed, else the page-fault error code
   */
  int walk(long linear, boolean write, boolean fetch, boolean asUser, boolean smap) {
    int error = (write ? ERROR_WRITE : 0) | (asUser ? ERROR_USER : 0);
    boolean noExecuteEnabled = (state.efer & CpuState.EFER_NXE) != 0;
    if (fetch && (noExecuteEnabled || (state.cr4 & CpuState.CR4_SMEP) != 0)) {
      error |= ERROR_FETCH;
    }
    if ((state.cr4 & CpuState.CR4_PAE) == 0) {
      return walk32(linear, write, fetch, asUser, smap, error);
    }
    boolean longMode = state.longMode();
    long table;
    int level;
    boolean mayWrite = true;
    boolean mayUser = true;
    boolean mayExecute = true;
    if (longMode) {
      table = state.cr3 & ADDRESS;
      level = 4;
    } else {
      long pdpte = state.pdptes[(int) (linear >>> 30) & 3];
      if ((pdpte & PRESENT) == 0) {
        return error;
      }
      table = pdpte & ADDRESS;
      level = 2;
    }
    while (true) {
      int shift = 12 + 9 * (level - 1);
      long address = table + ((linear >>> shift & 511) << 3);
      long entry = read64(address);
      if ((entry & PRESENT) == 0) {
        return error;
      }
      boolean leaf = level == 1 || ((entry & LARGE) != 0 && level <= 3);
      if ((entry & reserved(entry, level, leaf, longMode, noExecuteEnabled)) != 0) {
        return error | ERROR_PRESENT | ERROR_RESERVED;
      }
      mayWrite &= (entry & WRITABLE) != 0;
      mayUser &= (entry & USER) != 0;
      mayExecute &= (entry & NO_EXECUTE) == 0;
      if (!leaf) {
        if ((entry & ACCESSED) == 0 && !update(address, entry, entry | ACCESSED)) {
          continue;
        }
        table = entry & ADDRESS;
        level--;
        continue;
      }
      if (!allowed(
          mayWrite, mayUser, mayExecute || !noExecuteEnabled, write, fetch, asUser, smap)) {
        return error | ERROR_PRESENT;
      }
      long wanted = entry | ACCESSED | (write ? DIRTY : 0);
      if (wanted != entry && !update(address, entry, wanted)) {
        continue;
      }
      long bytes = 1L << shift;
      found(
          entry & ADDRESS & -bytes,
          linear,
          bytes,
          wanted,
          mayWrite,
          mayUser,
          mayExecute || !noExecuteEnabled);
      return -1;
    }
  }

  private static long reserved(
      long entry, int level, boolean leaf, boolean longMode, boolean noExecuteEnabled) {
    long mask = RESERVED_HIGH;
    if (!noExecuteEnabled) {
      mask |= NO_EXECUTE;
    }
    if (!longMode) {
      mask |= 0x7FF0_0000_0000_0000L;
    }
    if (level == 4) {
      mask |= LARGE;
    } else if (leaf && level > 1) {
      mask |= ((1L << (12 + 9 * (level - 1))) - 1) & ~0x1FFFL;
    }
    return mask;
  }

  private int walk32(
      long linear, boolean write, boolean fetch, boolean asUser, boolean smap, int error) {
    while (true) {
      long directoryAddress = (state.cr3 & 0xFFFF_F000L) + ((linear >>> 22 & 1023) << 2);
      int directory = read32(directoryAddress);
      if ((directory & PRESENT) == 0) {
        return error;
      }
      boolean mayWrite = (directory & WRITABLE) != 0;
      boolean mayUser = (directory & USER) != 0;
      if ((directory & LARGE) != 0 && (state.cr4 & CpuState.CR4_PSE) != 0) {
        // PSE-36: bits 13-20 are address bits 32-39; bit 21 is reserved.
        if ((directory & 1 << 21) != 0) {
          return error | ERROR_PRESENT | ERROR_RESERVED;
        }
        if (!allowed(mayWrite, mayUser, true, write, fetch, asUser, smap)) {
          return error | ERROR_PRESENT;
        }
        int wanted = directory | (int) ACCESSED | (write ? (int) DIRTY : 0);
        if (wanted != directory && !update32(directoryAddress, directory, wanted)) {
          continue;
        }
        long frame = (directory & 0xFFC0_0000L) | (long) (directory >>> 13 & 0xFF) << 32;
        found(frame, linear, 1L << 22, wanted, mayWrite, mayUser, true);
        return -1;
      }
      if ((directory & ACCESSED) == 0
          && !update32(directoryAddress, directory, directory | (int) ACCESSED)) {
        continue;
      }
      long tableAddress = (directory & 0xFFFF_F000L) + ((linear >>> 12 & 1023) << 2);
      int entry = read32(tableAddress);
      if ((entry & PRESENT) == 0) {
        return error;
      }
      mayWrite &= (entry & WRITABLE) != 0;
      mayUser &= (entry & USER) != 0;
      if (!allowed(mayWrite, mayUser, true, write, fetch, asUser, smap)) {
        return error | ERROR_PRESENT;
      }
      int wanted = entry | (int) ACCESSED | (write ? (int) DIRTY : 0);
      if (wanted != entry && !update32(tableAddress, entry, wanted)) {
        continue;
      }
      found(entry & 0xFFFF_F000L, linear, 4096, wanted, mayWrite, mayUser, true);
      return -1;
    }
  }

  private boolean allowed(
      boolean mayWrite,
      boolean mayUser,
      boolean mayExecute,
      boolean write,
      boolean fetch,
      boolean asUser,
      boolean smap) {
    if (asUser) {
      return mayUser && (!write || mayWrite) && (!fetch || mayExecute);
    }
    if (fetch) {
      return mayExecute && !(mayUser && (state.cr4 & CpuState.CR4_SMEP) != 0);
    }
    if (mayUser && smap) {
      return false;
    }
    return !write || mayWrite || (state.cr0 & CpuState.CR0_WP) == 0;
  }

  private void found(
      long frame,
      long linear,
      long bytes,
      long entry,
      boolean mayWrite,
      boolean mayUser,
      boolean mayExecute) {
    physicalPage = (frame + (linear & (bytes - 1))) & ~0xFFFL;
    pageBytes = bytes;
    writable = mayWrite;
    user = mayUser;
    executable = mayExecute;
    global = (entry & GLOBAL) != 0 && (state.cr4 & CpuState.CR4_PGE) != 0;
    dirty = (entry & DIRTY) != 0;
  }

  // Page tables outside RAM read as ones on the bus; ones have reserved bits set, which is the
  // fault a guest deserves.

  private long read64(long address) {
    return memory.attributes(address) != 0 ? memory.getLong(address) : -1L;
  }

  private int read32(long address) {
    return memory.attributes(address) != 0 ? memory.getInt(address) : -1;
  }

  private boolean update(long address, long expected, long value) {
    if (!memory.isRam(address)) {
      return true;
    }
    writes.written(address, 8);
    return memory.compareAndSetLong(address, expected, value);
  }

  private boolean update32(long address, int expected, int value) {
    if (!memory.isRam(address)) {
      return true;
    }
    writes.written(address, 4);
    return memory.compareAndSetInt(address, expected, value);
  }
}
