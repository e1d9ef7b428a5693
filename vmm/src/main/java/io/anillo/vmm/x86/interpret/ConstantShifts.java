package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;
import org.jspecify.annotations.Nullable;

/** Shifts and rotations of 32- and 64-bit registers by a count in the instruction. */
final class ConstantShifts {
  private ConstantShifts() {}

  /**
   * A step, or null for the kinds that are rare.
   *
   * @param count masked, and not zero
   */
  static @Nullable Step shift(ShiftSteps.Kind kind, int register, int count, int size) {
    long mask = size == 8 ? -1L : 0xFFFF_FFFFL;
    return switch (kind) {
      case SHL ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              long a = cpu.general[register];
              long r = Alu.signExtend(a << count, size);
              cpu.general[register] = r & mask;
              CpuState state = cpu.state;
              state.flagResult = r;
              state.flagCarries = Alu.shiftLeftCarries(a, count, r, size);
            }
          };
      case SHR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              long a = cpu.general[register];
              long r = Alu.signExtend((a & mask) >>> count, size);
              cpu.general[register] = r & mask;
              CpuState state = cpu.state;
              state.flagResult = r;
              state.flagCarries = Alu.shiftRightCarries(a, count, size);
            }
          };
      case SAR ->
          new Step() {
            @Override
            void run(InterpretedCpu cpu) {
              long a = cpu.general[register];
              long r = Alu.shiftArithmetic(a, count, size);
              cpu.general[register] = r & mask;
              CpuState state = cpu.state;
              state.flagResult = r;
              state.flagCarries = Alu.shiftArithmeticCarries(a, count, size);
            }
          };
      case ROL -> rotateLeft(register, count, size, mask);
      case ROR -> size == 8 ? rotateRight64(register, count) : rotateRight32(register, count);
      case RCL, RCR -> null;
    };
  }

  private static Step rotateLeft(int register, int count, int size, long mask) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long r = Alu.rotateLeft(cpu.general[register], count, size);
        cpu.general[register] = r & mask;
        boolean carry = (r & 1) != 0;
        CpuState state = cpu.state;
        state.flagCarries = Alu.replaceCarryOverflow(state.flagCarries, carry, carry != r < 0);
      }
    };
  }

  private static Step rotateRight32(int register, int count) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int r = Integer.rotateRight((int) cpu.general[register], count);
        cpu.general[register] = r & 0xFFFF_FFFFL;
        CpuState state = cpu.state;
        state.flagCarries =
            Alu.replaceCarryOverflow(state.flagCarries, r < 0, (r << 1 < 0) != r < 0);
      }
    };
  }

  private static Step rotateRight64(int register, int count) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long r = Long.rotateRight(cpu.general[register], count);
        cpu.general[register] = r;
        CpuState state = cpu.state;
        state.flagCarries =
            Alu.replaceCarryOverflow(state.flagCarries, r < 0, (r << 1 < 0) != r < 0);
      }
    };
  }
}
