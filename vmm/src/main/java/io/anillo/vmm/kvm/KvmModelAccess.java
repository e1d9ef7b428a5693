package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.system.ModelSpecificRegisters;
import java.util.function.IntSupplier;

/**
 * RDMSR and WRMSR of a guest that KVM runs: the rules are those of the engines in software, and
 * what hardware looks at goes to it as well.
 */
final class KvmModelAccess {
  private static final int MSR_TSC = 0x10, MSR_APIC_BASE = 0x1B, MSR_TSC_ADJUST = 0x3B;
  private static final int MSR_TSC_DEADLINE = 0x6E0, MSR_EFER = 0xC000_0080;

  private final KvmRunPage page;
  private final KvmModelRegisters registers;
  private final KvmStateTransfer transfer;
  private final KvmClock clock;
  private final LocalInterrupts interrupts;
  private final IntSupplier taskPriorityClass;
  private final ExitCounters exits;
  private final CpuState state;

  /**
   * The accesses of one processor.
   *
   * @param taskPriorityClass CR8
   */
  KvmModelAccess(
      KvmRunPage page,
      KvmModelRegisters registers,
      KvmStateTransfer transfer,
      KvmClock clock,
      LocalInterrupts interrupts,
      IntSupplier taskPriorityClass,
      ExitCounters exits) {
    this.page = page;
    this.registers = registers;
    this.transfer = transfer;
    this.clock = clock;
    this.interrupts = interrupts;
    this.taskPriorityClass = taskPriorityClass;
    this.exits = exits;
    this.state = registers.state;
  }

  /** Carries out the RDMSR that the guest waits for. */
  void read() {
    int register = page.modelRegister();
    boolean fault = false;
    long value = 0;
    count(register);
    try {
      value = read(register);
    } catch (GuestFault raised) {
      fault = true;
    }
    page.setModelRegisterFault(fault);
    page.setModelRegisterValue(value);
  }

  /** Carries out the WRMSR that the guest waits for. */
  void write() {
    int register = page.modelRegister();
    boolean fault = false;
    count(register);
    try {
      write(register, page.modelRegisterValue());
    } catch (GuestFault raised) {
      fault = true;
    }
    page.setModelRegisterFault(fault);
  }

  private void count(int register) {
    if (!ModelSpecificRegisters.isLocalInterrupts(register)) {
      exits.count(ExitReason.MODEL_REGISTER);
    }
  }

  private long read(int register) {
    switch (register) {
      case MSR_TSC -> {
        return clock.counter();
      }
      case MSR_TSC_ADJUST -> {
        return clock.ticks(state.tscAdjust);
      }
      case MSR_TSC_DEADLINE -> {
        return clock.deadline();
      }
      case MSR_EFER -> transfer.takeSpecial(state);
      default -> {}
    }
    // KVM lets nobody but ring 0 come here; what we hold of the privilege may be old.
    state.privilege = 0;
    return ModelSpecificRegisters.read(registers, register);
  }

  private void write(int register, long value) {
    switch (register) {
      case MSR_TSC -> moveTime(clock.distanceTo(value));
      case MSR_TSC_ADJUST -> moveTime(clock.nanos(value) - state.tscAdjust);
      case MSR_TSC_DEADLINE -> clock.setDeadline(value);
      case MSR_EFER -> {
        transfer.takeSpecial(state);
        state.privilege = 0;
        ModelSpecificRegisters.write(registers, register, value);
        transfer.putSpecial(state, interrupts.readMsr(MSR_APIC_BASE), taskPriorityClass.getAsInt());
      }
      default -> {
        state.privilege = 0;
        if (!inHardware(register)) {
          ModelSpecificRegisters.write(registers, register, value);
          return;
        }
        long before = ModelSpecificRegisters.read(registers, register);
        ModelSpecificRegisters.write(registers, register, value);
        if (!transfer.offerModelRegister(register, value)) {
          // What this host's hardware cannot take is #GP there, and no end of the machine.
          ModelSpecificRegisters.write(registers, register, before);
          throw registers.generalProtection(0);
        }
      }
    }
  }

  /** Registers that hardware looks at, besides those that it writes itself. */
  private static boolean inHardware(int register) {
    return switch (register) {
      case MSR_APIC_BASE,
          0x174,
          0x175,
          0x176,
          0x277,
          0xC000_0081,
          0xC000_0082,
          0xC000_0083,
          0xC000_0084,
          0xC000_0103 ->
          true;
      default -> false;
    };
  }

  private void moveTime(long nanos) {
    clock.move(nanos);
    ParavirtualProcessor aware = registers.paravirtual;
    if (aware != null) {
      aware.timeStampChanged();
    }
  }
}
