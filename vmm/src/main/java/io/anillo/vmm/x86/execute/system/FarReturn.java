package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.AC;
import static io.anillo.vmm.cpu.CpuState.ARITHMETIC_FLAGS;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DF;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.ID;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.IOPL;
import static io.anillo.vmm.cpu.CpuState.NT;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TF;
import static io.anillo.vmm.cpu.CpuState.TR;
import static io.anillo.vmm.cpu.CpuState.VIF;
import static io.anillo.vmm.cpu.CpuState.VIP;
import static io.anillo.vmm.cpu.CpuState.VM;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * RETF and IRET in every mode (Intel SDM vol. 2 RET, IRET; AMD APM vol. 3). As on AMD's processors,
 * everything is read from the stack before a descriptor is, and the instruction pointer is checked
 * before the stack segment is read.
 */
public final class FarReturn {
  private static final int ALWAYS_RETURNED = ARITHMETIC_FLAGS | TF | DF | NT;
  private static final int WIDE_FLAGS = RF | AC | ID;

  private FarReturn() {}

  /**
   * RETF.
   *
   * @param operandBytes 2, 4 or 8
   * @param released bytes of parameters to drop, the immediate operand
   */
  public static void ret(Processor processor, int operandBytes, int released) {
    CpuState state = processor.state;
    StackSegment stack = StackSegment.current(processor);
    long offset = stack.peek(0, operandBytes);
    int selector = (int) stack.peek(operandBytes, operandBytes) & 0xFFFF;
    if (!state.protectedMode() || state.virtual8086()) {
      stack.release(2L * operandBytes + released);
      CodeSegment.enterReal(processor, selector, offset);
      stack.commit();
      return;
    }
    int newPrivilege = selector & 3;
    boolean outerLevel = newPrivilege != state.privilege;
    long outerPointer = outerLevel ? stack.peek(2L * operandBytes + released, operandBytes) : 0;
    int outerSelector =
        outerLevel ? (int) stack.peek(3L * operandBytes + released, operandBytes) & 0xFFFF : 0;
    long code = CodeSegment.readReturn(processor, selector);
    DescriptorTables.probeAccessed(processor, selector, code);
    if (!outerLevel) {
      CodeSegment.checkOffset(processor, code, offset, 0);
      stack.release(2L * operandBytes + released);
      stack.commit();
      CodeSegment.enter(processor, selector, code, newPrivilege, offset);
      return;
    }
    CodeSegment.checkOffset(processor, code, offset, 0);
    long outer = readOuterStack(processor, outerSelector, code, newPrivilege);
    CodeSegment.enter(processor, selector, code, newPrivilege, offset);
    loadOuterStack(processor, outerSelector, outer, outerPointer, operandBytes, released);
    SegmentLoader.dropInaccessible(state);
  }

  /**
   * IRET. Lets NMIs in again, and loads RF, which the caller must not clear at the end of this
   * instruction.
   *
   * @param operandBytes 2, 4 or 8
   * @param nextRip offset of the next instruction, which a return to another task saves
   */
  public static void interruptReturn(Processor processor, int operandBytes, long nextRip) {
    CpuState state = processor.state;
    if (!state.protectedMode()) {
      returnReal(processor, operandBytes);
    } else if (state.virtual8086()) {
      returnVirtual8086(processor, operandBytes);
    } else if ((state.systemFlags & NT) != 0) {
      returnToTask(processor, nextRip);
    } else {
      returnProtected(processor, operandBytes);
    }
    state.nmiBlocked = false;
  }

  private static void returnReal(Processor processor, int operandBytes) {
    CpuState state = processor.state;
    StackSegment stack = StackSegment.current(processor);
    long offset = stack.peek(0, operandBytes);
    int selector = (int) stack.peek(operandBytes, operandBytes) & 0xFFFF;
    int flags = (int) stack.peek(2L * operandBytes, operandBytes);
    stack.release(3L * operandBytes);
    CodeSegment.enterReal(processor, selector, offset);
    stack.commit();
    setFlags(processor, flags, ALWAYS_RETURNED | IF | IOPL | (operandBytes == 2 ? 0 : WIDE_FLAGS));
  }

  private static void returnVirtual8086(Processor processor, int operandBytes) {
    CpuState state = processor.state;
    if ((state.systemFlags & IOPL) != IOPL) {
      throw processor.generalProtection(0);
    }
    StackSegment stack = StackSegment.current(processor);
    long offset = stack.peek(0, operandBytes);
    int selector = (int) stack.peek(operandBytes, operandBytes) & 0xFFFF;
    int flags = (int) stack.peek(2L * operandBytes, operandBytes);
    stack.release(3L * operandBytes);
    CodeSegment.enterReal(processor, selector, offset);
    stack.commit();
    setFlags(processor, flags, ALWAYS_RETURNED | IF | (operandBytes == 2 ? 0 : WIDE_FLAGS));
  }

  private static void returnToTask(Processor processor, long nextRip) {
    CpuState state = processor.state;
    if (state.longMode()) {
      throw processor.generalProtection(0);
    }
    long backlink = DescriptorTables.linear(state, state.segmentBase[TR]);
    int selector = (int) processor.loadSystem(backlink, 2);
    long descriptor = TaskSwitch.readBusy(processor, selector);
    TaskSwitch.perform(processor, selector, descriptor, TaskSwitch.Cause.RETURN, nextRip);
  }

  private static void returnProtected(Processor processor, int operandBytes) {
    CpuState state = processor.state;
    StackSegment stack = StackSegment.current(processor);
    long offset = stack.peek(0, operandBytes);
    int selector = (int) stack.peek(operandBytes, operandBytes) & 0xFFFF;
    int flags = (int) stack.peek(2L * operandBytes, operandBytes);
    boolean longMode = state.longMode();
    if ((flags & VM) != 0 && operandBytes == 4 && state.privilege == 0 && !longMode) {
      enterVirtual8086(processor, stack, offset, selector, flags);
      return;
    }
    int newPrivilege = selector & 3;
    boolean outer = newPrivilege != state.privilege;
    boolean loadsStack = outer || state.code64();
    long newPointer = loadsStack ? stack.peek(3L * operandBytes, operandBytes) : 0;
    int newSelector = loadsStack ? (int) stack.peek(4L * operandBytes, operandBytes) & 0xFFFF : 0;
    long code = CodeSegment.readReturn(processor, selector);
    DescriptorTables.probeAccessed(processor, selector, code);
    int loaded = ALWAYS_RETURNED | (operandBytes == 2 ? 0 : WIDE_FLAGS);
    if (state.privilege <= (state.systemFlags & IOPL) >> 12) {
      loaded |= IF;
    }
    if (state.privilege == 0) {
      loaded |= IOPL | (operandBytes == 2 ? 0 : VIF | VIP);
    }
    if (!loadsStack) {
      CodeSegment.checkOffset(processor, code, offset, 0);
      stack.release(3L * operandBytes);
      stack.commit();
      CodeSegment.enter(processor, selector, code, newPrivilege, offset);
      setFlags(processor, flags, loaded);
      return;
    }
    CodeSegment.checkOffset(processor, code, offset, 0);
    long newStack = readOuterStack(processor, newSelector, code, newPrivilege);
    CodeSegment.enter(processor, selector, code, newPrivilege, offset);
    loadOuterStack(processor, newSelector, newStack, newPointer, operandBytes, 0);
    if (outer) {
      SegmentLoader.dropInaccessible(state);
    }
    setFlags(processor, flags, loaded);
  }

  /**
   * Reads the stack segment that a return loads.
   *
   * @return its descriptor, or 0 for the null selector that returns to rings 0 to 2 of 64-bit mode
   *     may load
   */
  private static long readOuterStack(
      Processor processor, int selector, long code, int newPrivilege) {
    if (DescriptorTables.isNull(selector)) {
      if (!CodeSegment.is64Bit(processor, code)
          || newPrivilege == 3
          || (selector & 3) != newPrivilege) {
        throw processor.generalProtection(0);
      }
      return 0;
    }
    long descriptor =
        SegmentLoader.readStack(
            processor, selector, newPrivilege, GuestFault.GENERAL_PROTECTION, 0);
    DescriptorTables.probeAccessed(processor, selector, descriptor);
    return descriptor;
  }

  /** Loads SS and the stack pointer, when CS is already that of the outer level. */
  private static void loadOuterStack(
      Processor processor,
      int selector,
      long descriptor,
      long pointer,
      int operandBytes,
      int released) {
    CpuState state = processor.state;
    if (descriptor == 0) {
      FarTransfer.loadNullStack(state, selector & 3);
    } else {
      SegmentLoader.set(
          state, SS, selector, DescriptorTables.markAccessed(processor, selector, descriptor));
    }
    if (state.code64()) {
      state.general[RSP] = pointer + released;
    } else if ((state.segmentAccess[SS] & CpuState.ACCESS_BIG) != 0) {
      state.general[RSP] = pointer + released & 0xFFFF_FFFFL;
    } else {
      // A 16-bit stack: the rest of ESP keeps what it had, as on real processors.
      state.general[RSP] = state.general[RSP] & 0xFFFF_0000L | pointer + released & 0xFFFF;
    }
    processor.modeChanged();
  }

  private static void enterVirtual8086(
      Processor processor, StackSegment stack, long offset, int selector, int flags) {
    CpuState state = processor.state;
    long pointer = stack.peek(12, 4);
    int stackSelector = (int) stack.peek(16, 4) & 0xFFFF;
    int es = (int) stack.peek(20, 4) & 0xFFFF;
    int ds = (int) stack.peek(24, 4) & 0xFFFF;
    int fs = (int) stack.peek(28, 4) & 0xFFFF;
    int gs = (int) stack.peek(32, 4) & 0xFFFF;
    if (offset > 0xFFFF) {
      throw processor.generalProtection(0);
    }
    state.setRflags(flags);
    state.general[RSP] = pointer & 0xFFFF_FFFFL;
    SegmentLoader.loadVirtual8086(state, CS, selector);
    SegmentLoader.loadVirtual8086(state, SS, stackSelector);
    SegmentLoader.loadVirtual8086(state, ES, es);
    SegmentLoader.loadVirtual8086(state, DS, ds);
    SegmentLoader.loadVirtual8086(state, FS, fs);
    SegmentLoader.loadVirtual8086(state, GS, gs);
    state.privilege = 3;
    state.rip = offset;
    processor.modeChanged();
  }

  private static void setFlags(Processor processor, int flags, int loaded) {
    CpuState state = processor.state;
    state.setRflags(state.rflags() & ~loaded | flags & loaded);
    processor.modeChanged();
  }
}
