package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.ACCESS_UNUSABLE;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.LDTR;
import static io.anillo.vmm.cpu.CpuState.NT;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TR;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Hardware task switches, outside long mode (Intel SDM vol. 3A §7.3).
 *
 * <p>Faults found before the new task's registers are loaded leave the old task untouched; those
 * found in its segments come up in the new task, as the manual says. A set T bit leaves {@link
 * DebugRegisters#TASK_SWITCH} in {@link CpuState#pendingDebug}: a #DB before the first instruction.
 */
final class TaskSwitch {
  /** What caused a switch. */
  enum Cause {
    JUMP,
    CALL,
    RETURN,
    INTERRUPT;

    /** Whether the new task returns to the old one. */
    boolean nests() {
      return this == CALL || this == INTERRUPT;
    }
  }

  private static final int LIMIT16 = 0x2B, LIMIT32 = 0x67;

  /** Offsets in the 32-bit TSS; registers and segments follow each other, four bytes each. */
  private static final int CR3 = 0x1C, EIP32 = 0x20, FLAGS32 = 0x24, REGISTERS32 = 0x28;

  private static final int SEGMENTS32 = 0x48, LDT32 = 0x60, TRAP32 = 0x64;

  /** Offsets in the 16-bit TSS, two bytes each. */
  private static final int IP16 = 0x0E, FLAGS16 = 0x10, REGISTERS16 = 0x12;

  private static final int SEGMENTS16 = 0x22, LDT16 = 0x2A;

  /** DR7: the local enable bits, which a task switch clears. */
  private static final long LOCAL_BREAKPOINTS = 0x155;

  private TaskSwitch() {}

  /** Reads the TSS descriptor that a jump, call or interrupt switches to. */
  static long readAvailable(Processor processor, int selector, int external) {
    long descriptor = read(processor, selector, GuestFault.GENERAL_PROTECTION, external);
    int type = Descriptor.type(descriptor);
    if (!Descriptor.isSystem(descriptor)
        || type != Descriptor.TSS_AVAILABLE && type != Descriptor.TSS16_AVAILABLE) {
      throw processor.generalProtection(selector & 0xFFFC | external);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(selector & 0xFFFC | external);
    }
    return descriptor;
  }

  /** Reads the TSS descriptor that an IRET switches back to. */
  static long readBusy(Processor processor, int selector) {
    long descriptor = read(processor, selector, GuestFault.INVALID_TSS, 0);
    int type = Descriptor.type(descriptor);
    if (!Descriptor.isSystem(descriptor)
        || type != Descriptor.TSS_BUSY && type != Descriptor.TSS16_BUSY) {
      throw processor.invalidTss(selector & 0xFFFC);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(selector & 0xFFFC);
    }
    return descriptor;
  }

  private static long read(Processor processor, int selector, int vector, int external) {
    if (DescriptorTables.isNull(selector) || (selector & 4) != 0) {
      throw processor.fault(vector, selector & 0xFFFC | external);
    }
    return DescriptorTables.read(processor, selector, vector, external);
  }

  /** The switch by a jump, call or IRET. */
  static void perform(
      Processor processor, int selector, long descriptor, Cause cause, long nextRip) {
    int flags = processor.state.rflags();
    perform(processor, selector, descriptor, cause, nextRip, flags, false, 0, 0);
  }

  /**
   * The switch.
   *
   * @param descriptor of the new TSS, read and checked by one of the methods above
   * @param nextRip instruction pointer that the old task saves
   * @param flags RFLAGS that the old task saves
   * @param pushesCode whether an error code goes on the new task's stack
   * @param external the EXT bit of error codes
   */
  static void perform(
      Processor processor,
      int selector,
      long descriptor,
      Cause cause,
      long nextRip,
      int flags,
      boolean pushesCode,
      int errorCode,
      int external) {
    CpuState state = processor.state;
    boolean wide = (Descriptor.type(descriptor) & 8) != 0;
    if (Descriptor.limit(descriptor) < (wide ? LIMIT32 : LIMIT16)) {
      throw processor.invalidTss(selector & 0xFFFC | external);
    }
    boolean oldWide = (state.segmentAccess[TR] & 8) != 0;
    if ((state.segmentAccess[TR] & ACCESS_UNUSABLE) != 0
        || state.segmentLimit[TR] < (oldWide ? LIMIT32 : LIMIT16)) {
      throw processor.invalidTss(state.segmentSelector[TR] & 0xFFFC | external);
    }
    long newBase = Descriptor.base(descriptor);
    int[] image = readImage(processor, newBase, wide);
    probe(processor, selector, newBase, oldWide, cause);
    boolean loadsCr3 = wide && (state.cr0 & CpuState.CR0_PG) != 0;
    if (loadsCr3 && (state.cr4 & CpuState.CR4_PAE) != 0) {
      ControlRegisters.loadPageDirectoryPointers(processor, image[Image.CR3] & 0xFFFF_FFFFL);
    }

    int oldSelector = state.segmentSelector[TR];
    if (!cause.nests()) {
      DescriptorTables.setBusy(processor, oldSelector, false);
    }
    int savedFlags = cause == Cause.RETURN ? flags & ~NT : flags;
    save(processor, oldWide, nextRip, savedFlags);
    if (cause.nests()) {
      processor.storeSystem(DescriptorTables.linear(state, newBase), 2, oldSelector);
    }
    if (cause != Cause.RETURN) {
      DescriptorTables.setBusy(processor, selector, true);
    }
    SegmentLoader.set(state, TR, selector, descriptor | 2L << 40);
    state.cr0 |= CpuState.CR0_TS;
    if (loadsCr3) {
      ControlRegisters.switchAddressSpace(processor, image[Image.CR3] & 0xFFFF_FFFFL);
    }
    loadRegisters(state, image, cause);
    processor.modeChanged();

    loadSegments(processor, image, external);
    if (Long.compareUnsigned(state.rip, state.segmentLimit[CS]) > 0) {
      throw processor.generalProtection(external);
    }
    if (pushesCode) {
      StackSegment stack = StackSegment.current(processor);
      int bytes = wide ? 4 : 2;
      stack.requireRoom(1, bytes, external);
      stack.push(bytes, errorCode & 0xFFFF_FFFFL);
      stack.commit();
    }
    if ((image[Image.TRAP] & 1) != 0) {
      state.pendingDebug |= DebugRegisters.TASK_SWITCH;
    }
  }

  /** Indexes into the image of a TSS read into memory. */
  private static final class Image {
    static final int CR3 = 0, EIP = 1, FLAGS = 2, REGISTERS = 3, SEGMENTS = 11, LDT = 17, TRAP = 18;
    static final int COUNT = 19;

    private Image() {}
  }

  private static int[] readImage(Processor processor, long base, boolean wide) {
    int[] image = new int[Image.COUNT];
    int bytes = wide ? 4 : 2;
    image[Image.EIP] = field(processor, base + (wide ? EIP32 : IP16), bytes);
    image[Image.FLAGS] = field(processor, base + (wide ? FLAGS32 : FLAGS16), bytes);
    for (int i = 0; i < 8; i++) {
      int offset = (wide ? REGISTERS32 : REGISTERS16) + i * bytes;
      image[Image.REGISTERS + i] = field(processor, base + offset, bytes);
    }
    // The 16-bit TSS has no FS and GS: they become null.
    for (int i = 0; i < (wide ? 6 : 4); i++) {
      int offset = (wide ? SEGMENTS32 : SEGMENTS16) + i * bytes;
      image[Image.SEGMENTS + i] = field(processor, base + offset, 2);
    }
    image[Image.LDT] = field(processor, base + (wide ? LDT32 : LDT16), 2);
    if (wide) {
      image[Image.CR3] = field(processor, base + CR3, 4);
      image[Image.TRAP] = field(processor, base + TRAP32, 2);
    }
    return image;
  }

  private static int field(Processor processor, long address, int bytes) {
    return (int) processor.loadSystem(DescriptorTables.linear(processor.state, address), bytes);
  }

  /** Raises the page faults that the writes of the switch would raise. */
  private static void probe(
      Processor processor, int selector, long newBase, boolean oldWide, Cause cause) {
    CpuState state = processor.state;
    long oldBase = state.segmentBase[TR];
    int first = oldWide ? EIP32 : IP16;
    int last = oldWide ? SEGMENTS32 + 20 : SEGMENTS16 + 6;
    processor.probeSystemWrite(DescriptorTables.linear(state, oldBase + first), 2);
    processor.probeSystemWrite(DescriptorTables.linear(state, oldBase + last), 2);
    if (cause.nests()) {
      processor.probeSystemWrite(DescriptorTables.linear(state, newBase), 2);
    } else {
      DescriptorTables.probeBusy(processor, state.segmentSelector[TR]);
    }
    if (cause != Cause.RETURN) {
      DescriptorTables.probeBusy(processor, selector);
    }
  }

  private static void save(Processor processor, boolean wide, long nextRip, int flags) {
    CpuState state = processor.state;
    long base = state.segmentBase[TR];
    int bytes = wide ? 4 : 2;
    put(processor, base + (wide ? EIP32 : IP16), bytes, nextRip);
    put(processor, base + (wide ? FLAGS32 : FLAGS16), bytes, flags);
    for (int i = 0; i < 8; i++) {
      int offset = (wide ? REGISTERS32 : REGISTERS16) + i * bytes;
      put(processor, base + offset, bytes, state.general[i]);
    }
    for (int i = ES; i <= (wide ? GS : DS); i++) {
      int offset = (wide ? SEGMENTS32 : SEGMENTS16) + i * bytes;
      put(processor, base + offset, 2, state.segmentSelector[i]);
    }
  }

  private static void put(Processor processor, long address, int bytes, long value) {
    processor.storeSystem(DescriptorTables.linear(processor.state, address), bytes, value);
  }

  /** Registers, flags and selectors; segments stay unusable until each is checked. */
  private static void loadRegisters(CpuState state, int[] image, Cause cause) {
    state.rip = image[Image.EIP] & 0xFFFF_FFFFL;
    state.setRflags(image[Image.FLAGS] | (cause.nests() ? NT : 0));
    for (int i = 0; i < 8; i++) {
      state.general[i] = image[Image.REGISTERS + i] & 0xFFFF_FFFFL;
    }
    for (int segment = ES; segment <= GS; segment++) {
      SegmentLoader.loadNull(state, segment, image[Image.SEGMENTS + segment]);
    }
    SegmentLoader.loadNull(state, LDTR, image[Image.LDT]);
    state.privilege = state.virtual8086() ? 3 : image[Image.SEGMENTS + CS] & 3;
    state.debug[7] &= ~LOCAL_BREAKPOINTS;
  }

  private static void loadSegments(Processor processor, int[] image, int external) {
    CpuState state = processor.state;
    SegmentLoader.loadLocalDescriptorTable(
        processor, image[Image.LDT], GuestFault.INVALID_TSS, external);
    if (state.virtual8086()) {
      for (int segment = ES; segment <= GS; segment++) {
        SegmentLoader.loadVirtual8086(state, segment, image[Image.SEGMENTS + segment]);
      }
      processor.modeChanged();
      return;
    }
    loadCode(processor, image[Image.SEGMENTS + CS], external);
    int stack = image[Image.SEGMENTS + SS];
    if (DescriptorTables.isNull(stack)) {
      throw processor.invalidTss(external);
    }
    load(
        processor,
        SS,
        stack,
        SegmentLoader.readStack(
            processor, stack, state.privilege, GuestFault.INVALID_TSS, external));
    for (int segment : new int[] {DS, ES, FS, GS}) {
      int selector = image[Image.SEGMENTS + segment];
      if (!DescriptorTables.isNull(selector)) {
        load(
            processor,
            segment,
            selector,
            SegmentLoader.readData(
                processor, selector, state.privilege, GuestFault.INVALID_TSS, external));
      }
    }
    processor.modeChanged();
  }

  private static void loadCode(Processor processor, int selector, int external) {
    int errorCode = selector & 0xFFFC | external;
    if (DescriptorTables.isNull(selector)) {
      throw processor.invalidTss(external);
    }
    long descriptor = DescriptorTables.read(processor, selector, GuestFault.INVALID_TSS, external);
    int requested = selector & 3;
    int privilege = Descriptor.privilege(descriptor);
    if (!Descriptor.isCode(descriptor)
        || (Descriptor.isConformingCode(descriptor)
            ? privilege > requested
            : privilege != requested)) {
      throw processor.invalidTss(errorCode);
    }
    if (!Descriptor.isPresent(descriptor)) {
      throw processor.notPresent(errorCode);
    }
    load(processor, CS, selector, descriptor);
  }

  private static void load(Processor processor, int segment, int selector, long descriptor) {
    long marked = DescriptorTables.markAccessed(processor, selector, descriptor);
    SegmentLoader.set(processor.state, segment, selector, marked);
  }
}
