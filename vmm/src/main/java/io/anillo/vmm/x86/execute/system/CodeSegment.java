package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/** Checks and loads of CS that far transfers share. */
final class CodeSegment {
  private CodeSegment() {}

  /**
   * Reads the target of a direct far jump or call and checks it (Intel SDM vol. 3A §5.8.1).
   *
   * @return its descriptor
   */
  static long readDirect(Processor processor, int selector, long descriptor) {
    CpuState state = processor.state;
    int errorCode = selector & 0xFFFC;
    int privilege = Descriptor.privilege(descriptor);
    checkLongAndBig(processor, descriptor, errorCode);
    boolean allowed =
        Descriptor.isConformingCode(descriptor)
            ? privilege <= state.privilege
            : privilege == state.privilege && (selector & 3) <= state.privilege;
    if (!allowed) {
      throw processor.generalProtection(errorCode);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(errorCode);
    }
    return descriptor;
  }

  /** In long mode a code segment must not have both L and D set. */
  static void checkLongAndBig(Processor processor, long descriptor, int errorCode) {
    if (processor.state.longMode()
        && Descriptor.isLong(descriptor)
        && Descriptor.isBig(descriptor)) {
      throw processor.generalProtection(errorCode);
    }
  }

  /** Reads the code segment that a far return or IRET goes back to, and checks it. */
  static long readReturn(Processor processor, int selector) {
    CpuState state = processor.state;
    if (DescriptorTables.isNull(selector)) {
      throw processor.generalProtection(0);
    }
    int errorCode = selector & 0xFFFC;
    long descriptor = DescriptorTables.read(processor, selector, GuestFault.GENERAL_PROTECTION, 0);
    int requested = selector & 3;
    if (!Descriptor.isCode(descriptor) || requested < state.privilege) {
      throw processor.generalProtection(errorCode);
    }
    checkLongAndBig(processor, descriptor, errorCode);
    int privilege = Descriptor.privilege(descriptor);
    if (Descriptor.isConformingCode(descriptor) ? privilege > requested : privilege != requested) {
      throw processor.generalProtection(errorCode);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(errorCode);
    }
    return descriptor;
  }

  /** Raises #GP when an instruction pointer lies outside the segment, or is not canonical. */
  static void checkOffset(Processor processor, long descriptor, long offset, int errorCode) {
    boolean inside =
        is64Bit(processor, descriptor)
            ? DescriptorTables.isCanonical(offset)
            : Long.compareUnsigned(offset, Descriptor.limit(descriptor)) <= 0;
    if (!inside) {
      throw processor.generalProtection(errorCode);
    }
  }

  static boolean is64Bit(Processor processor, long descriptor) {
    return processor.state.longMode() && Descriptor.isLong(descriptor);
  }

  /** Loads CS at a privilege level, and the instruction pointer. */
  static void enter(
      Processor processor, int selector, long descriptor, int privilege, long offset) {
    CpuState state = processor.state;
    long marked = DescriptorTables.markAccessed(processor, selector, descriptor);
    SegmentLoader.set(state, CS, selector & ~3 | privilege, marked);
    state.privilege = privilege;
    state.rip = offset;
    processor.modeChanged();
  }

  /** Loads CS and IP in real or virtual-8086 mode. */
  static void enterReal(Processor processor, int selector, long offset) {
    CpuState state = processor.state;
    if (Long.compareUnsigned(offset, state.segmentLimit[CS]) > 0) {
      throw processor.generalProtection(0);
    }
    if (state.virtual8086()) {
      SegmentLoader.loadVirtual8086(state, CS, selector);
    } else {
      loadReal(state, selector);
    }
    state.rip = offset;
    processor.modeChanged();
  }

  /** Real mode changes the base of CS and keeps its limit and default size. */
  static void loadReal(CpuState state, int selector) {
    SegmentLoader.loadReal(state, CS, selector);
    state.segmentAccess[CS] |= 8;
    state.privilege = 0;
  }
}
