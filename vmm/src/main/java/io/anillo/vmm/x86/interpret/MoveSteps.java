package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;

/**
 * What moves integers without computing: MOV, LEA, MOVZX, MOVSX, CMOVcc, SETcc, BSWAP, CBW, CWD,
 * XLAT.
 */
final class MoveSteps {
  private MoveSteps() {}

  static Step move(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (operands.code64()) {
      Step hot = hotMove(operands, to, from);
      if (hot != null) {
        return hot;
      }
    }
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        destination.set(cpu, source.get(cpu));
      }
    };
  }

  private static @org.jspecify.annotations.Nullable Step hotMove(
      Operands operands, Operand to, Operand from) {
    int size = to.sizeBytes();
    if (to.isGeneral() && from.isGeneral()) {
      return size == 8
          ? new Register64(to.register(), from.register())
          : size == 4 ? new Register32(to.register(), from.register()) : null;
    }
    if (to.isGeneral() && from.isImmediate() && size >= 4) {
      long value = operands.instruction().immediate();
      return new Constant(to.register(), size == 8 ? value : value & 0xFFFF_FFFFL);
    }
    return FlatMoves.move(operands);
  }

  static Step loadAddress(Operands operands) {
    Operand to = operands.operand(0);
    Address address = operands.address();
    int register = to.register();
    if (to.sizeBytes() >= 4) {
      long mask = to.sizeBytes() == 8 ? -1L : 0xFFFF_FFFFL;
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.general[register] = address.offset(cpu) & mask;
        }
      };
    }
    Place destination = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        destination.set(cpu, address.offset(cpu));
      }
    };
  }

  static Step zeroExtend(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (to.sizeBytes() >= 4) {
      if (from.isMemory() && FlatStep.fits(operands)) {
        return FlatMoves.zeroExtend(operands, to.register(), from.sizeBytes());
      }
      if (from.isGeneral()) {
        int destination = to.register();
        int source = from.register();
        long mask = from.sizeBytes() == 1 ? 0xFF : 0xFFFF;
        return new Step() {
          @Override
          void run(InterpretedCpu cpu) {
            cpu.general[destination] = cpu.general[source] & mask;
          }
        };
      }
    }
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        destination.set(cpu, source.get(cpu));
      }
    };
  }

  static Step signExtend(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (to.sizeBytes() >= 4) {
      int register = to.register();
      int size = from.sizeBytes();
      long mask = to.sizeBytes() == 8 ? -1L : 0xFFFF_FFFFL;
      if (from.isMemory() && FlatStep.fits(operands)) {
        return FlatMoves.signExtend(operands, register, size, mask);
      }
      if (from.isGeneral()) {
        int source = from.register();
        return new Step() {
          @Override
          void run(InterpretedCpu cpu) {
            cpu.general[register] = Alu.signExtend(cpu.general[source], size) & mask;
          }
        };
      }
    }
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        destination.set(cpu, Alu.signExtend(source.get(cpu), source.size));
      }
    };
  }

  static Step conditionalMove(Operands operands, int condition) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (from.isGeneral() && to.sizeBytes() >= 4) {
      int register = to.register();
      int origin = from.register();
      long mask = to.sizeBytes() == 8 ? -1L : 0xFFFF_FFFFL;
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          boolean moves = Alu.condition(condition, cpu.state.flagResult, cpu.state.flagCarries);
          cpu.general[register] = cpu.general[moves ? origin : register] & mask;
        }
      };
    }
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        // The source is read, and a 32-bit destination zero-extended, whether or not the condition
        // holds.
        long value = source.get(cpu);
        boolean moves = Alu.condition(condition, cpu.state.flagResult, cpu.state.flagCarries);
        destination.set(cpu, moves ? value : destination.get(cpu));
      }
    };
  }

  static Step setCondition(Operands operands, int condition) {
    Place destination = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        boolean holds = Alu.condition(condition, cpu.state.flagResult, cpu.state.flagCarries);
        destination.set(cpu, holds ? 1 : 0);
      }
    };
  }

  static Step exchange(Operands operands) {
    if (operands.operand(0).isMemory()) {
      return new AtomicSteps.Exchange(operands);
    }
    if (operands.instruction().opcode() == 0x90
        && operands.operand(0).register() == CpuState.RAX
        && operands.instruction().modrm() < 0) {
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          // NOP, or PAUSE under F3.
        }
      };
    }
    Place first = operands.place(0);
    Place second = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long a = first.get(cpu);
        long b = second.get(cpu);
        first.set(cpu, b);
        second.set(cpu, a);
      }
    };
  }

  static Step byteSwap(Operands operands) {
    Operand operand = operands.operand(0);
    int register = operand.register();
    if (operand.sizeBytes() == 8) {
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.general[register] = Long.reverseBytes(cpu.general[register]);
        }
      };
    }
    if (operands.operandBytes() == 2) {
      // Undefined by the manual; processors clear the 16 bits.
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.setGeneral(register, 2, 0);
        }
      };
    }
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.general[register] = Integer.reverseBytes((int) cpu.general[register]) & 0xFFFF_FFFFL;
      }
    };
  }

  /** CBW, CWDE, CDQE. */
  static Step extendAccumulator(Operands operands) {
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.setGeneral(CpuState.RAX, size, Alu.signExtend(cpu.general[CpuState.RAX], size / 2));
      }
    };
  }

  /** CWD, CDQ, CQO. */
  static Step signToData(Operands operands) {
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.setGeneral(CpuState.RDX, size, Alu.signExtend(cpu.general[CpuState.RAX], size) >> 63);
      }
    };
  }

  /** XLAT: AL from the table at RBX. */
  static Step translate(Operands operands) {
    long mask = operands.instruction().addressMask();
    int segment = operands.instruction().segment();
    boolean code64 = operands.code64();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long offset = cpu.general[CpuState.RBX] + (cpu.general[CpuState.RAX] & 0xFF) & mask;
        cpu.setGeneral(
            CpuState.RAX, 1, cpu.load8(cpu.stringAddress(segment, offset, 1, false, code64)));
      }
    };
  }

  private static final class Register64 extends Step {
    private final int to;
    private final int from;

    Register64(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.general[to] = cpu.general[from];
    }
  }

  private static final class Register32 extends Step {
    private final int to;
    private final int from;

    Register32(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.general[to] = cpu.general[from] & 0xFFFF_FFFFL;
    }
  }

  private static final class Constant extends Step {
    private final int to;
    private final long value;

    Constant(int to, long value) {
      this.to = to;
      this.value = value;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.general[to] = value;
    }
  }
}
