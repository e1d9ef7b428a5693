package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.system.FarReturn;
import io.anillo.vmm.x86.execute.system.FarTransfer;

/** Transfers of control: Jcc, JMP, CALL, RET, LOOP, JCXZ, and their far forms. */
final class BranchSteps {
  private BranchSteps() {}

  /** A transfer to an address known relative to the block. */
  private abstract static class Relative extends Step.Last {
    private final long delta;
    private final long mask;
    private final boolean code64;

    Relative(Operands operands) {
      this.delta = operands.nextOffset() + operands.instruction().immediate();
      this.mask = operands.ripMask();
      this.code64 = operands.code64();
    }

    /** Where it goes; faults where the code segment does not reach. */
    final long target(InterpretedCpu cpu) {
      long to = cpu.general[CpuState.BLOCK_RIP] + delta & mask;
      if (!code64) {
        cpu.checkTarget(to);
      }
      return to;
    }

    final void take(InterpretedCpu cpu) {
      cpu.jump(target(cpu));
    }
  }

  static Step conditional(Operands operands, int condition) {
    if (operands.ripMask() == -1L) {
      return new Branch(operands, condition);
    }
    return new Relative(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        if (Alu.condition(condition, cpu.state.flagResult, cpu.state.flagCarries)) {
          take(cpu);
        }
      }
    };
  }

  static Step jump(Operands operands) {
    return new Relative(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        take(cpu);
      }
    };
  }

  static Step call(Operands operands) {
    int next = operands.nextOffset();
    int size = operands.operandBytes();
    if (size == 8) {
      return new Relative(operands) {
        @Override
        void run(InterpretedCpu cpu) {
          long[] general = cpu.general;
          long pointer = general[CpuState.RSP] - 8;
          cpu.store64(pointer, general[CpuState.BLOCK_RIP] + next);
          general[CpuState.RSP] = pointer;
          take(cpu);
        }
      };
    }
    return new Relative(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        StackSteps.probePush(cpu, size);
        long to = target(cpu);
        StackSteps.push(cpu, size, cpu.general[CpuState.BLOCK_RIP] + next);
        cpu.jump(to);
      }
    };
  }

  static Step callIndirect(Operands operands) {
    Place target = operands.place(0);
    int next = operands.nextOffset();
    int size = operands.operandBytes();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        long to = target.get(cpu);
        StackSteps.probePush(cpu, size);
        cpu.checkTarget(to);
        StackSteps.push(cpu, size, cpu.general[CpuState.BLOCK_RIP] + next);
        cpu.jump(to);
      }
    };
  }

  static Step jumpIndirect(Operands operands) {
    Place target = operands.place(0);
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        long to = target.get(cpu);
        cpu.checkTarget(to);
        cpu.jump(to);
      }
    };
  }

  static Step ret(Operands operands) {
    int released = operands.operandCount() > 0 ? (int) operands.instruction().immediate() : 0;
    int size = operands.operandBytes();
    if (size == 8) {
      return new Step.Last() {
        @Override
        void run(InterpretedCpu cpu) {
          long pointer = cpu.general[CpuState.RSP];
          long to = cpu.load64(pointer);
          cpu.checkTarget(to);
          cpu.general[CpuState.RSP] = pointer + 8 + released;
          cpu.jump(to);
        }
      };
    }
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        long to = StackSteps.peek(cpu, size, 0);
        cpu.checkTarget(to);
        StackSteps.release(cpu, size + released);
        cpu.jump(to);
      }
    };
  }

  /** LOOP, LOOPE (condition 4), LOOPNE (condition 5); -1 for LOOP. */
  static Step loop(Operands operands, int condition) {
    int size = operands.instruction().addressBytes();
    return new Relative(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        long count = Alu.zeroExtend(cpu.general[CpuState.RCX] - 1, size);
        boolean zero = cpu.state.flagResult == 0;
        if (count != 0 && (condition < 0 || zero == (condition == 4))) {
          take(cpu);
        }
        cpu.setGeneral(CpuState.RCX, size, count);
      }
    };
  }

  static Step jumpCounterZero(Operands operands) {
    int size = operands.instruction().addressBytes();
    return new Relative(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        if (Alu.zeroExtend(cpu.general[CpuState.RCX], size) == 0) {
          take(cpu);
        }
      }
    };
  }

  /** CALL and JMP with a far pointer in the instruction. */
  static Step farDirect(Operands operands, boolean call) {
    int selector = operands.instruction().immediate2();
    long offset =
        operands.instruction().immediate()
            & (operands.operandBytes() == 2 ? 0xFFFFL : 0xFFFF_FFFFL);
    int size = operands.operandBytes();
    int next = operands.nextOffset();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        transfer(cpu, call, size, selector, offset, next);
      }
    };
  }

  /** CALL and JMP with a far pointer in memory. */
  static Step farIndirect(Operands operands, boolean call) {
    int size = operands.operandBytes();
    int next = operands.nextOffset();
    Address address = operands.address();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        long linear = address.linear(cpu, size + 2, false);
        long offset = cpu.load(linear, size);
        int selector = (int) cpu.load(linear + size, 2);
        transfer(cpu, call, size, selector, offset, next);
      }
    };
  }

  private static void transfer(
      InterpretedCpu cpu, boolean call, int size, int selector, long offset, int next) {
    long nextRip = cpu.general[CpuState.BLOCK_RIP] + next;
    if (call) {
      FarTransfer.call(cpu, selector, offset, size, nextRip);
    } else {
      FarTransfer.jump(cpu, selector, offset, nextRip);
    }
    cpu.controlTransferred();
  }

  static Step farReturn(Operands operands) {
    int released = operands.operandCount() > 0 ? (int) operands.instruction().immediate() : 0;
    int size = operands.operandBytes();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        FarReturn.ret(cpu, size, released);
        cpu.controlTransferred();
      }
    };
  }

  static Step interruptReturn(Operands operands) {
    int size = operands.operandBytes();
    int next = operands.nextOffset();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        FarReturn.interruptReturn(cpu, size, cpu.general[CpuState.BLOCK_RIP] + next);
        cpu.controlTransferred();
      }
    };
  }
}
