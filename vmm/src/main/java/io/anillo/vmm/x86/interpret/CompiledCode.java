package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.execute.GuestFault;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Guest code compiled to something faster than steps. Runs from one entry, leaves at an instruction
 * boundary with all state in place.
 */
public abstract class CompiledCode {
  /** {@link #run} left to go on at {@code CpuState.rip}. */
  public static final int CONTINUE = 0;

  /** {@link #run} left before an instruction that is to be interpreted. */
  public static final int INTERPRET = 1;

  /** The most instructions between two looks at the budget. */
  public static final int LONGEST_PATH = 2048;

  private static final Step[] NONE = {};

  private Step[] fallbacks = NONE;

  /** Cleared when the guest code it was made of has changed. */
  public volatile boolean valid = true;

  private @Nullable Block entry;

  /** Guest instructions it ran, counted by whoever runs it. */
  private long retired;

  /** When {@link #retired} passes this, {@link #promotion} is called. */
  private long promotionAt = Long.MAX_VALUE;

  private Runnable promotion = () -> {};
  private final RunCount runCount = new RunCount(this);

  /** Executes guest code. {@code CpuState.rip} is at the entry. */
  public abstract int run(InterpretedCpu cpu);

  /** Executes one instruction through its step; all state is in {@code CpuState}. */
  public final void fallback(InterpretedCpu cpu, int index) {
    fallbacks[index].run(cpu);
  }

  /**
   * Executes the last instruction of a region through its step, which may transfer control or
   * change the mode. All state is in {@code CpuState}, {@code rip} is at the instruction.
   *
   * @param length of the instruction in bytes
   */
  public final void last(InterpretedCpu cpu, int index, int length) {
    CpuState state = cpu.state;
    long rip = state.rip;
    state.rip = rip + length;
    try {
      fallbacks[index].run(cpu);
    } catch (GuestFault fault) {
      state.rip = rip;
      throw fault;
    }
    state.instructions++;
  }

  /**
   * Gives the code its steps, before it runs.
   *
   * @param instructions how many it has
   * @throws IllegalArgumentException when those are more than {@link #LONGEST_PATH}
   */
  public final void complete(Fallbacks steps, int instructions) {
    if (instructions > LONGEST_PATH) {
      throw new IllegalArgumentException(instructions + " instructions are too many");
    }
    fallbacks = steps.steps.toArray(Step[]::new);
  }

  /** Guest instructions it ran so far. */
  public final long retired() {
    return retired;
  }

  /** What it ran, to be asked when the code may be gone. */
  public final RunCount runCount() {
    return runCount;
  }

  /** Asks for one call, by whoever runs the code, when so many instructions ran. */
  public final void promoteAt(long instructions, Runnable action) {
    promotion = action;
    promotionAt = instructions;
  }

  /** Counts one run. */
  final void count(long instructions) {
    retired += instructions;
    if (retired >= promotionAt) {
      promotionAt = Long.MAX_VALUE;
      promotion.run();
    }
  }

  /** Becomes what runs instead of a block. Under the lock of the {@link CodeCache}. */
  final void enteredFrom(Block block) {
    entry = block;
  }

  /** The guest code was overwritten, or the code is to go. Under the lock of the cache. */
  final void invalidate() {
    valid = false;
    runCount.end();
    Block block = entry;
    if (block != null) {
      block.uninstall(this);
    }
  }

  /**
   * Whether an instruction of 64-bit code cannot be inside a region, since it may transfer control
   * or change the mode; apart from the near transfers.
   */
  public static boolean endsRegion(Instruction instruction) {
    Step step = StepCompiler.compile(new Operands(instruction, CodeSize.CODE_64, 0, 8));
    return step instanceof Step.Last;
  }

  /** Collects the instructions of a region that are executed by their steps. */
  public static final class Fallbacks {
    private final List<Step> steps = new ArrayList<>();

    /**
     * Adds an instruction of 64-bit code.
     *
     * @param offset bytes from what {@code BLOCK_RIP} will hold to the instruction
     * @return its index
     */
    public int add(Instruction instruction, int offset) {
      steps.add(StepCompiler.compile(new Operands(instruction, CodeSize.CODE_64, offset, 8)));
      return steps.size() - 1;
    }
  }
}
