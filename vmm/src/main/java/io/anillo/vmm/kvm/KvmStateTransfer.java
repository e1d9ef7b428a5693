package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Carries the whole state of a processor between {@link CpuState} and KVM. Model-specific registers
 * that only we write are carried one way.
 */
final class KvmStateTransfer {
  private static final int SREGS_BYTES = 320, SEGMENT_BYTES = 24;

  /** Of {@code struct kvm_sregs}: the privilege of the stack segment, which is the processor's. */
  static final int PRIVILEGE = 5 * SEGMENT_BYTES + 16;

  private static final int GDT = 8 * SEGMENT_BYTES, IDT = GDT + 16, CR0 = IDT + 16;
  private static final int CR2 = CR0 + 8, CR3 = CR0 + 16, CR4 = CR0 + 24, CR8 = CR0 + 32;
  private static final int EFER = CR0 + 40, APIC_BASE = CR0 + 48, FLAGS = CR0 + 56;
  private static final int PDPTES = CR0 + 64;

  /** Segments in KVM's order. */
  private static final int[] SEGMENTS = {
    CpuState.CS,
    CpuState.DS,
    CpuState.ES,
    CpuState.FS,
    CpuState.GS,
    CpuState.SS,
    CpuState.TR,
    CpuState.LDTR
  };

  /** KVM keeps the registers in the order rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8 to r15. */
  private static final int[] GENERAL = {0, 3, 1, 2, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

  private static final int DEBUG_EXCEPTION = 1;
  private static final int MSR_KERNEL_GS_BASE = 0xC000_0102;

  /** Kept by us, without effect on hardware: automatic IBRS. */
  private static final long EFER_OURS = 1 << 21;

  private final HostSystem system;
  private final int descriptor;
  private final MemorySegment regs;
  private final MemorySegment sregs;
  private final MemorySegment xsave;
  private final MemorySegment xcrs;
  private final MemorySegment events;
  private final MemorySegment debug;
  private final MemorySegment msrs;
  private final MemorySegment attribute;
  private final MemorySegment attributeValue;

  KvmStateTransfer(HostSystem system, int descriptor, Arena arena) {
    this.system = system;
    this.descriptor = descriptor;
    regs = arena.allocate(144, 8);
    sregs = arena.allocate(SREGS_BYTES, 8);
    xsave = arena.allocate(KvmFloatingState.BYTES, 8);
    xcrs = arena.allocate(392, 8);
    events = arena.allocate(64, 8);
    debug = arena.allocate(128, 8);
    attribute = arena.allocate(24, 8);
    attributeValue = arena.allocate(8, 8);
    attribute.set(ValueLayout.JAVA_LONG, 16, attributeValue.address());
    msrs = arena.allocate(8 + 16 * 16, 8);
  }

  private void call(long request, MemorySegment argument, String what) {
    if (system.ioctl(descriptor, request, argument) < 0) {
      throw new IllegalStateException(
          "KVM refuses to give or take " + what + ", error " + system.errno());
    }
  }

  // ---- to KVM

  /**
   * Sets everything.
   *
   * @param apicBase IA32_APIC_BASE
   * @param taskPriority CR8
   */
  void put(CpuState state, long apicBase, int taskPriority) {
    putSpecial(state, apicBase, taskPriority);
    putExtended(state);
    KvmFloatingState.write(state, xsave);
    call(KvmNumbers.SET_XSAVE, xsave, "floating-point registers");
    putModelRegisters(state);
    putGeneral(state);
    putEvents(state);
    putDebug(state);
  }

  void putSpecial(CpuState state, long apicBase, int taskPriority) {
    sregs.fill((byte) 0);
    for (int i = 0; i < SEGMENTS.length; i++) {
      putSegment(state, SEGMENTS[i], (long) i * SEGMENT_BYTES);
    }
    sregs.set(ValueLayout.JAVA_LONG, GDT, state.gdtBase);
    sregs.set(ValueLayout.JAVA_SHORT, GDT + 8, (short) state.gdtLimit);
    sregs.set(ValueLayout.JAVA_LONG, IDT, state.idtBase);
    sregs.set(ValueLayout.JAVA_SHORT, IDT + 8, (short) state.idtLimit);
    sregs.set(ValueLayout.JAVA_LONG, CR0, state.cr0);
    sregs.set(ValueLayout.JAVA_LONG, CR2, state.cr2);
    sregs.set(ValueLayout.JAVA_LONG, CR3, state.cr3);
    sregs.set(ValueLayout.JAVA_LONG, CR4, state.cr4);
    sregs.set(ValueLayout.JAVA_LONG, CR8, taskPriority);
    sregs.set(ValueLayout.JAVA_LONG, EFER, state.efer & ~EFER_OURS);
    sregs.set(ValueLayout.JAVA_LONG, APIC_BASE, apicBase);
    boolean pae =
        (state.cr0 & CpuState.CR0_PG) != 0
            && (state.cr4 & CpuState.CR4_PAE) != 0
            && !state.longMode();
    if (pae) {
      sregs.set(ValueLayout.JAVA_LONG, FLAGS, KvmNumbers.SREGS2_PDPTRS_VALID);
      for (int i = 0; i < 4; i++) {
        sregs.set(ValueLayout.JAVA_LONG, PDPTES + 8L * i, state.pdptes[i]);
      }
    }
    call(KvmNumbers.SET_SREGS2, sregs, "segments and control registers");
    if ((state.cr0 & CpuState.CR0_PG) != 0 && !state.longMode()) {
      requirePaging();
    }
  }

  /** Some hosts without hardware underneath drop CR0.PG outside long mode, and say nothing. */
  private void requirePaging() {
    call(KvmNumbers.GET_SREGS2, sregs, "segments and control registers");
    if ((sregs.get(ValueLayout.JAVA_LONG, CR0) & CpuState.CR0_PG) == 0) {
      throw new IllegalStateException("the host's KVM has no paging outside long mode");
    }
  }

  private void putSegment(CpuState state, int segment, long at) {
    int access = state.segmentAccess[segment];
    sregs.set(ValueLayout.JAVA_LONG, at, state.segmentBase[segment]);
    sregs.set(ValueLayout.JAVA_INT, at + 8, (int) state.segmentLimit[segment]);
    sregs.set(ValueLayout.JAVA_SHORT, at + 12, (short) state.segmentSelector[segment]);
    int[] fields = {
      access & CpuState.ACCESS_TYPE,
      access >> 7 & 1,
      access >> CpuState.ACCESS_DPL_SHIFT & 3,
      access >> 14 & 1,
      access >> 4 & 1,
      access >> 13 & 1,
      access >> 15 & 1,
      access >> 12 & 1,
      access >> 16 & 1
    };
    if (segment == CpuState.SS) {
      fields[2] = state.privilege;
    }
    if (segment == CpuState.TR && (state.longMode() || state.protectedMode())) {
      // The hardware enters with a busy task only.
      fields[0] |= 2;
    }
    for (int i = 0; i < fields.length; i++) {
      sregs.set(ValueLayout.JAVA_BYTE, at + 14 + i, (byte) fields[i]);
    }
  }

  private void putExtended(CpuState state) {
    xcrs.fill((byte) 0);
    xcrs.set(ValueLayout.JAVA_INT, 0, 1);
    xcrs.set(ValueLayout.JAVA_LONG, 16, state.xcr0);
    call(KvmNumbers.SET_XCRS, xcrs, "XCR0");
  }

  private void putModelRegisters(CpuState state) {
    long[][] values = {
      {0xC000_0081L, state.star},
      {0xC000_0082L, state.lstar},
      {0xC000_0083L, state.cstar},
      {0xC000_0084L, state.syscallMask},
      {0xC000_0102L, state.kernelGsBase},
      {0xC000_0103L, state.tscAux},
      {0x174, state.sysenterCs},
      {0x175, state.sysenterEsp},
      {0x176, state.sysenterEip},
      {0x277, state.pat},
    };
    for (long[] value : values) {
      putModelRegister((int) value[0], value[1]);
    }
  }

  void putModelRegister(int index, long value) {
    if (!offerModelRegister(index, value)) {
      throw new IllegalStateException(
          "the host's KVM refuses model-specific register 0x%x = 0x%x".formatted(index, value));
    }
  }

  /** Sets a register, unless KVM refuses it. */
  boolean offerModelRegister(int index, long value) {
    msrs.set(ValueLayout.JAVA_INT, 0, 1);
    msrs.set(ValueLayout.JAVA_INT, 4, 0);
    msrs.set(ValueLayout.JAVA_INT, 8, index);
    msrs.set(ValueLayout.JAVA_INT, 12, 0);
    msrs.set(ValueLayout.JAVA_LONG, 16, value);
    return system.ioctl(descriptor, KvmNumbers.SET_MSRS, msrs) == 1;
  }

  long modelRegister(int index) {
    msrs.set(ValueLayout.JAVA_INT, 0, 1);
    msrs.set(ValueLayout.JAVA_INT, 4, 0);
    msrs.set(ValueLayout.JAVA_INT, 8, index);
    if (system.ioctl(descriptor, KvmNumbers.GET_MSRS, msrs) != 1) {
      throw new IllegalStateException(
          "the host's KVM does not give model-specific register 0x%x".formatted(index));
    }
    return msrs.get(ValueLayout.JAVA_LONG, 16);
  }

  /** Whether KVM lets the offset of the time stamp counter be set (since Linux 5.16). */
  boolean hasTimeStampOffset() {
    return system.ioctl(descriptor, KvmNumbers.HAS_DEVICE_ATTRIBUTE, attribute) == 0;
  }

  /**
   * What the guest's time stamp counter is ahead of the host's (scaled to the guest's frequency).
   */
  long timeStampOffset() {
    call(KvmNumbers.GET_DEVICE_ATTRIBUTE, attribute, "the time stamp counter's offset");
    return attributeValue.get(ValueLayout.JAVA_LONG, 0);
  }

  void putTimeStampOffset(long offset) {
    attributeValue.set(ValueLayout.JAVA_LONG, 0, offset);
    call(KvmNumbers.SET_DEVICE_ATTRIBUTE, attribute, "the time stamp counter's offset");
  }

  private void putGeneral(CpuState state) {
    for (int i = 0; i < GENERAL.length; i++) {
      regs.set(ValueLayout.JAVA_LONG, 8L * i, state.general[GENERAL[i]]);
    }
    regs.set(ValueLayout.JAVA_LONG, 128, state.rip);
    regs.set(ValueLayout.JAVA_LONG, 136, state.rflags());
    call(KvmNumbers.SET_REGS, regs, "general registers");
  }

  private void putEvents(CpuState state) {
    events.fill((byte) 0);
    if (state.pendingDebug != 0) {
      // A #DB before the next instruction: delivered at the entry, with what it tells in DR6.
      state.debug[6] |= state.pendingDebug;
      state.pendingDebug = 0;
      events.set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
      events.set(ValueLayout.JAVA_BYTE, 1, (byte) DEBUG_EXCEPTION);
    }
    int shadow =
        state.stackShadow
            ? KvmNumbers.SHADOW_MOV_SS
            : state.interruptShadow ? KvmNumbers.SHADOW_STI : 0;
    events.set(ValueLayout.JAVA_BYTE, 11, (byte) shadow);
    events.set(ValueLayout.JAVA_BYTE, 13, (byte) (state.nmiPending ? 1 : 0));
    events.set(ValueLayout.JAVA_BYTE, 14, (byte) (state.nmiBlocked ? 1 : 0));
    events.set(
        ValueLayout.JAVA_INT,
        20,
        KvmNumbers.EVENTS_NMI_PENDING_VALID | KvmNumbers.EVENTS_SHADOW_VALID);
    call(KvmNumbers.SET_VCPU_EVENTS, events, "pending events");
  }

  /** An interrupt whose delivery had begun: KVM's local APIC has it in service already. */
  void putInterruptUnderWay(int vector) {
    call(KvmNumbers.GET_VCPU_EVENTS, events, "pending events");
    events.set(ValueLayout.JAVA_BYTE, 8, (byte) 1);
    events.set(ValueLayout.JAVA_BYTE, 9, (byte) vector);
    events.set(ValueLayout.JAVA_BYTE, 10, (byte) 0);
    call(KvmNumbers.SET_VCPU_EVENTS, events, "pending events");
  }

  private void putDebug(CpuState state) {
    debug.fill((byte) 0);
    for (int i = 0; i < 4; i++) {
      debug.set(ValueLayout.JAVA_LONG, 8L * i, state.debug[i]);
    }
    debug.set(ValueLayout.JAVA_LONG, 32, state.debug[6]);
    debug.set(ValueLayout.JAVA_LONG, 40, state.debug[7]);
    call(KvmNumbers.SET_DEBUGREGS, debug, "debug registers");
  }

  // ---- from KVM

  /** What was under way when the processor stopped. */
  record InFlight(int interruptVector, boolean exception) {
    boolean none() {
      return interruptVector < 0 && !exception;
    }
  }

  /** Takes everything, and tells what the state has no place for. */
  InFlight take(CpuState state) {
    InFlight inFlight = takeEvents(state);
    takeGeneral(state);
    takeSpecial(state);
    call(KvmNumbers.GET_XCRS, xcrs, "XCR0");
    state.xcr0 = xcrs.get(ValueLayout.JAVA_LONG, 16);
    call(KvmNumbers.GET_XSAVE, xsave, "floating-point registers");
    KvmFloatingState.read(state, xsave);
    state.kernelGsBase = modelRegister(MSR_KERNEL_GS_BASE);
    call(KvmNumbers.GET_DEBUGREGS, debug, "debug registers");
    for (int i = 0; i < 4; i++) {
      state.debug[i] = debug.get(ValueLayout.JAVA_LONG, 8L * i);
    }
    state.debug[6] = debug.get(ValueLayout.JAVA_LONG, 32);
    state.debug[7] = debug.get(ValueLayout.JAVA_LONG, 40);
    return inFlight;
  }

  InFlight takeEvents(CpuState state) {
    call(KvmNumbers.GET_VCPU_EVENTS, events, "pending events");
    int shadow = events.get(ValueLayout.JAVA_BYTE, 11);
    // AMD's hardware does not tell the two apart (APM vol. 2 §15.21.5), and KVM then gives both.
    state.interruptShadow = (shadow & KvmNumbers.SHADOW_STI) != 0;
    state.stackShadow = shadow == KvmNumbers.SHADOW_MOV_SS;
    state.nmiPending =
        events.get(ValueLayout.JAVA_BYTE, 12) != 0 || events.get(ValueLayout.JAVA_BYTE, 13) != 0;
    state.nmiBlocked = events.get(ValueLayout.JAVA_BYTE, 14) != 0;
    boolean interrupt =
        events.get(ValueLayout.JAVA_BYTE, 8) != 0 && events.get(ValueLayout.JAVA_BYTE, 10) == 0;
    boolean soft =
        events.get(ValueLayout.JAVA_BYTE, 8) != 0 && events.get(ValueLayout.JAVA_BYTE, 10) != 0;
    boolean exception =
        events.get(ValueLayout.JAVA_BYTE, 0) != 0 || events.get(ValueLayout.JAVA_BYTE, 3) != 0;
    return new InFlight(
        interrupt ? events.get(ValueLayout.JAVA_BYTE, 9) & 0xFF : -1, exception || soft);
  }

  private void takeGeneral(CpuState state) {
    call(KvmNumbers.GET_REGS, regs, "general registers");
    for (int i = 0; i < GENERAL.length; i++) {
      state.general[GENERAL[i]] = regs.get(ValueLayout.JAVA_LONG, 8L * i);
    }
    state.rip = regs.get(ValueLayout.JAVA_LONG, 128);
    state.setRflags((int) regs.get(ValueLayout.JAVA_LONG, 136));
  }

  /** The current privilege level. */
  int privilege() {
    call(KvmNumbers.GET_SREGS2, sregs, "segments and control registers");
    return sregs.get(ValueLayout.JAVA_BYTE, PRIVILEGE) & 3;
  }

  void takeSpecial(CpuState state) {
    call(KvmNumbers.GET_SREGS2, sregs, "segments and control registers");
    for (int i = 0; i < SEGMENTS.length; i++) {
      takeSegment(state, SEGMENTS[i], (long) i * SEGMENT_BYTES);
    }
    state.privilege = state.segmentAccess[CpuState.SS] >> CpuState.ACCESS_DPL_SHIFT & 3;
    state.gdtBase = sregs.get(ValueLayout.JAVA_LONG, GDT);
    state.gdtLimit = sregs.get(ValueLayout.JAVA_SHORT, GDT + 8) & 0xFFFF;
    state.idtBase = sregs.get(ValueLayout.JAVA_LONG, IDT);
    state.idtLimit = sregs.get(ValueLayout.JAVA_SHORT, IDT + 8) & 0xFFFF;
    state.cr0 = sregs.get(ValueLayout.JAVA_LONG, CR0);
    state.cr2 = sregs.get(ValueLayout.JAVA_LONG, CR2);
    state.cr3 = sregs.get(ValueLayout.JAVA_LONG, CR3);
    state.cr4 = sregs.get(ValueLayout.JAVA_LONG, CR4);
    state.efer = sregs.get(ValueLayout.JAVA_LONG, EFER) & ~EFER_OURS | state.efer & EFER_OURS;
    if ((sregs.get(ValueLayout.JAVA_LONG, FLAGS) & KvmNumbers.SREGS2_PDPTRS_VALID) != 0) {
      for (int i = 0; i < 4; i++) {
        state.pdptes[i] = sregs.get(ValueLayout.JAVA_LONG, PDPTES + 8L * i);
      }
    }
  }

  private void takeSegment(CpuState state, int segment, long at) {
    state.segmentBase[segment] = sregs.get(ValueLayout.JAVA_LONG, at);
    state.segmentLimit[segment] = sregs.get(ValueLayout.JAVA_INT, at + 8) & 0xFFFF_FFFFL;
    state.segmentSelector[segment] = sregs.get(ValueLayout.JAVA_SHORT, at + 12) & 0xFFFF;
    int[] shifts = {0, 7, 5, 14, 4, 13, 15, 12, 16};
    int access = 0;
    for (int i = 0; i < shifts.length; i++) {
      access |= (sregs.get(ValueLayout.JAVA_BYTE, at + 14 + i) & 0xF) << shifts[i];
    }
    state.segmentAccess[segment] = access;
  }
}
