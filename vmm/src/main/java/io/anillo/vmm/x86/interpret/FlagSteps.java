package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;

/** Instructions about single flags. */
final class FlagSteps {
  private static final int LAHF_FLAGS =
      CpuState.SF | CpuState.ZF | CpuState.AF | CpuState.PF | CpuState.CF;

  private FlagSteps() {}

  /** CLC and STC. */
  static Step carry(boolean value) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        BitSteps.setCarry(cpu.state, value);
      }
    };
  }

  static Step complementCarry() {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        BitSteps.setCarry(cpu.state, !cpu.state.carry());
      }
    };
  }

  /** CLD and STD. */
  static Step direction(boolean down) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int flags = cpu.state.systemFlags;
        cpu.state.systemFlags = down ? flags | CpuState.DF : flags & ~CpuState.DF;
      }
    };
  }

  static Step load() {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long flags = cpu.state.arithmeticFlags() & LAHF_FLAGS | 2;
        cpu.general[CpuState.RAX] = cpu.general[CpuState.RAX] & ~0xFF00L | flags << 8;
      }
    };
  }

  static Step store() {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int ah = (int) (cpu.general[CpuState.RAX] >>> 8);
        CpuState state = cpu.state;
        state.setArithmeticFlags(ah & LAHF_FLAGS | state.arithmeticFlags() & CpuState.OF);
      }
    };
  }

  /** SALC: AL becomes all CF. */
  static Step setAccumulatorFromCarry() {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.setGeneral(CpuState.RAX, 1, cpu.state.carry() ? 0xFF : 0);
      }
    };
  }

  static Step clearInterrupts() {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        requireIoPrivilege(cpu);
        cpu.state.systemFlags &= ~CpuState.IF;
      }
    };
  }

  static Step setInterrupts() {
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        requireIoPrivilege(cpu);
        CpuState state = cpu.state;
        if ((state.systemFlags & CpuState.IF) == 0) {
          state.systemFlags |= CpuState.IF;
          state.interruptShadow = true;
          cpu.lookForInterrupts();
        }
      }
    };
  }

  private static void requireIoPrivilege(InterpretedCpu cpu) {
    CpuState state = cpu.state;
    if (state.protectedMode() && state.privilege > (state.systemFlags & CpuState.IOPL) >> 12) {
      throw cpu.generalProtection(0);
    }
  }

  /** CLAC and STAC. */
  static Step alignmentCheck(boolean set) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        CpuState state = cpu.state;
        if (state.privilege != 0 || !state.protectedMode()) {
          throw cpu.invalidOpcode();
        }
        int flags = state.systemFlags;
        state.systemFlags = set ? flags | CpuState.AC : flags & ~CpuState.AC;
        cpu.modeChanged();
      }
    };
  }

  /** ARPL's and LAR's answer. */
  static void setZero(CpuState state, boolean zero) {
    AtomicSteps.setZero(state, zero);
  }

  /** CF alone is the answer of RDRAND and RDSEED; the other arithmetic flags are cleared. */
  static void setOnlyCarry(CpuState state, boolean carry) {
    state.flagResult = 1;
    // PF of a result of 1 is clear already; nothing else is set.
    state.flagCarries = Alu.carries(carry, false);
  }
}
