package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;

/** Jcc in 64-bit code: alone, or as the second half of a comparison's step. */
final class Branch extends Step.Last {
  private final int condition;
  private final boolean inverted;
  private final long delta;

  Branch(Operands operands, int condition) {
    this.condition = condition & 14;
    this.inverted = (condition & 1) != 0;
    this.delta = operands.nextOffset() + operands.instruction().immediate();
  }

  @Override
  void run(InterpretedCpu cpu) {
    decide(cpu);
  }

  /** Branches on the state's flags; called where this is known exactly, and so inlined. */
  void decide(InterpretedCpu cpu) {
    CpuState state = cpu.state;
    long result = state.flagResult;
    boolean holds =
        condition == 4 ? result == 0 : Alu.condition(condition, result, state.flagCarries);
    if (holds != inverted) {
      take(cpu);
    }
  }

  /** Branches on flags that were just computed and stored. */
  void decide(InterpretedCpu cpu, long result, long carries) {
    boolean holds = condition == 4 ? result == 0 : Alu.condition(condition, result, carries);
    if (holds != inverted) {
      take(cpu);
    }
  }

  private void take(InterpretedCpu cpu) {
    cpu.state.rip = cpu.general[CpuState.BLOCK_RIP] + delta;
  }
}
