package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;

/** Shifts and rotations (Intel SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD). */
final class ShiftSteps {
  private ShiftSteps() {}

  /** The kinds of single shifts. */
  enum Kind {
    ROL,
    ROR,
    RCL,
    RCR,
    SHL,
    SHR,
    SAR
  }

  static Step shift(Operands operands, Kind kind) {
    Place place = operands.place(0);
    Place count = operands.place(1);
    int mask = place.size == 8 ? 63 : 31;
    if (place.size >= 4
        && place instanceof Place.Register to
        && operands.operand(1).isImmediate()) {
      int n = (int) operands.instruction().immediate() & mask;
      Step step = n == 0 ? null : ConstantShifts.shift(kind, to.register(), n, place.size);
      if (step != null) {
        return step;
      }
    }
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int n = (int) count.get(cpu) & mask;
        long a = place.getForUpdate(cpu);
        if (n == 0) {
          // Flags stay, but a 32-bit register is still zero-extended and memory still written.
          place.update(cpu, a);
          return;
        }
        apply(cpu, kind, place, a, n);
      }
    };
  }

  private static void apply(InterpretedCpu cpu, Kind kind, Place place, long a, int n) {
    CpuState state = cpu.state;
    int size = place.size;
    switch (kind) {
      case SHL -> {
        long r = Alu.shiftLeft(a, n, size);
        place.update(cpu, r);
        state.flagResult = r;
        state.flagCarries = Alu.shiftLeftCarries(a, n, r, size);
      }
      case SHR -> {
        long r = Alu.shiftRight(a, n, size);
        place.update(cpu, r);
        state.flagResult = r;
        state.flagCarries = Alu.shiftRightCarries(a, n, size);
      }
      case SAR -> {
        long r = Alu.shiftArithmetic(a, n, size);
        place.update(cpu, r);
        state.flagResult = r;
        state.flagCarries = Alu.shiftArithmeticCarries(a, n, size);
      }
      case ROL -> {
        long r = Alu.rotateLeft(a, n, size);
        place.update(cpu, r);
        boolean carry = (r & 1) != 0;
        state.flagCarries = Alu.replaceCarryOverflow(state.flagCarries, carry, carry != r < 0);
      }
      case ROR -> {
        long r = Alu.rotateLeft(a, -n, size);
        place.update(cpu, r);
        boolean next = (r >>> size * 8 - 2 & 1) != 0;
        state.flagCarries = Alu.replaceCarryOverflow(state.flagCarries, r < 0, next != r < 0);
      }
      case RCL -> {
        int count = n % (size * 8 + 1);
        if (size >= 4) {
          count = n;
        }
        if (count == 0) {
          place.update(cpu, a);
          return;
        }
        long r = Alu.rotateCarryLeft(a, state.carry(), count, size);
        boolean carry = Alu.rotateCarryLeftOut(a, count, size);
        place.update(cpu, r);
        state.flagCarries = Alu.replaceCarryOverflow(state.flagCarries, carry, carry != r < 0);
      }
      case RCR -> {
        int count = size >= 4 ? n : n % (size * 8 + 1);
        if (count == 0) {
          place.update(cpu, a);
          return;
        }
        long r = Alu.rotateCarryRight(a, state.carry(), count, size);
        boolean carry = Alu.rotateCarryRightOut(a, count, size);
        place.update(cpu, r);
        boolean next = (r >>> size * 8 - 2 & 1) != 0;
        state.flagCarries = Alu.replaceCarryOverflow(state.flagCarries, carry, next != r < 0);
      }
    }
  }

  static Step doubleShift(Operands operands, boolean left) {
    Place place = operands.place(0);
    Place source = operands.place(1);
    Place count = operands.place(2);
    int mask = place.size == 8 ? 63 : 31;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int n = (int) count.get(cpu) & mask;
        long a = place.getForUpdate(cpu);
        if (n == 0) {
          place.update(cpu, a);
          return;
        }
        long b = source.get(cpu);
        int size = place.size;
        long r = left ? Alu.doubleShiftLeft(a, b, n, size) : Alu.doubleShiftRight(a, b, n, size);
        place.update(cpu, r);
        boolean carry =
            left
                ? Alu.doubleShiftLeftCarry(a, b, n, size)
                : Alu.doubleShiftRightCarry(a, b, n, size);
        cpu.state.flagResult = r;
        cpu.state.flagCarries = Alu.carries(carry, (Alu.signExtend(a, size) ^ r) < 0);
      }
    };
  }
}
