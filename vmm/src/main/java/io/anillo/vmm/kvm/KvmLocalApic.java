package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.cpu.LocalInterrupts.Besides;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.hypercall.KvmInterface;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.LongUnaryOperator;

/**
 * One processor's local APIC where the host's kernel has it, and what the processor waits for,
 * which it then knows too. Its registers come and go only while the machine stands still: messages
 * for it may arrive at any other time.
 */
final class KvmLocalApic {
  private static final int PAGE_BYTES = 1024;
  private static final int MSR_APIC_BASE = 0x1B, MSR_TSC_DEADLINE = 0x6E0;

  private final HostSystem system;
  private final int descriptor;
  private final KvmStateTransfer transfer;
  private final LocalInterrupts board;
  private final MemorySegment page;
  private final MemorySegment waiting;

  KvmLocalApic(
      HostSystem system,
      int descriptor,
      KvmStateTransfer transfer,
      LocalInterrupts board,
      Arena arena) {
    this.system = system;
    this.descriptor = descriptor;
    this.transfer = transfer;
    this.board = board;
    page = arena.allocate(PAGE_BYTES, 8);
    waiting = arena.allocate(ValueLayout.JAVA_INT);
  }

  private void call(long request, MemorySegment argument, String what) {
    if (system.ioctl(descriptor, request, argument) < 0) {
      throw new IllegalStateException(
          "KVM refuses to give or take " + what + ", error " + system.errno());
    }
  }

  /**
   * Hands the board's registers over, but for the deadline. Only while all stand still.
   *
   * @return an interrupt that is in service and has to be delivered again, or -1
   */
  int give(CpuState state) {
    transfer.putModelRegister(MSR_APIC_BASE, board.readMsr(MSR_APIC_BASE));
    Besides besides = board.putRegisters(page);
    call(KvmNumbers.SET_LAPIC, page, "the local APIC's registers");
    transfer.putModelRegister(KvmInterface.MSR_END_OF_INTERRUPT, besides.sharedEnd());
    waiting.set(
        ValueLayout.JAVA_INT,
        0,
        state.waitingForStartup
            ? KvmNumbers.STATE_INIT_RECEIVED
            : state.halted ? KvmNumbers.STATE_HALTED : KvmNumbers.STATE_RUNNABLE);
    call(KvmNumbers.SET_MP_STATE, waiting, "what the processor waits for");
    return besides.underWay();
  }

  /**
   * Arms the deadline again, which moved with the counter that it is a value of.
   *
   * @param toHardware from virtual nanoseconds of the counter to its ticks
   */
  void giveDeadline(LongUnaryOperator toHardware) {
    long deadline = board.heldDeadlineTsc();
    transfer.putModelRegister(
        MSR_TSC_DEADLINE, deadline == 0 ? 0 : Math.max(1, toHardware.applyAsLong(deadline)));
  }

  /**
   * Has the board's hold what the kernel's does, for a machine that is saved or looked at.
   *
   * @param fromHardware from the counter's ticks to its virtual nanoseconds
   * @param underWay an interrupt whose delivery had begun, or -1
   */
  void take(CpuState state, LongUnaryOperator fromHardware, int underWay) {
    call(KvmNumbers.GET_MP_STATE, waiting, "what the processor waits for");
    int value = waiting.get(ValueLayout.JAVA_INT, 0);
    state.halted = value == KvmNumbers.STATE_HALTED;
    state.waitingForStartup =
        value == KvmNumbers.STATE_UNINITIALIZED || value == KvmNumbers.STATE_INIT_RECEIVED;
    call(KvmNumbers.GET_LAPIC, page, "the local APIC's registers");
    long deadline = transfer.modelRegister(MSR_TSC_DEADLINE);
    board.takeRegisters(
        page,
        new Besides(
            deadline == 0 ? 0 : Math.max(1, fromHardware.applyAsLong(deadline)),
            transfer.modelRegister(KvmInterface.MSR_END_OF_INTERRUPT),
            underWay));
  }

  /**
   * Ends the HLT that the processor is in.
   *
   * @return whether it was in one
   */
  boolean wake() {
    call(KvmNumbers.GET_MP_STATE, waiting, "what the processor waits for");
    if (waiting.get(ValueLayout.JAVA_INT, 0) != KvmNumbers.STATE_HALTED) {
      return false;
    }
    waiting.set(ValueLayout.JAVA_INT, 0, KvmNumbers.STATE_RUNNABLE);
    call(KvmNumbers.SET_MP_STATE, waiting, "what the processor waits for");
    return true;
  }
}
