package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.ACCESS_DPL_SHIFT;
import static io.anillo.vmm.cpu.CpuState.ACCESS_PRESENT;
import static io.anillo.vmm.cpu.CpuState.ACCESS_S;
import static io.anillo.vmm.cpu.CpuState.ACCESS_UNUSABLE;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.LDTR;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TR;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Loads of segment registers and table registers (Intel SDM vol. 2 MOV, LDS, LLDT, LTR; vol. 3A
 * §5). The caller sets the interrupt shadow after MOV SS and POP SS, and tells the processor
 * nothing: {@link Processor#modeChanged} is called here where it is needed.
 */
public final class SegmentLoader {
  /** Present, code or data, data, writable, accessed: a segment of real mode. */
  static final int REAL_MODE_ACCESS = ACCESS_PRESENT | ACCESS_S | 3;

  /** The same at privilege 3: a segment of virtual-8086 mode. */
  static final int VIRTUAL_8086_ACCESS = REAL_MODE_ACCESS | 3 << ACCESS_DPL_SHIFT;

  private SegmentLoader() {}

  /**
   * MOV, POP, LDS, LES, LSS, LFS, LGS into ES, SS, DS, FS or GS, in any mode.
   *
   * @param segment index of the segment register, not CS
   * @param selector the lower 16 bits count
   */
  public static void load(Processor processor, int segment, int selector) {
    CpuState state = processor.state;
    int newSelector = selector & 0xFFFF;
    if (!state.protectedMode()) {
      loadReal(state, segment, newSelector);
    } else if (state.virtual8086()) {
      loadVirtual8086(state, segment, newSelector);
    } else if (segment == SS) {
      loadStack(processor, newSelector);
    } else {
      loadData(processor, segment, newSelector);
    }
    if (segment == SS) {
      processor.modeChanged();
    }
  }

  /** Real mode changes the base and keeps the limit, which may be more than 64 KiB. */
  static void loadReal(CpuState state, int segment, int selector) {
    state.segmentSelector[segment] = selector;
    state.segmentBase[segment] = (long) selector << 4;
    int access = state.segmentAccess[segment];
    if ((access & ACCESS_UNUSABLE) != 0) {
      state.segmentLimit[segment] = 0xFFFF;
      access = 0;
    }
    state.segmentAccess[segment] = access & 0xF000 | REAL_MODE_ACCESS;
  }

  static void loadVirtual8086(CpuState state, int segment, int selector) {
    state.segmentSelector[segment] = selector;
    state.segmentBase[segment] = (long) selector << 4;
    state.segmentLimit[segment] = 0xFFFF;
    state.segmentAccess[segment] = VIRTUAL_8086_ACCESS;
  }

  private static void loadStack(Processor processor, int selector) {
    CpuState state = processor.state;
    if (DescriptorTables.isNull(selector)) {
      if (!state.code64() || state.privilege == 3 || (selector & 3) != state.privilege) {
        throw processor.generalProtection(0);
      }
      loadNull(state, SS, selector);
      state.segmentAccess[SS] |= state.privilege << ACCESS_DPL_SHIFT;
      return;
    }
    long descriptor =
        readStack(processor, selector, state.privilege, GuestFault.GENERAL_PROTECTION, 0);
    set(state, SS, selector, DescriptorTables.markAccessed(processor, selector, descriptor));
  }

  /**
   * Reads and checks a stack segment for a privilege level: its RPL and DPL have to be that level.
   *
   * @param vector the exception for a wrong segment; one that is not present raises #SS
   * @param external the EXT bit of error codes
   */
  static long readStack(
      Processor processor, int selector, int privilege, int vector, int external) {
    long descriptor = DescriptorTables.read(processor, selector, vector, external);
    if ((selector & 3) != privilege
        || !Descriptor.isWritableData(descriptor)
        || Descriptor.privilege(descriptor) != privilege) {
      throw processor.fault(vector, selector & 0xFFFC | external);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.stackFault(selector & 0xFFFC | external);
    }
    return descriptor;
  }

  private static void loadData(Processor processor, int segment, int selector) {
    CpuState state = processor.state;
    if (DescriptorTables.isNull(selector)) {
      loadNull(state, segment, selector);
      return;
    }
    long descriptor =
        readData(processor, selector, state.privilege, GuestFault.GENERAL_PROTECTION, 0);
    set(state, segment, selector, DescriptorTables.markAccessed(processor, selector, descriptor));
  }

  /** Reads and checks a data segment that code of a privilege level loads. */
  static long readData(Processor processor, int selector, int privilege, int vector, int external) {
    int errorCode = selector & 0xFFFC | external;
    long descriptor = DescriptorTables.read(processor, selector, vector, external);
    if (!Descriptor.isReadable(descriptor)) {
      throw processor.fault(vector, errorCode);
    }
    if (!Descriptor.isConformingCode(descriptor)) {
      int descriptorPrivilege = Descriptor.privilege(descriptor);
      if ((selector & 3) > descriptorPrivilege || privilege > descriptorPrivilege) {
        throw processor.fault(vector, errorCode);
      }
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(errorCode);
    }
    return descriptor;
  }

  /**
   * A null selector: unusable, base 0 (CPUID 0x80000021 EAX bit 6 says that the base is cleared).
   */
  static void loadNull(CpuState state, int segment, int selector) {
    state.segmentSelector[segment] = selector;
    state.segmentBase[segment] = 0;
    state.segmentLimit[segment] = 0;
    state.segmentAccess[segment] = ACCESS_UNUSABLE;
  }

  /** Fills a segment register from a descriptor that was checked. */
  static void set(CpuState state, int segment, int selector, long descriptor) {
    state.segmentSelector[segment] = selector;
    state.segmentBase[segment] = Descriptor.base(descriptor);
    state.segmentLimit[segment] = Descriptor.limit(descriptor);
    state.segmentAccess[segment] = Descriptor.access(descriptor);
  }

  /**
   * After a return to an outer privilege level: data segments that it may not use become null
   * (Intel SDM vol. 3A §5.8.6).
   */
  static void dropInaccessible(CpuState state) {
    for (int segment = 0; segment <= CpuState.GS; segment++) {
      if (segment == CS || segment == SS) {
        continue;
      }
      int access = state.segmentAccess[segment];
      boolean conforming = (access & (ACCESS_S | 0xC)) == (ACCESS_S | 0xC);
      if ((access & ACCESS_UNUSABLE) == 0
          && !conforming
          && (access >> ACCESS_DPL_SHIFT & 3) < state.privilege) {
        loadNull(state, segment, 0);
      }
    }
  }

  /** LLDT. */
  public static void loadLocalDescriptorTable(Processor processor, int selector) {
    requireProtectedRing0(processor);
    loadLocalDescriptorTable(processor, selector & 0xFFFF, GuestFault.GENERAL_PROTECTION, 0);
  }

  /**
   * The load of LDTR that LLDT and task switches share; a task switch raises #TS instead of #GP.
   */
  static void loadLocalDescriptorTable(
      Processor processor, int selector, int vector, int external) {
    CpuState state = processor.state;
    if (DescriptorTables.isNull(selector)) {
      loadNull(state, LDTR, selector);
      return;
    }
    int errorCode = selector & 0xFFFC | external;
    boolean longMode = state.longMode();
    if ((selector & 4) != 0 || !DescriptorTables.contains(state, selector, longMode ? 16 : 8)) {
      throw processor.fault(vector, errorCode);
    }
    long descriptor = DescriptorTables.read(processor, selector);
    if (!Descriptor.isSystem(descriptor) || Descriptor.type(descriptor) != Descriptor.LDT) {
      throw processor.fault(vector, errorCode);
    }
    if (!Descriptor.isPresent(descriptor)) {
      if (vector == GuestFault.INVALID_TSS) {
        throw processor.invalidTss(errorCode);
      }
      throw processor.notPresent(errorCode);
    }
    setSystemSegment(processor, LDTR, selector, descriptor);
  }

  /** LTR. */
  public static void loadTaskRegister(Processor processor, int selector) {
    CpuState state = processor.state;
    requireProtectedRing0(processor);
    int newSelector = selector & 0xFFFF;
    int errorCode = newSelector & 0xFFFC;
    boolean longMode = state.longMode();
    if (DescriptorTables.isNull(newSelector)) {
      throw processor.generalProtection(0);
    }
    if ((newSelector & 4) != 0
        || !DescriptorTables.contains(state, newSelector, longMode ? 16 : 8)) {
      throw processor.generalProtection(errorCode);
    }
    long descriptor = DescriptorTables.read(processor, newSelector);
    int type = Descriptor.type(descriptor);
    if (!Descriptor.isSystem(descriptor)
        || type != Descriptor.TSS_AVAILABLE && (longMode || type != Descriptor.TSS16_AVAILABLE)) {
      throw processor.generalProtection(errorCode);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(errorCode);
    }
    DescriptorTables.probeBusy(processor, newSelector);
    setSystemSegment(processor, TR, newSelector, descriptor | 2L << 40);
    DescriptorTables.setBusy(processor, newSelector, true);
  }

  /** Fills LDTR or TR; in long mode from 16 bytes, whose upper part is checked. */
  private static void setSystemSegment(
      Processor processor, int segment, int selector, long descriptor) {
    CpuState state = processor.state;
    long base = Descriptor.base(descriptor);
    if (state.longMode()) {
      long upper = DescriptorTables.readUpperHalf(processor, selector);
      base |= upper << 32;
      if ((upper >>> 40 & 0x1F) != 0 || !DescriptorTables.isCanonical(base)) {
        throw processor.generalProtection(selector & 0xFFFC);
      }
    }
    set(state, segment, selector, descriptor);
    state.segmentBase[segment] = base;
  }

  private static void requireProtectedRing0(Processor processor) {
    CpuState state = processor.state;
    if (!state.protectedMode() || state.virtual8086()) {
      throw processor.invalidOpcode();
    }
    if (state.privilege != 0) {
      throw processor.generalProtection(0);
    }
  }

  /**
   * LGDT with an operand already read from memory.
   *
   * @param base 64 bits in 64-bit mode, 32 bits otherwise, 24 bits with a 16-bit operand size
   */
  public static void loadGlobalDescriptorTable(Processor processor, int limit, long base) {
    checkTableRegister(processor, base);
    processor.state.gdtLimit = limit & 0xFFFF;
    processor.state.gdtBase = base;
  }

  /** LIDT, as {@link #loadGlobalDescriptorTable}. */
  public static void loadInterruptDescriptorTable(Processor processor, int limit, long base) {
    checkTableRegister(processor, base);
    processor.state.idtLimit = limit & 0xFFFF;
    processor.state.idtBase = base;
  }

  /** Raises the #GP of LGDT and LIDT outside ring 0; to be called before the operand is read. */
  public static void requireRing0(Processor processor) {
    if (processor.state.privilege != 0) {
      throw processor.generalProtection(0);
    }
  }

  private static void checkTableRegister(Processor processor, long base) {
    requireRing0(processor);
    if (processor.state.code64() && !DescriptorTables.isCanonical(base)) {
      throw processor.generalProtection(0);
    }
  }

  /** Raises the #GP(0) of SGDT, SIDT, SLDT, STR and SMSW in user mode under CR4.UMIP. */
  public static void checkUserModeInstructionPrevention(Processor processor) {
    CpuState state = processor.state;
    if (state.privilege != 0 && (state.cr4 & CpuState.CR4_UMIP) != 0) {
      throw processor.generalProtection(0);
    }
  }
}
