package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.AC;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.IOPL;
import static io.anillo.vmm.cpu.CpuState.NT;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TF;
import static io.anillo.vmm.cpu.CpuState.VM;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Delivery of interrupts and exceptions through the IDT, in every mode (Intel SDM vol. 3A ch. 6;
 * vol. 2 INT n; real mode vol. 3B §21.1.4).
 *
 * <p>Every check and every probe of the stack comes before the first change, so that a delivery
 * that faults leaves the state as it was and the fault is delivered in its place. Raising #PF sets
 * CR2, raising #DB sets DR6: that is done by whoever finds them.
 *
 * <p>Hot: a guest's system calls, page faults and timer ticks pass here. The way through a 64-bit
 * gate allocates nothing.
 */
public final class InterruptDelivery {
  /** More faults than this while delivering one event: no processor would get out of it either. */
  private static final int MOST_NESTED_FAULTS = 32;

  private static final int GATE_ERROR = 2;

  private InterruptDelivery() {}

  /**
   * Delivers an exception. {@link CpuState#rip} is what is pushed: the faulting instruction, or the
   * one after a trap (#DB after single-step or data breakpoints).
   *
   * @param errorCode pushed if the vector has one
   * @return false on a triple fault: the processor shuts down
   */
  public static boolean exception(Processor processor, int vector, int errorCode) {
    CpuState state = processor.state;
    int current = vector;
    int code = errorCode;
    for (int i = 0; i < MOST_NESTED_FAULTS; i++) {
      int flags = state.rflags() | (isFault(current) ? RF : 0);
      try {
        boolean pushesCode = GuestFault.pushesErrorCode(current);
        deliver(processor, current, code, pushesCode, 1, false, state.rip, flags);
        if (current == GuestFault.DEBUG) {
          state.debug[7] &= ~DebugRegisters.GENERAL_DETECT;
        }
        delivered(state);
        return true;
      } catch (GuestFault fault) {
        int next = combine(current, fault.vector);
        code = next == GuestFault.DOUBLE_FAULT ? 0 : fault.errorCode;
        if (current == GuestFault.DOUBLE_FAULT) {
          return false;
        }
        current = next;
      }
    }
    return false;
  }

  /**
   * Delivers an external interrupt that was acknowledged.
   *
   * @return false on a triple fault
   */
  public static boolean interrupt(Processor processor, int vector) {
    CpuState state = processor.state;
    try {
      deliver(processor, vector, 0, false, 1, false, state.rip, state.rflags());
      delivered(state);
      return true;
    } catch (GuestFault fault) {
      return exception(processor, fault.vector, fault.errorCode);
    }
  }

  /**
   * Delivers an NMI and blocks further ones until the next IRET.
   *
   * @return false on a triple fault
   */
  public static boolean nonMaskable(Processor processor) {
    processor.state.nmiBlocked = true;
    return interrupt(processor, GuestFault.NMI);
  }

  /**
   * INT n. A fault that this raises is the instruction's own: thrown, with nothing changed.
   *
   * @param nextRip offset of the next instruction, which is pushed
   */
  public static void software(Processor processor, int vector, long nextRip) {
    CpuState state = processor.state;
    if (state.virtual8086() && (state.systemFlags & IOPL) != IOPL) {
      throw processor.generalProtection(0);
    }
    softwareException(processor, vector, nextRip);
  }

  /** INT3 and INTO (when OF is set): as {@link #software}, but not subject to IOPL. */
  public static void softwareException(Processor processor, int vector, long nextRip) {
    CpuState state = processor.state;
    deliver(processor, vector, 0, false, 0, true, nextRip, state.rflags() & ~RF);
    delivered(state);
  }

  /**
   * INT1: #DB as if from hardware, without a check of the gate's DPL and without a change to DR6.
   *
   * @return false on a triple fault
   */
  public static boolean debugInterrupt(Processor processor, long nextRip) {
    processor.state.rip = nextRip;
    processor.state.systemFlags &= ~RF;
    return exception(processor, GuestFault.DEBUG, 0);
  }

  /** The vector to deliver when an exception comes up while delivering another (SDM table 6-5). */
  static int combine(int first, int second) {
    boolean secondContributory = isContributory(second);
    boolean doubled =
        isContributory(first) && secondContributory
            || first == GuestFault.PAGE_FAULT
                && (secondContributory || second == GuestFault.PAGE_FAULT);
    return doubled ? GuestFault.DOUBLE_FAULT : second;
  }

  private static boolean isContributory(int vector) {
    return vector == GuestFault.DIVIDE
        || vector >= GuestFault.INVALID_TSS && vector <= GuestFault.GENERAL_PROTECTION;
  }

  /** Whether the pushed RF is set, so that the restarted instruction meets no code breakpoint. */
  private static boolean isFault(int vector) {
    return switch (vector) {
      case GuestFault.DEBUG,
          GuestFault.NMI,
          GuestFault.BREAKPOINT,
          GuestFault.OVERFLOW,
          GuestFault.DOUBLE_FAULT,
          GuestFault.MACHINE_CHECK ->
          false;
      default -> true;
    };
  }

  private static void delivered(CpuState state) {
    state.halted = false;
    state.interruptShadow = false;
    state.stackShadow = false;
  }

  private static void deliver(
      Processor processor,
      int vector,
      int errorCode,
      boolean pushesCode,
      int external,
      boolean software,
      long rip,
      int flags) {
    CpuState state = processor.state;
    if (!state.protectedMode()) {
      deliverReal(processor, vector, rip, flags);
    } else if (state.longMode()) {
      deliverLong(processor, vector, errorCode, pushesCode, external, software, rip, flags);
    } else {
      deliverLegacy(processor, vector, errorCode, pushesCode, external, software, rip, flags);
    }
  }

  private static void deliverReal(Processor processor, int vector, long rip, int flags) {
    CpuState state = processor.state;
    if (vector * 4 + 3 > (state.idtLimit & 0xFFFF)) {
      throw processor.generalProtection(vector * 8 + GATE_ERROR);
    }
    long at = DescriptorTables.linear(state, state.idtBase + vector * 4L);
    long target = processor.loadSystem(at, 4);
    StackSegment stack = StackSegment.current(processor);
    stack.requireRoom(3, 2, 0);
    if ((target & 0xFFFF) > state.segmentLimit[CS]) {
      throw processor.generalProtection(0);
    }
    stack.push(2, flags & 0xFFFF);
    stack.push(2, state.segmentSelector[CS]);
    stack.push(2, rip & 0xFFFF);
    stack.commit();
    state.systemFlags &= ~(IF | TF | AC | RF);
    CodeSegment.loadReal(state, (int) (target >>> 16));
    state.rip = target & 0xFFFF;
    processor.modeChanged();
  }

  private static void deliverLong(
      Processor processor,
      int vector,
      int errorCode,
      boolean pushesCode,
      int external,
      boolean software,
      long rip,
      int flags) {
    CpuState state = processor.state;
    int gateError = vector * 8 + GATE_ERROR | external;
    if (vector * 16 + 15 > (state.idtLimit & 0xFFFF)) {
      throw processor.generalProtection(gateError);
    }
    long at = state.idtBase + vector * 16L;
    long gate = processor.loadSystem(at, 8);
    long upper = processor.loadSystem(at + 8, 8);
    int type = Descriptor.type(gate);
    if (!Descriptor.isSystem(gate)
        || type != Descriptor.INTERRUPT_GATE && type != Descriptor.TRAP_GATE
        || (upper >>> 40 & 0x1F) != 0) {
      throw processor.generalProtection(gateError);
    }
    if (software && Descriptor.privilege(gate) < state.privilege) {
      throw processor.generalProtection(gateError);
    }
    if (!Descriptor.isPresent(gate)) {
      throw processor.notPresent(gateError);
    }
    int selector = Descriptor.gateSelector(gate);
    long code = readTarget(processor, selector, external);
    int selectorError = selector & 0xFFFC | external;
    if (!Descriptor.isLong(code) || Descriptor.isBig(code)) {
      throw processor.generalProtection(selectorError);
    }
    if (!Descriptor.isPresent(code)) {
      throw processor.notPresent(selectorError);
    }
    int newPrivilege =
        Descriptor.isConformingCode(code) ? state.privilege : Descriptor.privilege(code);
    boolean inner = newPrivilege < state.privilege;
    int index = Descriptor.gateStackIndex(gate);
    long oldPointer = FarTransfer.callerPointer(state);
    long top;
    if (index != 0) {
      top = StackSegment.pointer64(processor, 28 + 8 * index, external);
    } else if (inner) {
      top = StackSegment.pointer64(processor, 4 + 8 * newPrivilege, external);
    } else {
      top = oldPointer;
    }
    top &= ~15L;
    long bottom = top - (pushesCode ? 48 : 40);
    if (!DescriptorTables.isCanonical(bottom) || !DescriptorTables.isCanonical(top - 8)) {
      throw processor.stackFault(external);
    }
    // Slots are aligned, so none crosses a page, and the frame touches two pages at most.
    boolean user = newPrivilege == 3;
    if (user) {
      processor.probeWrite(top - 8, 8);
      processor.probeWrite(bottom, 8);
    } else {
      processor.probeSystemWrite(top - 8, 8);
      processor.probeSystemWrite(bottom, 8);
    }
    long offset = Descriptor.gateOffset(gate) | upper << 32;
    if (!DescriptorTables.isCanonical(offset)) {
      throw processor.generalProtection(external);
    }
    DescriptorTables.probeAccessed(processor, selector, code);

    put(processor, user, top - 8, state.segmentSelector[SS]);
    put(processor, user, top - 16, oldPointer);
    put(processor, user, top - 24, flags & 0xFFFF_FFFFL);
    put(processor, user, top - 32, state.segmentSelector[CS]);
    put(processor, user, top - 40, rip);
    if (pushesCode) {
      put(processor, user, top - 48, errorCode & 0xFFFF_FFFFL);
    }
    if (inner) {
      FarTransfer.loadNullStack(state, newPrivilege);
    }
    state.general[RSP] = bottom;
    state.systemFlags &= ~(TF | NT | RF | VM | (type == Descriptor.INTERRUPT_GATE ? IF : 0));
    CodeSegment.enter(processor, selector, code, newPrivilege, offset);
  }

  private static void put(Processor processor, boolean user, long linear, long value) {
    if (user) {
      processor.store(linear, 8, value);
    } else {
      processor.storeSystem(linear, 8, value);
    }
  }

  /** Reads the code segment of a gate: one of the current or an inner level. */
  private static long readTarget(Processor processor, int selector, int external) {
    if (DescriptorTables.isNull(selector)) {
      throw processor.generalProtection(external);
    }
    long code = DescriptorTables.read(processor, selector, GuestFault.GENERAL_PROTECTION, external);
    if (!Descriptor.isCode(code) || Descriptor.privilege(code) > processor.state.privilege) {
      throw processor.generalProtection(selector & 0xFFFC | external);
    }
    return code;
  }

  private static void deliverLegacy(
      Processor processor,
      int vector,
      int errorCode,
      boolean pushesCode,
      int external,
      boolean software,
      long rip,
      int flags) {
    CpuState state = processor.state;
    int gateError = vector * 8 + GATE_ERROR | external;
    if (vector * 8 + 7 > (state.idtLimit & 0xFFFF)) {
      throw processor.generalProtection(gateError);
    }
    long gate =
        processor.loadSystem(DescriptorTables.linear(state, state.idtBase + vector * 8L), 8);
    int type = Descriptor.type(gate);
    boolean wide = type == Descriptor.INTERRUPT_GATE || type == Descriptor.TRAP_GATE;
    boolean narrow = type == Descriptor.INTERRUPT_GATE16 || type == Descriptor.TRAP_GATE16;
    if (!Descriptor.isSystem(gate) || !wide && !narrow && type != Descriptor.TASK_GATE) {
      throw processor.generalProtection(gateError);
    }
    if (software && Descriptor.privilege(gate) < state.privilege) {
      throw processor.generalProtection(gateError);
    }
    if (!Descriptor.isPresent(gate)) {
      throw processor.notPresent(gateError);
    }
    if (type == Descriptor.TASK_GATE) {
      int tss = Descriptor.gateSelector(gate);
      long descriptor = TaskSwitch.readAvailable(processor, tss, external);
      TaskSwitch.perform(
          processor,
          tss,
          descriptor,
          TaskSwitch.Cause.INTERRUPT,
          rip,
          flags,
          pushesCode,
          errorCode,
          external);
      return;
    }
    int selector = Descriptor.gateSelector(gate);
    long code = readTarget(processor, selector, external);
    boolean virtual8086 = state.virtual8086();
    int selectorError = selector & 0xFFFC | external;
    boolean conforming = Descriptor.isConformingCode(code);
    if (virtual8086 && (conforming || Descriptor.privilege(code) != 0)) {
      throw processor.generalProtection(selectorError);
    }
    if (!Descriptor.isPresent(code)) {
      throw processor.notPresent(selectorError);
    }
    int newPrivilege = conforming ? state.privilege : Descriptor.privilege(code);
    boolean inner = newPrivilege < state.privilege;
    int bytes = wide ? 4 : 2;
    int errorSlots = pushesCode ? 1 : 0;
    StackSegment stack;
    if (inner) {
      stack = StackSegment.inner(processor, newPrivilege, external);
      stack.requireRoom(
          (virtual8086 ? 9 : 5) + errorSlots, bytes, stack.selector & 0xFFFC | external);
    } else {
      stack = StackSegment.current(processor);
      stack.requireRoom(3 + errorSlots, bytes, external);
    }
    long offset = wide ? Descriptor.gateOffset(gate) : gate & 0xFFFF;
    CodeSegment.checkOffset(processor, code, offset, external);
    DescriptorTables.probeAccessed(processor, selector, code);
    stack.probeAccessed();

    if (virtual8086) {
      stack.push(bytes, state.segmentSelector[GS]);
      stack.push(bytes, state.segmentSelector[FS]);
      stack.push(bytes, state.segmentSelector[DS]);
      stack.push(bytes, state.segmentSelector[ES]);
    }
    if (inner) {
      stack.push(bytes, state.segmentSelector[SS]);
      stack.push(bytes, state.general[RSP]);
    }
    stack.push(bytes, flags & 0xFFFF_FFFFL);
    stack.push(bytes, state.segmentSelector[CS]);
    stack.push(bytes, rip);
    if (pushesCode) {
      stack.push(bytes, errorCode & 0xFFFF_FFFFL);
    }
    if (virtual8086) {
      SegmentLoader.loadNull(state, GS, 0);
      SegmentLoader.loadNull(state, FS, 0);
      SegmentLoader.loadNull(state, DS, 0);
      SegmentLoader.loadNull(state, ES, 0);
    }
    state.systemFlags &=
        ~(TF
            | NT
            | RF
            | VM
            | (type == Descriptor.INTERRUPT_GATE || type == Descriptor.INTERRUPT_GATE16 ? IF : 0));
    stack.commit();
    CodeSegment.enter(processor, selector, code, newPrivilege, offset);
  }
}
