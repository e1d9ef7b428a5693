package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CR0_CD;
import static io.anillo.vmm.cpu.CpuState.CR0_ET;
import static io.anillo.vmm.cpu.CpuState.CR0_NW;
import static io.anillo.vmm.cpu.CpuState.CR0_PE;
import static io.anillo.vmm.cpu.CpuState.CR0_PG;
import static io.anillo.vmm.cpu.CpuState.CR0_TS;
import static io.anillo.vmm.cpu.CpuState.CR0_WP;
import static io.anillo.vmm.cpu.CpuState.CR4_PAE;
import static io.anillo.vmm.cpu.CpuState.CR4_PCIDE;
import static io.anillo.vmm.cpu.CpuState.CR4_PGE;
import static io.anillo.vmm.cpu.CpuState.CR4_PSE;
import static io.anillo.vmm.cpu.CpuState.CR4_SMAP;
import static io.anillo.vmm.cpu.CpuState.CR4_SMEP;
import static io.anillo.vmm.cpu.CpuState.EFER_LMA;
import static io.anillo.vmm.cpu.CpuState.EFER_LME;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Control registers, XCR0 and the instructions that invalidate translations (Intel SDM vol. 3A
 * §2.5, §4.10.4, §9.8.5; vol. 2 MOV to/from control registers, INVPCID, XSETBV).
 */
public final class ControlRegisters {
  private static final long CR0_WRITABLE =
      CR0_PE
          | CpuState.CR0_MP
          | CpuState.CR0_EM
          | CR0_TS
          | CpuState.CR0_NE
          | CR0_WP
          | CpuState.CR0_AM
          | CR0_NW
          | CR0_CD
          | CR0_PG;

  /** What the processor model has; VME and PVI are not among it. */
  private static final long CR4_SUPPORTED =
      CpuState.CR4_TSD
          | CpuState.CR4_DE
          | CR4_PSE
          | CR4_PAE
          | CpuState.CR4_MCE
          | CR4_PGE
          | CpuState.CR4_PCE
          | CpuState.CR4_OSFXSR
          | CpuState.CR4_OSXMMEXCPT
          | CpuState.CR4_UMIP
          | CpuState.CR4_FSGSBASE
          | CR4_PCIDE
          | CpuState.CR4_OSXSAVE
          | CR4_SMEP
          | CR4_SMAP;

  private static final long NO_FLUSH = 1L << 63;

  /** Reserved in a present PDPTE: bits 1, 2, 5 to 8 and those beyond the physical address. */
  private static final long PDPTE_RESERVED = ~CpuModel.PHYSICAL_ADDRESS_MASK | 0x1E6;

  private ControlRegisters() {}

  /** MOV from CR0, CR2, CR3, CR4 or CR8; others raise #UD. */
  public static long read(Processor processor, int register) {
    CpuState state = processor.state;
    requireExisting(processor, register);
    SegmentLoader.requireRing0(processor);
    return switch (register) {
      case 0 -> state.cr0;
      case 2 -> state.cr2;
      case 3 -> state.cr3;
      case 4 -> state.cr4;
      default -> processor.localInterrupts().taskPriorityClass();
    };
  }

  /**
   * MOV to CR0, CR2, CR3, CR4 or CR8; others raise #UD.
   *
   * @param value 64 bits in 64-bit mode, otherwise 32 bits zero-extended
   */
  public static void write(Processor processor, int register, long value) {
    requireExisting(processor, register);
    SegmentLoader.requireRing0(processor);
    switch (register) {
      case 0 -> writeCr0(processor, value);
      case 2 -> processor.state.cr2 = value;
      case 3 -> writeCr3(processor, value);
      case 4 -> writeCr4(processor, value);
      default -> {
        if ((value & ~0xFL) != 0) {
          throw processor.generalProtection(0);
        }
        processor.localInterrupts().setTaskPriorityClass((int) value);
      }
    }
  }

  private static void requireExisting(Processor processor, int register) {
    if (register != 0 && (register < 2 || register > 4) && register != 8) {
      throw processor.invalidOpcode();
    }
  }

  /** LMSW: loads PE, MP, EM and TS; PE cannot be cleared by it. */
  public static void loadMachineStatus(Processor processor, int value) {
    SegmentLoader.requireRing0(processor);
    long cr0 = processor.state.cr0;
    writeCr0(processor, cr0 & ~0xEL | value & 0xFL);
  }

  /** SMSW: all of CR0; the caller stores 16 bits to memory, or the operand size to a register. */
  public static long storeMachineStatus(Processor processor) {
    SegmentLoader.checkUserModeInstructionPrevention(processor);
    return processor.state.cr0;
  }

  /** CLTS. */
  public static void clearTaskSwitched(Processor processor) {
    SegmentLoader.requireRing0(processor);
    processor.state.cr0 &= ~CR0_TS;
    processor.modeChanged();
  }

  private static void writeCr0(Processor processor, long value) {
    CpuState state = processor.state;
    if (value >>> 32 != 0
        || (value & (CR0_PG | CR0_PE)) == CR0_PG
        || (value & (CR0_NW | CR0_CD)) == CR0_NW) {
      throw processor.generalProtection(0);
    }
    // Reserved bits among the lower 32 ignore writes.
    long next = value & CR0_WRITABLE | CR0_ET;
    long changed = next ^ state.cr0;
    boolean paging = (next & CR0_PG) != 0;
    long efer = state.efer;
    if ((changed & CR0_PG) != 0) {
      efer = paging ? pagingOn(processor) : pagingOff(processor);
    }
    boolean pae = (state.cr4 & CR4_PAE) != 0 && (efer & EFER_LMA) == 0;
    if (paging && pae && (changed & (CR0_PG | CR0_CD | CR0_NW)) != 0) {
      loadPageDirectoryPointers(processor, state.cr3);
    }
    state.cr0 = next;
    state.efer = efer;
    if ((changed & (CR0_PG | CR0_PE | CR0_WP)) != 0) {
      processor.flushTlb(true);
    }
    processor.modeChanged();
  }

  /** Returns EFER with paging on: long mode becomes active if EFER.LME asked for it. */
  private static long pagingOn(Processor processor) {
    CpuState state = processor.state;
    if ((state.efer & EFER_LME) == 0) {
      return state.efer;
    }
    boolean longCode = (state.segmentAccess[CpuState.CS] & CpuState.ACCESS_LONG) != 0;
    if ((state.cr4 & CR4_PAE) == 0 || longCode) {
      throw processor.generalProtection(0);
    }
    return state.efer | EFER_LMA;
  }

  private static long pagingOff(Processor processor) {
    CpuState state = processor.state;
    if (state.code64() || (state.cr4 & CR4_PCIDE) != 0) {
      throw processor.generalProtection(0);
    }
    return state.efer & ~EFER_LMA;
  }

  private static void writeCr3(Processor processor, long value) {
    CpuState state = processor.state;
    boolean keep = false;
    long next = value;
    if (state.longMode()) {
      if ((state.cr4 & CR4_PCIDE) != 0) {
        keep = (value & NO_FLUSH) != 0;
        next = value & ~NO_FLUSH;
      }
      if ((next & ~CpuModel.PHYSICAL_ADDRESS_MASK) != 0) {
        throw processor.generalProtection(0);
      }
    } else if ((state.cr0 & CR0_PG) != 0 && (state.cr4 & CR4_PAE) != 0) {
      loadPageDirectoryPointers(processor, next);
    }
    state.cr3 = next;
    processor.addressSpaceChanged(keep);
  }

  private static void writeCr4(Processor processor, long value) {
    CpuState state = processor.state;
    if ((value & ~CR4_SUPPORTED) != 0) {
      throw processor.generalProtection(0);
    }
    long changed = value ^ state.cr4;
    if (state.longMode() && (value & CR4_PAE) == 0) {
      throw processor.generalProtection(0);
    }
    if ((changed & value & CR4_PCIDE) != 0 && (!state.longMode() || (state.cr3 & 0xFFF) != 0)) {
      throw processor.generalProtection(0);
    }
    boolean legacyPaging = (state.cr0 & CR0_PG) != 0 && !state.longMode();
    long paging = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
    if (legacyPaging && (value & CR4_PAE) != 0 && (changed & paging) != 0) {
      loadPageDirectoryPointers(processor, state.cr3);
    }
    state.cr4 = value;
    if ((changed & (paging | CR4_SMAP | CR4_PCIDE)) != 0) {
      processor.flushTlb(true);
    }
    processor.modeChanged();
  }

  /** Loads the four PDPTEs of PAE paging; a reserved bit in a present one raises #GP(0). */
  static void loadPageDirectoryPointers(Processor processor, long cr3) {
    CpuState state = processor.state;
    long table = cr3 & 0xFFFF_FFE0L;
    long first = loadPageDirectoryPointer(processor, table);
    long second = loadPageDirectoryPointer(processor, table + 8);
    long third = loadPageDirectoryPointer(processor, table + 16);
    long fourth = loadPageDirectoryPointer(processor, table + 24);
    state.pdptes[0] = first;
    state.pdptes[1] = second;
    state.pdptes[2] = third;
    state.pdptes[3] = fourth;
  }

  private static long loadPageDirectoryPointer(Processor processor, long physical) {
    long entry = processor.loadPhysical(physical, 8);
    if ((entry & 1) != 0 && (entry & PDPTE_RESERVED) != 0) {
      throw processor.generalProtection(0);
    }
    return entry;
  }

  /** CR3 as a task switch loads it: no checks but those of the PDPTEs, which are made before. */
  static void switchAddressSpace(Processor processor, long cr3) {
    processor.state.cr3 = cr3;
    processor.addressSpaceChanged(false);
  }

  /** INVLPG; an address that is not canonical does nothing. */
  public static void invalidatePage(Processor processor, long linear) {
    SegmentLoader.requireRing0(processor);
    if (!processor.state.code64() || DescriptorTables.isCanonical(linear)) {
      processor.invalidatePage(linear);
    }
  }

  /** INVPCID, the descriptor given as its lower and upper eight bytes. */
  public static void invalidatePcid(Processor processor, long type, long lower, long upper) {
    SegmentLoader.requireRing0(processor);
    boolean pcids = (processor.state.cr4 & CR4_PCIDE) != 0;
    int pcid = (int) lower & 0xFFF;
    if (Long.compareUnsigned(type, 3) > 0
        || lower >>> 12 != 0
        || type < 2 && !pcids && pcid != 0
        || type == 0 && !DescriptorTables.isCanonical(upper)) {
      throw processor.generalProtection(0);
    }
    processor.invalidatePcid((int) type, pcid, upper);
  }

  /** XGETBV: only XCR0 exists. */
  public static long readExtended(Processor processor, int register) {
    requireOsxsave(processor);
    if (register != 0) {
      throw processor.generalProtection(0);
    }
    return processor.state.xcr0;
  }

  /** XSETBV. */
  public static void writeExtended(Processor processor, int register, long value) {
    requireOsxsave(processor);
    SegmentLoader.requireRing0(processor);
    if (register != 0 || (value & 1) == 0 || (value & ~CpuModel.XCR0_SUPPORTED) != 0) {
      throw processor.generalProtection(0);
    }
    processor.state.xcr0 = value;
    processor.modeChanged();
  }

  private static void requireOsxsave(Processor processor) {
    if ((processor.state.cr4 & CpuState.CR4_OSXSAVE) == 0) {
      throw processor.invalidOpcode();
    }
  }
}
