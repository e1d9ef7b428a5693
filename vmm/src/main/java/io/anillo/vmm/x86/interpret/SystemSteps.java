package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.system.ControlRegisters;
import io.anillo.vmm.x86.execute.system.DebugRegisters;
import io.anillo.vmm.x86.execute.system.FastSystemCall;
import io.anillo.vmm.x86.execute.system.InterruptDelivery;
import io.anillo.vmm.x86.execute.system.ModelSpecificRegisters;
import io.anillo.vmm.x86.execute.system.SegmentLoader;

/** Privileged instructions and those that ask the processor about itself. */
final class SystemSteps {
  private SystemSteps() {}

  /**
   * An instruction after which the block ends, since it may change what the block was decoded for.
   */
  private static Step last(java.util.function.Consumer<InterpretedCpu> action) {
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        action.accept(cpu);
      }
    };
  }

  private static Step plain(java.util.function.Consumer<InterpretedCpu> action) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        action.accept(cpu);
      }
    };
  }

  static long nextRip(InterpretedCpu cpu, int next) {
    return cpu.general[CpuState.BLOCK_RIP] + next;
  }

  static Step undefined() {
    return last(cpu -> {
      throw cpu.invalidOpcode();
    });
  }

  /** VMCALL and VMMCALL: a call to the monitor, where there is a paravirtual interface. */
  static Step hypercall() {
    return last(cpu -> {
      ParavirtualProcessor paravirtual = cpu.paravirtual;
      if (paravirtual == null) {
        throw cpu.invalidOpcode();
      }
      cpu.exits.enter(ExitReason.HYPERCALL);
      try {
        paravirtual.call();
      } finally {
        cpu.exits.leave(ExitReason.HYPERCALL);
      }
      cpu.lookForInterrupts();
    });
  }

  static Step halt() {
    return last(cpu -> {
      SegmentLoader.requireRing0(cpu);
      cpu.exits.count(ExitReason.HALT);
      cpu.state.halted = true;
      cpu.lookForInterrupts();
    });
  }

  /** INVD, WBINVD: there are no caches to lose. */
  static Step privilegedNothing() {
    return plain(SegmentLoader::requireRing0);
  }

  /** CLFLUSH: faults as a load of a byte does. */
  static Step flushLine(Operands operands) {
    Address address = operands.address();
    return plain(cpu -> cpu.load8(address.linear(cpu, 1, false)));
  }

  static Step cpuid() {
    return plain(cpu -> {
      cpu.exits.count(ExitReason.CPUID);
      long[] general = cpu.general;
      int[] answer = cpu.cpuidAnswer;
      cpu.model()
          .cpuid(
              (int) general[CpuState.RAX],
              (int) general[CpuState.RCX],
              cpu.state,
              cpu.index(),
              cpu.localInterrupts(),
              answer);
      general[CpuState.RAX] = answer[0] & 0xFFFF_FFFFL;
      general[CpuState.RBX] = answer[1] & 0xFFFF_FFFFL;
      general[CpuState.RCX] = answer[2] & 0xFFFF_FFFFL;
      general[CpuState.RDX] = answer[3] & 0xFFFF_FFFFL;
    });
  }

  static Step readTimeStamp(boolean withProcessor) {
    return plain(cpu -> {
      CpuState state = cpu.state;
      if ((state.cr4 & CpuState.CR4_TSD) != 0 && state.privilege != 0) {
        throw cpu.generalProtection(0);
      }
      long stamp = cpu.timeStampCounter();
      cpu.general[CpuState.RAX] = stamp & 0xFFFF_FFFFL;
      cpu.general[CpuState.RDX] = stamp >>> 32;
      if (withProcessor) {
        cpu.general[CpuState.RCX] = state.tscAux & 0xFFFF_FFFFL;
      }
    });
  }

  /** RDPMC: there are no counters. */
  static Step readPerformanceCounter() {
    return plain(cpu -> {
      throw cpu.generalProtection(0);
    });
  }

  static Step readMsr() {
    return last(cpu -> {
      SegmentLoader.requireRing0(cpu);
      countMsr(cpu);
      long value = ModelSpecificRegisters.read(cpu, (int) cpu.general[CpuState.RCX]);
      cpu.general[CpuState.RAX] = value & 0xFFFF_FFFFL;
      cpu.general[CpuState.RDX] = value >>> 32;
    });
  }

  static Step writeMsr() {
    return last(cpu -> {
      SegmentLoader.requireRing0(cpu);
      long value = cpu.general[CpuState.RAX] & 0xFFFF_FFFFL | cpu.general[CpuState.RDX] << 32;
      countMsr(cpu);
      ModelSpecificRegisters.write(cpu, (int) cpu.general[CpuState.RCX], value);
      cpu.lookForInterrupts();
    });
  }

  /** Registers of the local interrupt controller are counted there. */
  private static void countMsr(InterpretedCpu cpu) {
    if (!ModelSpecificRegisters.isLocalInterrupts((int) cpu.general[CpuState.RCX])) {
      cpu.exits.count(ExitReason.MODEL_REGISTER);
    }
  }

  static Step fromControl(Operands operands) {
    int to = operands.operand(0).register();
    int from = operands.operand(1).register();
    int size = operands.operand(0).sizeBytes();
    return plain(cpu -> cpu.setGeneral(to, size, ControlRegisters.read(cpu, from)));
  }

  static Step toControl(Operands operands) {
    int to = operands.operand(0).register();
    Place from = operands.place(1);
    return last(cpu -> {
      ControlRegisters.write(cpu, to, from.get(cpu));
      cpu.lookForInterrupts();
    });
  }

  static Step fromDebug(Operands operands) {
    int to = operands.operand(0).register();
    int from = operands.operand(1).register();
    int size = operands.operand(0).sizeBytes();
    return plain(cpu -> cpu.setGeneral(to, size, DebugRegisters.read(cpu, from)));
  }

  static Step toDebug(Operands operands) {
    int to = operands.operand(0).register();
    Place from = operands.place(1);
    return last(cpu -> {
      DebugRegisters.write(cpu, to, from.get(cpu));
      cpu.debugRegistersChanged();
    });
  }

  static Step loadMachineStatus(Operands operands) {
    Place source = operands.place(0);
    return last(cpu -> {
      SegmentLoader.requireRing0(cpu);
      ControlRegisters.loadMachineStatus(cpu, (int) source.get(cpu));
    });
  }

  static Step storeMachineStatus(Operands operands) {
    Place destination =
        operands.operand(0).isMemory()
            ? new Place.Memory(operands.address(), 2)
            : operands.place(0);
    return plain(cpu -> destination.set(cpu, ControlRegisters.storeMachineStatus(cpu)));
  }

  static Step clearTaskSwitched() {
    return last(ControlRegisters::clearTaskSwitched);
  }

  static Step invalidatePage(Operands operands) {
    Address address = operands.address();
    boolean code64 = operands.code64();
    return last(cpu -> {
      long linear =
          code64
              ? address.linear(cpu, 1, false)
              : cpu.segmentBase[address.segment] + address.offset(cpu) & 0xFFFF_FFFFL;
      ControlRegisters.invalidatePage(cpu, linear);
    });
  }

  static Step invalidatePcid(Operands operands) {
    int typeRegister = operands.operand(0).register();
    boolean code64 = operands.code64();
    Address address = operands.address();
    return last(cpu -> {
      SegmentLoader.requireRing0(cpu);
      long linear = address.linear(cpu, 16, false);
      long type = code64 ? cpu.general[typeRegister] : cpu.general[typeRegister] & 0xFFFF_FFFFL;
      ControlRegisters.invalidatePcid(cpu, type, cpu.load64(linear), cpu.load64(linear + 8));
    });
  }

  static Step readExtendedControl() {
    return plain(cpu -> {
      long value = ControlRegisters.readExtended(cpu, (int) cpu.general[CpuState.RCX]);
      cpu.general[CpuState.RAX] = value & 0xFFFF_FFFFL;
      cpu.general[CpuState.RDX] = value >>> 32;
    });
  }

  static Step writeExtendedControl() {
    return last(cpu -> {
      long value = cpu.general[CpuState.RAX] & 0xFFFF_FFFFL | cpu.general[CpuState.RDX] << 32;
      ControlRegisters.writeExtended(cpu, (int) cpu.general[CpuState.RCX], value);
    });
  }

  static Step systemCall(Operands operands) {
    int next = operands.nextOffset();
    return last(cpu -> {
      FastSystemCall.syscall(cpu, nextRip(cpu, next));
      if ((cpu.state.systemFlags & CpuState.TF) == 0) {
        cpu.cancelSingleStep();
      }
      cpu.controlTransferred();
    });
  }

  static Step systemReturn(Operands operands) {
    int size = operands.operandBytes();
    return last(cpu -> {
      FastSystemCall.sysret(cpu, size);
      cpu.controlTransferred();
    });
  }

  static Step systemEnter() {
    return last(cpu -> {
      FastSystemCall.sysenter(cpu);
      cpu.controlTransferred();
    });
  }

  static Step systemExit() {
    return last(cpu -> {
      FastSystemCall.sysexit(cpu);
      cpu.controlTransferred();
    });
  }

  static Step swapGs() {
    return plain(FastSystemCall::swapgs);
  }

  static Step interrupt(Operands operands) {
    int vector = (int) operands.instruction().immediate() & 0xFF;
    int next = operands.nextOffset();
    return last(cpu -> {
      InterruptDelivery.software(cpu, vector, nextRip(cpu, next));
      cpu.cancelSingleStep();
      cpu.controlTransferred();
    });
  }

  static Step softwareException(Operands operands, int vector) {
    int next = operands.nextOffset();
    return last(cpu -> {
      if (vector == GuestFault.OVERFLOW && (cpu.state.arithmeticFlags() & CpuState.OF) == 0) {
        return;
      }
      InterruptDelivery.softwareException(cpu, vector, nextRip(cpu, next));
      cpu.cancelSingleStep();
      cpu.controlTransferred();
    });
  }

  static Step debugInterrupt(Operands operands) {
    int next = operands.nextOffset();
    return last(cpu -> {
      if (!InterruptDelivery.debugInterrupt(cpu, nextRip(cpu, next))) {
        cpu.shutDown();
      }
      cpu.cancelSingleStep();
      cpu.controlTransferred();
    });
  }

  static Step bound(Operands operands) {
    Place index = operands.place(0);
    Address address = operands.address();
    int size = operands.operandBytes();
    return plain(cpu -> {
      long linear = address.linear(cpu, size * 2, false);
      long value = io.anillo.vmm.x86.execute.Alu.signExtend(index.get(cpu), size);
      long low = io.anillo.vmm.x86.execute.Alu.signExtend(cpu.load(linear, size), size);
      long high = io.anillo.vmm.x86.execute.Alu.signExtend(cpu.load(linear + size, size), size);
      if (value < low || value > high) {
        throw cpu.fault(GuestFault.BOUND, 0);
      }
    });
  }

  /** RDRAND and RDSEED. */
  static Step random(Operands operands) {
    Place destination = operands.place(0);
    return plain(cpu -> {
      destination.set(cpu, cpu.random());
      FlagSteps.setOnlyCarry(cpu.state, true);
    });
  }

  /** RDFSBASE and RDGSBASE. */
  static Step readBase(Operands operands, int segment) {
    Place destination = operands.place(0);
    return plain(cpu -> {
      requireFsGsBase(cpu);
      destination.set(cpu, cpu.segmentBase[segment]);
    });
  }

  /** WRFSBASE and WRGSBASE. */
  static Step writeBase(Operands operands, int segment) {
    Place source = operands.place(0);
    return plain(cpu -> {
      requireFsGsBase(cpu);
      long value = source.get(cpu);
      if (value << 16 >> 16 != value) {
        throw cpu.generalProtection(0);
      }
      cpu.segmentBase[segment] = value;
    });
  }

  private static void requireFsGsBase(InterpretedCpu cpu) {
    if ((cpu.state.cr4 & CpuState.CR4_FSGSBASE) == 0) {
      throw cpu.invalidOpcode();
    }
  }

  // ---- ports

  static Step input(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    int fixed = from.isImmediate() ? (int) operands.instruction().immediate() & 0xFF : -1;
    int size = to.sizeBytes();
    return last(cpu -> {
      int port = fixed >= 0 ? fixed : (int) cpu.general[CpuState.RDX] & 0xFFFF;
      cpu.checkPort(port, size);
      cpu.setGeneral(CpuState.RAX, size, cpu.readPort(port, size) & 0xFFFF_FFFFL);
    });
  }

  static Step output(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    int fixed = to.isImmediate() ? (int) operands.instruction().immediate() & 0xFF : -1;
    int size = from.sizeBytes();
    return last(cpu -> {
      int port = fixed >= 0 ? fixed : (int) cpu.general[CpuState.RDX] & 0xFFFF;
      cpu.checkPort(port, size);
      cpu.writePort(port, size, (int) cpu.general[CpuState.RAX]);
    });
  }
}
