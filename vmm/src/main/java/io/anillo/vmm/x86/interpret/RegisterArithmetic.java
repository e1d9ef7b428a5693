package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;
import org.jspecify.annotations.Nullable;

/**
 * Arithmetic between 32- and 64-bit registers and immediates: a class for each operation, so that
 * HotSpot sees it as a constant.
 */
final class RegisterArithmetic {
  private RegisterArithmetic() {}

  /**
   * A step for ADD, OR, ADC, SBB, AND, SUB or XOR, or null when the operands are of another kind.
   */
  static @Nullable Step binary(Operands operands, int operation) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (!to.isGeneral() || to.sizeBytes() < 4) {
      return null;
    }
    boolean wide = to.sizeBytes() == 8;
    if (from.isGeneral()) {
      if (operation == Arithmetic.XOR && to.register() == from.register()) {
        return zero(to.register());
      }
      return wide
          ? registers64(operation, to.register(), from.register())
          : registers32(operation, to.register(), from.register());
    }
    if (from.isImmediate()) {
      long value = operands.instruction().immediate();
      return wide
          ? immediate64(operation, to.register(), value)
          : immediate32(operation, to.register(), (int) value);
    }
    return null;
  }

  /** XOR of a register with itself. */
  private static Step zero(int to) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.general[to] = 0;
        cpu.state.flagResult = 0;
        cpu.state.flagCarries = 0;
      }
    };
  }

  private static Step registers64(int operation, int to, int from) {
    return switch (operation) {
      case Arithmetic.ADD ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.ADD, cpu.state, cpu.general[to], cpu.general[from]);
            }
          };
      case Arithmetic.OR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.OR, cpu.state, cpu.general[to], cpu.general[from]);
            }
          };
      case Arithmetic.AND ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.AND, cpu.state, cpu.general[to], cpu.general[from]);
            }
          };
      case Arithmetic.SUB ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.SUB, cpu.state, cpu.general[to], cpu.general[from]);
            }
          };
      case Arithmetic.XOR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.XOR, cpu.state, cpu.general[to], cpu.general[from]);
            }
          };
      default ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(operation, cpu.state, cpu.general[to], cpu.general[from]);
            }
          };
    };
  }

  private static Step registers32(int operation, int to, int from) {
    return switch (operation) {
      case Arithmetic.ADD ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(
                          Arithmetic.ADD, cpu.state, (int) cpu.general[to], (int) cpu.general[from])
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.OR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(
                          Arithmetic.OR, cpu.state, (int) cpu.general[to], (int) cpu.general[from])
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.AND ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(
                          Arithmetic.AND, cpu.state, (int) cpu.general[to], (int) cpu.general[from])
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.SUB ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(
                          Arithmetic.SUB, cpu.state, (int) cpu.general[to], (int) cpu.general[from])
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.XOR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(
                          Arithmetic.XOR, cpu.state, (int) cpu.general[to], (int) cpu.general[from])
                      & 0xFFFF_FFFFL;
            }
          };
      default ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(
                          operation, cpu.state, (int) cpu.general[to], (int) cpu.general[from])
                      & 0xFFFF_FFFFL;
            }
          };
    };
  }

  private static Step immediate64(int operation, int to, long immediate) {
    return switch (operation) {
      case Arithmetic.ADD ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.ADD, cpu.state, cpu.general[to], immediate);
            }
          };
      case Arithmetic.OR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.OR, cpu.state, cpu.general[to], immediate);
            }
          };
      case Arithmetic.AND ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.AND, cpu.state, cpu.general[to], immediate);
            }
          };
      case Arithmetic.SUB ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.SUB, cpu.state, cpu.general[to], immediate);
            }
          };
      case Arithmetic.XOR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(Arithmetic.XOR, cpu.state, cpu.general[to], immediate);
            }
          };
      default ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply64(operation, cpu.state, cpu.general[to], immediate);
            }
          };
    };
  }

  private static Step immediate32(int operation, int to, int immediate) {
    return switch (operation) {
      case Arithmetic.ADD ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(Arithmetic.ADD, cpu.state, (int) cpu.general[to], immediate)
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.OR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(Arithmetic.OR, cpu.state, (int) cpu.general[to], immediate)
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.AND ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(Arithmetic.AND, cpu.state, (int) cpu.general[to], immediate)
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.SUB ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(Arithmetic.SUB, cpu.state, (int) cpu.general[to], immediate)
                      & 0xFFFF_FFFFL;
            }
          };
      case Arithmetic.XOR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(Arithmetic.XOR, cpu.state, (int) cpu.general[to], immediate)
                      & 0xFFFF_FFFFL;
            }
          };
      default ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[to] =
                  Arithmetic.apply32(operation, cpu.state, (int) cpu.general[to], immediate)
                      & 0xFFFF_FFFFL;
            }
          };
    };
  }

  /** INC and DEC of a 32- or 64-bit register. */
  static Step count(int register, int size, boolean up) {
    long mask = size == 8 ? -1L : 0xFFFF_FFFFL;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long a = cpu.general[register];
        long r = Alu.signExtend(up ? a + 1 : a - 1, size);
        cpu.general[register] = r & mask;
        ArithmeticSteps.countFlags(cpu.state, a, r, size, up);
      }
    };
  }

  /** IMUL of registers, and of a register with an immediate, to a 32- or 64-bit register. */
  static Step multiply(int to, int first, int second, int size) {
    if (size == 8) {
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.general[to] = multiply64(cpu, cpu.general[first], cpu.general[second]);
        }
      };
    }
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.general[to] = multiply32(cpu, (int) cpu.general[first], (int) cpu.general[second]);
      }
    };
  }

  static Step multiplyConstant(int to, int first, long value, int size) {
    if (size == 8) {
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.general[to] = multiply64(cpu, cpu.general[first], value);
        }
      };
    }
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.general[to] = multiply32(cpu, (int) cpu.general[first], (int) value);
      }
    };
  }

  /** IMUL of a register with memory. */
  static Step multiplyMemory(Operands operands, int to, int size) {
    if (size == 8) {
      return new FlatStep(operands) {
        @Override
        void run(InterpretedCpu cpu) {
          long b = cpu.load64(linear(cpu));
          cpu.general[to] = multiply64(cpu, cpu.general[to], b);
        }
      };
    }
    return new FlatStep(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        int b = cpu.load32(linear(cpu));
        cpu.general[to] = multiply32(cpu, (int) cpu.general[to], b);
      }
    };
  }

  private static long multiply64(InterpretedCpu cpu, long a, long b) {
    long r = a * b;
    boolean overflow = Math.multiplyHigh(a, b) != r >> 63;
    cpu.state.flagResult = r;
    cpu.state.flagCarries = Alu.carries(overflow, overflow);
    return r;
  }

  private static long multiply32(InterpretedCpu cpu, int a, int b) {
    long product = (long) a * b;
    int r = (int) product;
    boolean overflow = product != r;
    cpu.state.flagResult = r;
    cpu.state.flagCarries = Alu.carries(overflow, overflow);
    return r & 0xFFFF_FFFFL;
  }
}
