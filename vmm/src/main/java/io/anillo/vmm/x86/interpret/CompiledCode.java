package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.Instruction;
import java.util.ArrayList;
import java.util.List;

/**
 * Guest code compiled to something faster than steps. Runs from one entry, leaves at an instruction
 * boundary with all state in place.
 */
public abstract class CompiledCode {
  /** {@link #run} left to go on at {@code CpuState.rip}. */
  public static final int CONTINUE = 0;

  /** {@link #run} left before an instruction that is to be interpreted. */
  public static final int INTERPRET = 1;

  private Step[] fallbacks = {};

  /** The most instructions between two looks at {@link InterpretedCpu#mustLeave}. */
  private int longestPath;

  /** Cleared when the guest code it was made of has changed. */
  public volatile boolean valid = true;

  /** Executes guest code. {@code CpuState.rip} is at the entry. */
  public abstract int run(InterpretedCpu cpu);

  /** Executes one instruction through its step; all state is in {@code CpuState}. */
  public final void fallback(InterpretedCpu cpu, int index) {
    fallbacks[index].run(cpu);
  }

  public final int longestPath() {
    return longestPath;
  }

  public final void complete(Fallbacks steps, int newLongestPath) {
    fallbacks = steps.steps.toArray(Step[]::new);
    longestPath = newLongestPath;
  }

  /** Collects the instructions of a region that are executed by their steps. */
  public static final class Fallbacks {
    private final List<Step> steps = new ArrayList<>();

    /**
     * Adds an instruction of 64-bit code.
     *
     * @param offset bytes from what {@code BLOCK_RIP} will hold to the instruction
     * @return its index, or -1 if it may transfer control or change the mode, and so ends a region
     */
    public int add(Instruction instruction, int offset) {
      Step step = StepCompiler.compile(new Operands(instruction, CodeSize.CODE_64, offset, 8));
      if (step instanceof Step.Last) {
        return -1;
      }
      steps.add(step);
      return steps.size() - 1;
    }
  }
}
