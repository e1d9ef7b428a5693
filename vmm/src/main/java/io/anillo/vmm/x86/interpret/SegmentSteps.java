package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.system.SegmentLoader;
import io.anillo.vmm.x86.execute.system.SegmentQueries;

/** Loads, stores and questions about segment registers and descriptor tables. */
final class SegmentSteps {
  private SegmentSteps() {}

  static Step store(Operands operands) {
    int segment = operands.operand(1).register();
    Place destination = selectorDestination(operands);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        destination.set(cpu, cpu.state.segmentSelector[segment]);
      }
    };
  }

  /** Selectors go to memory as 16 bits, to registers zero-extended to the operand size. */
  private static Place selectorDestination(Operands operands) {
    return operands.operand(0).isMemory()
        ? new Place.Memory(operands.address(), 2)
        : operands.place(0);
  }

  static Step load(Operands operands) {
    int segment = operands.operand(0).register();
    Place source = operands.place(1);
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        if (segment == CpuState.CS) {
          throw cpu.invalidOpcode();
        }
        SegmentLoader.load(cpu, segment, (int) source.get(cpu));
        if (segment == CpuState.SS) {
          cpu.stackSegmentLoaded();
        }
        cpu.modeChanged();
      }
    };
  }

  /** LDS, LES, LSS, LFS, LGS. */
  static Step loadPointer(Operands operands, int segment) {
    Place destination = operands.place(0);
    Address address = operands.address();
    int size = operands.operand(0).sizeBytes();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        long linear = address.linear(cpu, size + 2, false);
        long offset = cpu.load(linear, size);
        int selector = (int) cpu.load(linear + size, 2);
        SegmentLoader.load(cpu, segment, selector);
        destination.set(cpu, offset);
        cpu.modeChanged();
      }
    };
  }

  /** SGDT and SIDT. */
  static Step storeTable(Operands operands, boolean interrupts) {
    Address address = operands.address();
    int pointerBytes = operands.code64() ? 8 : 4;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentLoader.checkUserModeInstructionPrevention(cpu);
        CpuState state = cpu.state;
        long linear = address.linear(cpu, pointerBytes + 2, true);
        cpu.probeWrite(linear, pointerBytes + 2);
        cpu.store(linear, 2, interrupts ? state.idtLimit : state.gdtLimit);
        cpu.store(linear + 2, pointerBytes, interrupts ? state.idtBase : state.gdtBase);
      }
    };
  }

  /** LGDT and LIDT. */
  static Step loadTable(Operands operands, boolean interrupts) {
    Address address = operands.address();
    boolean code64 = operands.code64();
    boolean narrow = operands.operandBytes() == 2 && !code64;
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentLoader.requireRing0(cpu);
        long linear = address.linear(cpu, code64 ? 10 : 6, false);
        int limit = (int) cpu.load(linear, 2);
        long base = cpu.load(linear + 2, code64 ? 8 : 4);
        if (narrow) {
          base &= 0xFF_FFFF;
        }
        if (interrupts) {
          SegmentLoader.loadInterruptDescriptorTable(cpu, limit, base);
        } else {
          SegmentLoader.loadGlobalDescriptorTable(cpu, limit, base);
        }
      }
    };
  }

  /** SLDT and STR. */
  static Step storeSystem(Operands operands, int register) {
    Place destination = selectorDestination(operands);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentQueries.requireProtectedMode(cpu);
        SegmentLoader.checkUserModeInstructionPrevention(cpu);
        destination.set(cpu, cpu.state.segmentSelector[register]);
      }
    };
  }

  /** LLDT and LTR. */
  static Step loadSystem(Operands operands, int register) {
    Place source = operands.place(0);
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentQueries.requireProtectedMode(cpu);
        SegmentLoader.requireRing0(cpu);
        int selector = (int) source.get(cpu);
        if (register == CpuState.LDTR) {
          SegmentLoader.loadLocalDescriptorTable(cpu, selector);
        } else {
          SegmentLoader.loadTaskRegister(cpu, selector);
        }
      }
    };
  }

  /** VERR and VERW. */
  static Step verify(Operands operands, boolean write) {
    Place source = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentQueries.requireProtectedMode(cpu);
        int selector = (int) source.get(cpu);
        boolean allowed =
            write
                ? SegmentQueries.isWritable(cpu, selector)
                : SegmentQueries.isReadable(cpu, selector);
        FlagSteps.setZero(cpu.state, allowed);
      }
    };
  }

  /** LAR and LSL. */
  static Step query(Operands operands, boolean limit) {
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentQueries.requireProtectedMode(cpu);
        int selector = (int) source.get(cpu);
        long answer =
            limit
                ? SegmentQueries.limit(cpu, selector)
                : SegmentQueries.accessRights(cpu, selector);
        boolean visible = answer != SegmentQueries.NOT_VISIBLE;
        if (visible) {
          destination.set(cpu, answer);
        }
        FlagSteps.setZero(cpu.state, visible);
      }
    };
  }

  /** ARPL. */
  static Step adjustPrivilege(Operands operands) {
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        SegmentQueries.requireProtectedMode(cpu);
        long selector = destination.get(cpu);
        long level = source.get(cpu) & 3;
        boolean raise = (selector & 3) < level;
        if (raise) {
          destination.set(cpu, selector & ~3L | level);
        }
        FlagSteps.setZero(cpu.state, raise);
      }
    };
  }
}
