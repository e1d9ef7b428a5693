package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;

/** Binary-coded decimal adjustments (Intel SDM vol. 2: AAA, AAD, AAM, AAS, DAA, DAS). */
final class DecimalSteps {
  private DecimalSteps() {}

  /** DAA and DAS. */
  static Step adjustPacked(boolean subtraction) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        CpuState state = cpu.state;
        int flags = state.arithmeticFlags();
        int old = (int) cpu.general[CpuState.RAX] & 0xFF;
        boolean oldCarry = (flags & CpuState.CF) != 0;
        int al = old;
        boolean carry = false;
        boolean auxiliary = (al & 15) > 9 || (flags & CpuState.AF) != 0;
        if (auxiliary) {
          carry = subtraction && (oldCarry || al < 6);
          al += subtraction ? -6 : 6;
        }
        if (old > 0x99 || oldCarry) {
          al += subtraction ? -0x60 : 0x60;
          carry = true;
        }
        al &= 0xFF;
        cpu.setGeneral(CpuState.RAX, 1, al);
        setResultFlags(state, al, carry, auxiliary);
      }
    };
  }

  /** AAA and AAS. */
  static Step adjustUnpacked(boolean subtraction) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        CpuState state = cpu.state;
        int flags = state.arithmeticFlags();
        int ax = (int) cpu.general[CpuState.RAX] & 0xFFFF;
        boolean adjust = (ax & 15) > 9 || (flags & CpuState.AF) != 0;
        if (adjust) {
          ax += subtraction ? -0x106 : 0x106;
        }
        ax &= 0xFF0F;
        cpu.setGeneral(CpuState.RAX, 2, ax);
        setResultFlags(state, ax & 0xFF, adjust, adjust);
      }
    };
  }

  static Step multiplyAdjust(Operands operands) {
    int divisor = (int) operands.instruction().immediate() & 0xFF;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        if (divisor == 0) {
          throw cpu.fault(GuestFault.DIVIDE, 0);
        }
        int al = (int) cpu.general[CpuState.RAX] & 0xFF;
        cpu.setGeneral(CpuState.RAX, 2, al / divisor << 8 | al % divisor);
        setResultFlags(cpu.state, al % divisor, false, false);
      }
    };
  }

  static Step divideAdjust(Operands operands) {
    int factor = (int) operands.instruction().immediate() & 0xFF;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int ax = (int) cpu.general[CpuState.RAX] & 0xFFFF;
        int al = (ax & 0xFF) + (ax >> 8) * factor & 0xFF;
        cpu.setGeneral(CpuState.RAX, 2, al);
        setResultFlags(cpu.state, al, false, false);
      }
    };
  }

  private static void setResultFlags(CpuState state, int al, boolean carry, boolean auxiliary) {
    state.flagResult = (byte) al;
    state.flagCarries = (carry ? 3L << 62 : 0) | (auxiliary ? 8 : 0);
  }
}
