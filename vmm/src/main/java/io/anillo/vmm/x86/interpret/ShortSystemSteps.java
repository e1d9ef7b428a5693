package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.system.FastSystemCall;

/**
 * What a kernel does on the way of every system call, as compiled code does it: in ring 0 and where
 * nothing waits. Where that is not so nothing has changed, and the instruction's step does it.
 *
 * <p>Hot class; watched by {@code ./anillo bench guest --only sys_}.
 */
public final class ShortSystemSteps {
  private ShortSystemSteps() {}

  /**
   * STI. Compiled code looks for interrupts only at the ends of blocks, and so not before the
   * instruction behind this one has run, if that is in the same block.
   *
   * @return whether it is done, and nothing waits
   */
  public static boolean enableInterrupts(InterpretedCpu cpu) {
    CpuState state = cpu.state;
    int flags = state.systemFlags;
    if (state.privilege != 0 || cpu.attention != 0) {
      return false;
    }
    if ((flags & CpuState.IF) == 0) {
      state.systemFlags = flags | CpuState.IF;
      if (cpu.somethingWaits()) {
        state.systemFlags = flags;
        return false;
      }
    }
    return true;
  }

  /**
   * CLI.
   *
   * @return whether it is done
   */
  public static boolean disableInterrupts(InterpretedCpu cpu) {
    CpuState state = cpu.state;
    if (state.privilege != 0) {
      return false;
    }
    state.systemFlags &= ~CpuState.IF;
    return true;
  }

  /**
   * STAC and CLAC; the TLB is another one behind them.
   *
   * @return whether it is done
   */
  public static boolean allowUserAccess(InterpretedCpu cpu, boolean allow) {
    CpuState state = cpu.state;
    if (state.privilege != 0) {
      return false;
    }
    cpu.setAlignmentCheck(allow);
    return true;
  }

  /**
   * SWAPGS; the base of GS is another behind it.
   *
   * @return whether it is done
   */
  public static boolean swapGs(InterpretedCpu cpu) {
    if (cpu.state.privilege != 0) {
      return false;
    }
    FastSystemCall.swapgs(cpu);
    return true;
  }
}
