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

  /** As {@link #CONTINUE}, in another mode: nobody who called this goes on. */
  public static final int TRANSFERRED = -1;

  /** As {@link #CONTINUE}, and what it called has not come back. */
  public static final int LEFT = -2;

  /**
   * {@link #run} left by a link that leads nowhere, or not safely: the number of the link is the
   * outcome less this. {@link InterpretedCpu#leaving} is the code it belongs to.
   */
  public static final int FIRST_LINK = 2;

  /** What {@link #leave} is told: {@link #INTERPRET}, for arithmetic with unusual values. */
  public static final int UNUSUAL = 32;

  /** What {@link #leave} answers when the code is to go on by a link: this and its number. */
  public static final int FOLLOW = 64;

  /** The most places that code can be linked to. */
  public static final int LINKS = 8;

  /** So many times it leaves for unusual values before it is looked at how often that is. */
  private static final int UNUSUAL_BATCH = 500;

  /** Instructions that have to run for each time that it leaves for unusual values. */
  private static final int RUN_FOR_UNUSUAL = 2000;

  /** How many linked codes may run inside each other. */
  static final int LINK_DEPTH = 64;

  /** Indirect transfers that lead to ever other places are not worth a link. */
  private static final int MOST_CHANGES = 200;

  /** The most instructions between two looks at the budget. */
  public static final int LONGEST_PATH = 2048;

  private static final Step[] NONE = {};

  private Step[] fallbacks = NONE;

  /** Cleared when the guest code it was made of has changed. */
  public volatile boolean valid = true;

  private @Nullable Block entry;
  private int size;
  private boolean onePage;
  private volatile boolean optimized;

  /** Guest-physical address of the page that the entry is in. */
  private long entryPage;

  private int entryOffset;

  /** Where it goes on without being asked; null where that is not known. */
  public @Nullable CompiledCode link0, link1, link2, link3, link4, link5, link6, link7;

  /** How often a link of an indirect transfer led elsewhere. */
  private int changes;

  /** The codes that have links to this one; under the lock of the {@link CodeCache}. */
  private final List<CompiledCode> linkedFrom = new ArrayList<>(0);

  /** Guest instructions it ran, counted by itself. */
  private long retired;

  /** When {@link #retired} passes this, {@link #promotion} is called. */
  private long promotionAt = Long.MAX_VALUE;

  private Runnable promotion = () -> {};

  /** How often it left for unusual values, and what it had run one batch of that before. */
  private int unusual;

  private long retiredBefore;
  private Runnable tooUnusual = () -> {};
  private final RunCount runCount = new RunCount(this);

  /**
   * Executes guest code. {@code CpuState.rip} is at the entry.
   *
   * @param depth how many linked codes may still run inside this one
   * @return how it left
   */
  public abstract int run(InterpretedCpu cpu, int depth);

  /**
   * Executes one instruction through its step; all registers are in {@code CpuState}.
   *
   * @param delta bytes from {@link InterpretedCpu#codePage} to the instruction
   * @param budget instructions that may still run, this one included
   */
  public final void fallback(InterpretedCpu cpu, int index, int delta, int budget) {
    cpu.at(delta, budget);
    fallbacks[index].run(cpu);
  }

  /**
   * Executes the last instruction of a region through its step, which may transfer control or
   * change the mode.
   *
   * @param length of the instruction in bytes
   * @return {@link #TRANSFERRED} or {@link #CONTINUE}
   * @see #fallback
   */
  public final int last(InterpretedCpu cpu, int index, int delta, int budget, int length) {
    cpu.at(delta, budget);
    CpuState state = cpu.state;
    long rip = state.rip;
    state.rip = rip + length;
    count(cpu);
    int mode = cpu.mode();
    try {
      fallbacks[index].run(cpu);
    } catch (GuestFault fault) {
      state.rip = rip;
      throw fault;
    }
    state.instructions++;
    return cpu.mode() == mode ? CONTINUE : TRANSFERRED;
  }

  /**
   * Leaves at a place that is known beforehand.
   *
   * @param exit bytes from {@link InterpretedCpu#codePage} to where to go on, in the upper half;
   *     instructions to take off the budget, from bit 8; the outcome
   * @param budget instructions that may still run
   * @return the outcome, or {@link #FOLLOW} and the number of a link
   */
  public final int leave(InterpretedCpu cpu, long exit, int budget) {
    cpu.leaveAt((int) (exit >> 32), budget - ((int) exit >>> 8));
    count(cpu);
    int outcome = (int) exit & 0xFF;
    if (outcome == UNUSUAL) {
      noteUnusual();
      return INTERPRET;
    }
    return outcome < FIRST_LINK ? outcome : follow(cpu, outcome - FIRST_LINK);
  }

  private void noteUnusual() {
    if (++unusual % UNUSUAL_BATCH == 0) {
      if (retired - retiredBefore < (long) UNUSUAL_BATCH * RUN_FOR_UNUSUAL) {
        tooUnusual.run();
      }
      retiredBefore = retired;
    }
  }

  /** Asks for a call, by whoever runs the code, when it often leaves for unusual values. */
  public final void whenUnusual(Runnable action) {
    tooUnusual = action;
  }

  private int follow(InterpretedCpu cpu, int number) {
    CompiledCode next = link(number);
    cpu.leaving = null;
    if (!cpu.undisturbed()) {
      return CONTINUE;
    }
    if (next == null || !cpu.fetches(next, entryPage)) {
      cpu.leaving = this;
      return FIRST_LINK + number;
    }
    cpu.entering();
    return FOLLOW + number;
  }

  /**
   * Leaves to a linear address that is often the same.
   *
   * @param number of the link to what was there before
   * @return {@link #FOLLOW} and the number if the link leads there, else the outcome
   */
  public final int goTo(InterpretedCpu cpu, long rip, int number, int budget) {
    cpu.leaveTo(rip, budget);
    count(cpu);
    CompiledCode next = link(number);
    cpu.leaving = null;
    if (!cpu.undisturbed()) {
      return CONTINUE;
    }
    if (next != null && next.entryOffset == (rip & 4095) && cpu.fetches(next, entryPage)) {
      cpu.entering();
      return FOLLOW + number;
    }
    if (next != null) {
      changes++;
    }
    if (changes > MOST_CHANGES) {
      return CONTINUE;
    }
    cpu.leaving = this;
    return FIRST_LINK + number;
  }

  /** Leaves to a linear address. */
  public final void leaveTo(InterpretedCpu cpu, long rip, int budget) {
    cpu.leaveTo(rip, budget);
    count(cpu);
  }

  /**
   * Gives the code its steps, before it runs.
   *
   * @param instructions how many it has
   * @param pages how many it was made of
   * @throws IllegalArgumentException when those instructions are more than {@link #LONGEST_PATH}
   */
  public final void complete(Fallbacks steps, int instructions, int pages) {
    if (instructions > LONGEST_PATH) {
      throw new IllegalArgumentException(instructions + " instructions are too many");
    }
    fallbacks = steps.steps.toArray(Step[]::new);
    size = instructions;
    onePage = pages == 1;
  }

  /**
   * How many guest instructions it was made of; as many as can be where it was optimized, so that
   * nobody takes it for too small to be gone on in.
   */
  final int instructions() {
    return optimized ? LONGEST_PATH : size;
  }

  /** It was compiled by the optimizing compiler. */
  public final void optimized() {
    optimized = true;
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

  /**
   * Leaves to call other code, if that may run inside this one.
   *
   * @param next what a link holds
   * @param delta where that begins, as for {@link #fallback}
   * @param depth as for {@link #run}
   */
  public final boolean mayRun(
      InterpretedCpu cpu, @Nullable CompiledCode next, int delta, int budget, int depth) {
    cpu.leaveAt(delta, budget);
    count(cpu);
    cpu.leaving = null;
    if (depth <= 0 || !cpu.undisturbed()) {
      return false;
    }
    if (next == null || !cpu.fetches(next, entryPage)) {
      cpu.leaving = this;
      return false;
    }
    cpu.entering();
    return true;
  }

  /**
   * Leaves to call the code at a linear address, and runs that, if it is compiled.
   *
   * @return how it left; {@link #CONTINUE} also when it did not run
   */
  public final int enter(InterpretedCpu cpu, long rip, int budget, int depth) {
    cpu.leaveTo(rip, budget);
    count(cpu);
    return cpu.enter(depth);
  }

  /**
   * Goes on behind a call, when the called code has come back. What that left to others is run
   * until it does, or until something waits.
   *
   * @param rip linear address behind the call
   * @param delta the same as for {@link #fallback}
   * @param outcome of the called code
   * @param depth as for {@link #run}
   * @param dropped {@link InterpretedCpu#droppedCode} before the call
   * @return the budget; {@link #TRANSFERRED} or {@link #LEFT} where it did not come back, or not to
   *     what it was called from
   */
  public final int cameBack(
      InterpretedCpu cpu, long rip, int delta, int outcome, int depth, int dropped) {
    if (outcome != CONTINUE || cpu.state.rip != rip || !cpu.undisturbed()) {
      int how = cpu.runUntil(rip, outcome, depth);
      if (how != CONTINUE) {
        return how;
      }
    }
    if (!valid || cpu.droppedCode != dropped && !isStillAt(cpu, rip)) {
      return LEFT;
    }
    cpu.entering(rip - delta);
    return cpu.budget;
  }

  /** Whether all of the code is still where the processor fetches it, as far as known. */
  private boolean isStillAt(InterpretedCpu cpu, long rip) {
    return onePage && cpu.fetchesFrom(rip & -4096L, entryPage);
  }

  /** Counts what it ran since it was entered. */
  private void count(InterpretedCpu cpu) {
    retired += cpu.ranSinceEntry();
    if (retired >= promotionAt) {
      promotionAt = Long.MAX_VALUE;
      promotion.run();
    }
  }

  /** Becomes what runs instead of a block. Under the lock of the {@link CodeCache}. */
  final void enteredFrom(Block block) {
    entry = block;
    entryPage = block.physical() & -4096L;
    entryOffset = block.pageOffset;
  }

  final long entryPage() {
    return entryPage;
  }

  private @Nullable CompiledCode link(int number) {
    return switch (number) {
      case 0 -> link0;
      case 1 -> link1;
      case 2 -> link2;
      case 3 -> link3;
      case 4 -> link4;
      case 5 -> link5;
      case 6 -> link6;
      case 7 -> link7;
      default -> throw new IllegalArgumentException("no link " + number);
    };
  }

  private void setLink(int number, @Nullable CompiledCode code) {
    switch (number) {
      case 0 -> link0 = code;
      case 1 -> link1 = code;
      case 2 -> link2 = code;
      case 3 -> link3 = code;
      case 4 -> link4 = code;
      case 5 -> link5 = code;
      case 6 -> link6 = code;
      case 7 -> link7 = code;
      default -> throw new IllegalArgumentException("no link " + number);
    }
  }

  /** Goes on at other code from now on. Under the lock of the {@link CodeCache}. */
  final void linkTo(int number, CompiledCode code) {
    if (valid && code.valid && link(number) != code) {
      unlink(number);
      setLink(number, code);
      code.linkedFrom.add(this);
    }
  }

  private void unlink(int number) {
    CompiledCode linked = link(number);
    if (linked != null) {
      linked.linkedFrom.remove(this);
      setLink(number, null);
    }
  }

  /** Nobody goes on here any more without asking. Under the lock of the cache. */
  final void unlinkIncoming() {
    for (CompiledCode from : List.copyOf(linkedFrom)) {
      for (int i = 0; i < LINKS; i++) {
        if (from.link(i) == this) {
          from.unlink(i);
        }
      }
    }
  }

  /** The guest code was overwritten, or the code is to go. Under the lock of the cache. */
  final void invalidate() {
    valid = false;
    runCount.end();
    unlinkIncoming();
    for (int i = 0; i < LINKS; i++) {
      unlink(i);
    }
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
