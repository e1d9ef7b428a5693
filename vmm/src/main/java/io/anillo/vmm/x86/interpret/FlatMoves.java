package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.Operand;
import org.jspecify.annotations.Nullable;

/** MOV, MOVZX and MOVSX between a register and memory in 64-bit code, a class for each width. */
final class FlatMoves {
  private FlatMoves() {}

  /** A step for MOV, or null when the operands are of another kind. */
  static @Nullable Step move(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (!FlatStep.fits(operands)) {
      return null;
    }
    int size = to.sizeBytes();
    if (to.isGeneral() && from.isMemory()) {
      return load(operands, to.register(), size);
    }
    if (to.isMemory() && from.isGeneral()) {
      return store(operands, from.register(), size);
    }
    if (to.isMemory() && from.isImmediate()) {
      return storeConstant(operands, size, operands.instruction().immediate());
    }
    return null;
  }

  private static Step load(Operands operands, int register, int size) {
    return switch (size) {
      case 8 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[register] = cpu.load64(linear(cpu));
            }
          };
      case 4 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[register] = cpu.load32(linear(cpu)) & 0xFFFF_FFFFL;
            }
          };
      case 2 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              long value = cpu.load16(linear(cpu)) & 0xFFFF;
              cpu.general[register] = cpu.general[register] & ~0xFFFFL | value;
            }
          };
      default ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              long value = cpu.load8(linear(cpu)) & 0xFF;
              cpu.general[register] = cpu.general[register] & ~0xFFL | value;
            }
          };
    };
  }

  private static Step store(Operands operands, int register, int size) {
    return switch (size) {
      case 8 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.store64(linear(cpu), cpu.general[register]);
            }
          };
      case 4 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.store32(linear(cpu), (int) cpu.general[register]);
            }
          };
      case 2 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.store16(linear(cpu), (short) cpu.general[register]);
            }
          };
      default ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.store8(linear(cpu), (byte) cpu.general[register]);
            }
          };
    };
  }

  private static Step storeConstant(Operands operands, int size, long value) {
    return new FlatStep(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.store(linear(cpu), size, value);
      }
    };
  }

  /** MOVZX from memory to a 32- or 64-bit register. */
  static Step zeroExtend(Operands operands, int register, int fromSize) {
    if (fromSize == 1) {
      return new FlatStep(operands) {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.general[register] = cpu.load8(linear(cpu)) & 0xFF;
        }
      };
    }
    return new FlatStep(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.general[register] = cpu.load16(linear(cpu)) & 0xFFFF;
      }
    };
  }

  /**
   * MOVSX and MOVSXD from memory.
   *
   * @param mask of the destination: 32 bits or all
   */
  static Step signExtend(Operands operands, int register, int fromSize, long mask) {
    return switch (fromSize) {
      case 1 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[register] = cpu.load8(linear(cpu)) & mask;
            }
          };
      case 2 ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[register] = cpu.load16(linear(cpu)) & mask;
            }
          };
      default ->
          new FlatStep(operands) {
            @Override
            void run(InterpretedCpu cpu) {
              cpu.general[register] = cpu.load32(linear(cpu)) & mask;
            }
          };
    };
  }
}
