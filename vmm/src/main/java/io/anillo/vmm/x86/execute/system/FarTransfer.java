package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Far jumps and calls: direct, through call gates, task gates and TSS descriptors (Intel SDM vol. 2
 * JMP, CALL; vol. 3A §5.8).
 */
public final class FarTransfer {
  private FarTransfer() {}

  /**
   * JMP far.
   *
   * @param offset zero-extended from the operand size
   * @param nextRip offset of the next instruction, which a task switch saves
   */
  public static void jump(Processor processor, int selector, long offset, long nextRip) {
    CpuState state = processor.state;
    int target = selector & 0xFFFF;
    if (!state.protectedMode() || state.virtual8086()) {
      CodeSegment.enterReal(processor, target, offset);
      return;
    }
    long descriptor = readTarget(processor, target);
    if (Descriptor.isSystem(descriptor)) {
      switch (Descriptor.type(descriptor)) {
        case Descriptor.CALL_GATE -> jumpThroughGate(processor, target, descriptor, true);
        case Descriptor.CALL_GATE16 -> {
          requireLegacy(processor, target);
          jumpThroughGate(processor, target, descriptor, false);
        }
        default -> task(processor, target, descriptor, TaskSwitch.Cause.JUMP, nextRip);
      }
      return;
    }
    if (!Descriptor.isCode(descriptor)) {
      throw processor.generalProtection(target & 0xFFFC);
    }
    CodeSegment.readDirect(processor, target, descriptor);
    CodeSegment.checkOffset(processor, descriptor, offset, 0);
    CodeSegment.enter(processor, target, descriptor, state.privilege, offset);
  }

  /**
   * CALL far.
   *
   * @param offset zero-extended from the operand size
   * @param operandBytes 2, 4 or 8
   * @param nextRip offset of the next instruction
   */
  public static void call(
      Processor processor, int selector, long offset, int operandBytes, long nextRip) {
    CpuState state = processor.state;
    int target = selector & 0xFFFF;
    if (!state.protectedMode() || state.virtual8086()) {
      callReal(processor, target, offset, operandBytes, nextRip);
      return;
    }
    long descriptor = readTarget(processor, target);
    if (Descriptor.isSystem(descriptor)) {
      switch (Descriptor.type(descriptor)) {
        case Descriptor.CALL_GATE -> callThroughGate(processor, target, descriptor, true, nextRip);
        case Descriptor.CALL_GATE16 -> {
          requireLegacy(processor, target);
          callThroughGate(processor, target, descriptor, false, nextRip);
        }
        default -> task(processor, target, descriptor, TaskSwitch.Cause.CALL, nextRip);
      }
      return;
    }
    if (!Descriptor.isCode(descriptor)) {
      throw processor.generalProtection(target & 0xFFFC);
    }
    CodeSegment.readDirect(processor, target, descriptor);
    DescriptorTables.probeAccessed(processor, target, descriptor);
    StackSegment stack = StackSegment.current(processor);
    stack.requireRoom(2, operandBytes, 0);
    CodeSegment.checkOffset(processor, descriptor, offset, 0);
    stack.push(operandBytes, state.segmentSelector[CS]);
    stack.push(operandBytes, nextRip);
    stack.commit();
    CodeSegment.enter(processor, target, descriptor, state.privilege, offset);
  }

  private static void callReal(
      Processor processor, int selector, long offset, int operandBytes, long nextRip) {
    CpuState state = processor.state;
    StackSegment stack = StackSegment.current(processor);
    stack.requireRoom(2, operandBytes, 0);
    if (Long.compareUnsigned(offset, state.segmentLimit[CS]) > 0) {
      throw processor.generalProtection(0);
    }
    stack.push(operandBytes, state.segmentSelector[CS]);
    stack.push(operandBytes, nextRip);
    stack.commit();
    CodeSegment.enterReal(processor, selector, offset);
  }

  private static long readTarget(Processor processor, int selector) {
    if (DescriptorTables.isNull(selector)) {
      throw processor.generalProtection(0);
    }
    return DescriptorTables.read(processor, selector, GuestFault.GENERAL_PROTECTION, 0);
  }

  /** 16-bit gates, task gates and task switches do not exist in long mode. */
  private static void requireLegacy(Processor processor, int selector) {
    if (processor.state.longMode()) {
      throw processor.generalProtection(selector & 0xFFFC);
    }
  }

  private static void requireAccess(Processor processor, int selector, long descriptor) {
    int privilege = Descriptor.privilege(descriptor);
    if (privilege < processor.state.privilege || privilege < (selector & 3)) {
      throw processor.generalProtection(selector & 0xFFFC);
    }
  }

  /** A far jump or call whose target is a task gate or a TSS. */
  private static void task(
      Processor processor, int selector, long descriptor, TaskSwitch.Cause cause, long nextRip) {
    requireLegacy(processor, selector);
    int errorCode = selector & 0xFFFC;
    switch (Descriptor.type(descriptor)) {
      case Descriptor.TASK_GATE -> {
        requireAccess(processor, selector, descriptor);
        if (!Descriptor.isPresent(descriptor)) {
          throw processor.notPresent(errorCode);
        }
        int tss = Descriptor.gateSelector(descriptor);
        long target = TaskSwitch.readAvailable(processor, tss, 0);
        TaskSwitch.perform(processor, tss, target, cause, nextRip);
      }
      case Descriptor.TSS16_AVAILABLE, Descriptor.TSS_AVAILABLE -> {
        requireAccess(processor, selector, descriptor);
        TaskSwitch.perform(
            processor, selector, TaskSwitch.readAvailable(processor, selector, 0), cause, nextRip);
      }
      default -> throw processor.generalProtection(errorCode);
    }
  }

  /** What a call gate says, its code segment read and checked. */
  private static long readGateTarget(Processor processor, int gateSelector, long gate) {
    CpuState state = processor.state;
    boolean longMode = state.longMode();
    int errorCode = gateSelector & 0xFFFC;
    if (longMode && !DescriptorTables.contains(state, gateSelector, 16)) {
      throw processor.generalProtection(errorCode);
    }
    requireAccess(processor, gateSelector, gate);
    if (longMode && (DescriptorTables.readUpperHalf(processor, gateSelector) >>> 40 & 0x1F) != 0) {
      throw processor.generalProtection(errorCode);
    }
    if (!Descriptor.isPresent(gate)) {
      throw processor.notPresent(errorCode);
    }
    int selector = Descriptor.gateSelector(gate);
    if (DescriptorTables.isNull(selector)) {
      throw processor.generalProtection(0);
    }
    long code = DescriptorTables.read(processor, selector, GuestFault.GENERAL_PROTECTION, 0);
    if (!Descriptor.isCode(code) || Descriptor.privilege(code) > state.privilege) {
      throw processor.generalProtection(selector & 0xFFFC);
    }
    if (longMode && (!Descriptor.isLong(code) || Descriptor.isBig(code))) {
      throw processor.generalProtection(selector & 0xFFFC);
    }
    return code;
  }

  private static long gateOffset(Processor processor, int gateSelector, long gate, boolean wide) {
    if (processor.state.longMode()) {
      return Descriptor.gateOffset(gate)
          | DescriptorTables.readUpperHalf(processor, gateSelector) << 32;
    }
    return wide ? Descriptor.gateOffset(gate) : gate & 0xFFFF;
  }

  private static void jumpThroughGate(
      Processor processor, int gateSelector, long gate, boolean wide) {
    CpuState state = processor.state;
    long code = readGateTarget(processor, gateSelector, gate);
    int selector = Descriptor.gateSelector(gate);
    if (!Descriptor.isConformingCode(code) && Descriptor.privilege(code) != state.privilege) {
      throw processor.generalProtection(selector & 0xFFFC);
    }
    if (!Descriptor.isPresent(code)) {
      throw processor.notPresent(selector & 0xFFFC);
    }
    long offset = gateOffset(processor, gateSelector, gate, wide);
    CodeSegment.checkOffset(processor, code, offset, 0);
    CodeSegment.enter(processor, selector, code, state.privilege, offset);
  }

  private static void callThroughGate(
      Processor processor, int gateSelector, long gate, boolean wide, long nextRip) {
    CpuState state = processor.state;
    long code = readGateTarget(processor, gateSelector, gate);
    int selector = Descriptor.gateSelector(gate);
    if (!Descriptor.isPresent(code)) {
      throw processor.notPresent(selector & 0xFFFC);
    }
    long offset = gateOffset(processor, gateSelector, gate, wide);
    int newPrivilege = Descriptor.privilege(code);
    boolean inner = !Descriptor.isConformingCode(code) && newPrivilege < state.privilege;
    if (!inner) {
      newPrivilege = state.privilege;
    }
    DescriptorTables.probeAccessed(processor, selector, code);
    if (state.longMode()) {
      enterLong(processor, selector, code, inner ? newPrivilege : -1, offset, nextRip);
      return;
    }
    int bytes = wide ? 4 : 2;
    StackSegment stack;
    if (inner) {
      int parameters = Descriptor.gateParameters(gate);
      StackSegment caller = StackSegment.current(processor);
      stack = StackSegment.inner(processor, newPrivilege, 0);
      stack.requireRoom(4 + parameters, bytes, stack.selector & 0xFFFC);
      CodeSegment.checkOffset(processor, code, offset, 0);
      stack.probeAccessed();
      for (int i = 0; i < parameters; i++) {
        caller.peek((long) i * bytes, bytes);
      }
      stack.push(bytes, state.segmentSelector[SS]);
      stack.push(bytes, state.general[RSP]);
      for (int i = parameters - 1; i >= 0; i--) {
        stack.push(bytes, caller.peek((long) i * bytes, bytes));
      }
    } else {
      stack = StackSegment.current(processor);
      stack.requireRoom(2, bytes, 0);
      CodeSegment.checkOffset(processor, code, offset, 0);
    }
    stack.push(bytes, state.segmentSelector[CS]);
    stack.push(bytes, nextRip);
    stack.commit();
    CodeSegment.enter(processor, selector, code, newPrivilege, offset);
  }

  /**
   * The call through a 64-bit gate.
   *
   * @param innerPrivilege the new privilege level, or -1 when it stays
   */
  private static void enterLong(
      Processor processor, int selector, long code, int innerPrivilege, long offset, long nextRip) {
    CpuState state = processor.state;
    boolean inner = innerPrivilege >= 0;
    StackSegment stack =
        inner
            ? StackSegment.flat(
                processor,
                StackSegment.pointer64(processor, 4 + 8 * innerPrivilege, 0),
                innerPrivilege)
            : StackSegment.flat(processor, callerPointer(state));
    stack.requireRoom(inner ? 4 : 2, 8, 0);
    CodeSegment.checkOffset(processor, code, offset, 0);
    if (inner) {
      stack.push(8, state.segmentSelector[SS]);
      stack.push(8, callerPointer(state));
    }
    stack.push(8, state.segmentSelector[CS]);
    stack.push(8, nextRip);
    stack.commit();
    int newPrivilege = inner ? innerPrivilege : state.privilege;
    if (inner) {
      loadNullStack(state, newPrivilege);
    }
    CodeSegment.enter(processor, selector, code, newPrivilege, offset);
  }

  /** RSP, of which compatibility mode has only the lower half. */
  static long callerPointer(CpuState state) {
    long pointer = state.general[RSP];
    return state.code64() ? pointer : pointer & 0xFFFF_FFFFL;
  }

  /** A change to an inner level of 64-bit mode leaves a null SS whose RPL is the new level. */
  static void loadNullStack(CpuState state, int privilege) {
    SegmentLoader.loadNull(state, SS, privilege);
    state.segmentAccess[SS] |= privilege << CpuState.ACCESS_DPL_SHIFT;
  }
}
