package io.anillo.vmm.x86.interpret;

import static io.anillo.vmm.cpu.CpuState.ACCESS_BIG;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.SS;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.cpu.RingObserver;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.EntropySource;
import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.fpu.X87Instructions;
import io.anillo.vmm.x86.execute.simd.SimdUnit;
import io.anillo.vmm.x86.execute.simd.SseControl;
import io.anillo.vmm.x86.execute.system.DebugRegisters;
import io.anillo.vmm.x86.execute.system.InterruptDelivery;
import io.anillo.vmm.x86.execute.system.PortPermission;
import io.anillo.vmm.x86.execute.system.SegmentAccess;
import io.anillo.vmm.x86.mmu.PagedProcessor;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A processor that runs decoded blocks, step by step.
 *
 * <p>Hot class: {@link #run} and {@link #runBlock} are the interpreter's loop; watched by {@code
 * ./anillo bench guest}.
 */
public final class InterpretedCpu extends PagedProcessor implements VirtualCpu {
  /** Reasons to leave the fast loop, bits of {@link #attention}. */
  private static final int KICK = 1,
      CHECK = 2,
      NMI = 4,
      INIT = 8,
      STARTUP = 16,
      TRAP = 32,
      SHUTDOWN = 64,
      WAKE = 128;

  /** Instructions that compiled code runs before it looks around: budgets fit into an int. */
  private static final long MOST_AT_A_TIME = 1 << 30;

  private static final int FETCH_ENTRIES = 2048;

  private static final int STACK_BIG = 4;
  private static final int SINGLE = 8;

  private final int index;
  private final CpuModel model;
  private final CodeCache codeCache;
  private final LongSupplier timeStamp;
  private final EntropySource entropy;
  private final BlockBuilder builder;
  private Consumer<Runnable> exclusiveSection = Runnable::run;
  private @Nullable LocalInterrupts interrupts;
  private @Nullable RingObserver ringObserver;

  final long[] segmentBase = state.segmentBase;
  final X87Instructions x87 = new X87Instructions(this);
  final SimdUnit simd = new SimdUnit(this);
  private final StackReference stackReference = new StackReference();

  /** The memory operand of a read-modify-write step between its load and its store. */
  long operandAddress;

  /** The high quadword of the XMM operand that a step just fetched. */
  long sourceHigh;

  final int[] cpuidAnswer = new int[4];

  /**
   * Why to leave the fast loop; not zero when something waits to be looked at between two
   * instructions. Set from other threads too; read at every block boundary, and by translated code.
   */
  public volatile int attention;

  private volatile @Nullable Thread waiter;
  private @Nullable HotCode hotCode;
  private int hotThreshold = Integer.MAX_VALUE;
  private boolean compileAll;
  private long compiledLimit;

  /** Instructions that compiled code may run, counted from when it was entered. */
  public int budget;

  /** Changes whenever what was known of where code is fetched from may not be so any more. */
  public int droppedCode;

  /** Linear address of the page that the running compiled code was entered in. */
  public long codePage;

  /** {@link CpuState#instructions} when the running compiled code was entered. */
  private long entered;

  private long compiledInstructions;

  /** What left by a link that led nowhere, if anything just did. */
  public @Nullable CompiledCode leaving;

  private long compiledEntries;
  private long compiledDispatches;
  private long interpretedBetween;
  private int startupVector;
  private int key;

  /** Linear page addresses whose translations for fetching are in {@link #fetchPages}. */
  private final long[] fetchTags = new long[FETCH_ENTRIES];

  private final @Nullable CodePage[] fetchPages = new @Nullable CodePage[FETCH_ENTRIES];

  /** Which of them survive a change of the address space. */
  private final boolean[] fetchGlobal = new boolean[FETCH_ENTRIES];

  private final BlockDirectory directory = new BlockDirectory();
  private final BranchTargets branchTargets = new BranchTargets();
  private boolean fetchUser;

  /** The instruction under single-step was an interrupt, which cleared TF with no trap due. */
  private boolean singleStepCancelled;

  private final byte[] crossingCheck = new byte[16];
  private long interruptsTaken;
  private long exceptionsTaken;

  public InterpretedCpu(
      int index,
      GuestMemory memory,
      Bus bus,
      CodeCache codeCache,
      CpuModel model,
      LongSupplier timeStamp,
      EntropySource entropy) {
    super(index, memory, bus, codeCache.translations());
    this.index = index;
    this.codeCache = codeCache;
    this.model = model;
    this.timeStamp = timeStamp;
    this.entropy = entropy;
    this.builder = new BlockBuilder(this::readPhysical);
    Arrays.fill(fetchTags, 1);
    setCodeTracker(codeCache);
    codeCache.register(this);
    reset();
  }

  /**
   * Connects the processor's view of the bus and its interrupt controller; before the first
   * instruction.
   */
  public void connect(Bus ownBus, LocalInterrupts controller) {
    this.bus = ownBus;
    this.interrupts = controller;
  }

  /** Gives the way to stop all other processors; needed where there is more than one. */
  public void setExclusiveSection(Consumer<Runnable> section) {
    this.exclusiveSection = section;
  }

  // ---- VirtualCpu

  @Override
  public void setRingObserver(RingObserver observer) {
    this.ringObserver = observer;
  }

  @Override
  public boolean inRing3() {
    return state.privilege == 3;
  }

  @Override
  public int index() {
    return index;
  }

  @Override
  public CpuState state() {
    return state;
  }

  @Override
  public void dropCaches() {
    codeCache.clear();
    flushTlb(true);
  }

  @Override
  public void reset() {
    CpuReset.reset(state, index == 0);
    attention = CHECK;
    stateReplaced();
  }

  @Override
  public void flushTranslations() {
    flushTlb(true);
  }

  @Override
  public @Nullable ParavirtualProcessor paravirtual() {
    return paravirtual;
  }

  @Override
  public void stateReplaced() {
    flushTlb(true);
    debugRegistersChanged();
    modeChanged();
    raise(CHECK);
  }

  @Override
  public void kick() {
    raise(KICK);
  }

  @Override
  public void awaitSignal(BooleanSupplier done) {
    waiter = Thread.currentThread();
    try {
      while ((attention & ~(CHECK | TRAP)) == 0 && !interruptWaits() && !done.getAsBoolean()) {
        LockSupport.park(this);
      }
    } finally {
      waiter = null;
    }
  }

  private boolean interruptWaits() {
    LocalInterrupts controller = interrupts;
    return (state.systemFlags & CpuState.IF) != 0 && controller != null && controller.pending();
  }

  @Override
  public void nmi() {
    raise(NMI);
  }

  @Override
  public void wake() {
    raise(WAKE);
  }

  @Override
  public void init() {
    raise(INIT);
  }

  @Override
  public void startup(int vector) {
    startupVector = vector & 0xFF;
    raise(STARTUP);
  }

  private void raise(int bits) {
    synchronized (this) {
      attention |= bits;
    }
    Thread parked = waiter;
    if (parked != null) {
      LockSupport.unpark(parked);
    }
  }

  private synchronized void lower(int bits) {
    attention &= ~bits;
  }

  @Override
  public long interruptsTaken() {
    return interruptsTaken;
  }

  @Override
  public long exceptionsTaken() {
    return exceptionsTaken;
  }

  // ---- the loop

  @Override
  public Exit run(long instructionBudget) {
    long end = state.instructions + instructionBudget;
    if (end < state.instructions) {
      end = Long.MAX_VALUE;
    }
    raise(CHECK);
    while (true) {
      if (attention != 0) {
        Exit exit = attend(end);
        if (exit != null) {
          return exit;
        }
        continue;
      }
      Block block = (key & 3) == 2 ? directory.find(state.rip) : null;
      if (block == null) {
        try {
          block = nextBlock(key);
        } catch (GuestFault fault) {
          deliver(fault);
          continue;
        }
      }
      if (state.instructions + block.instructions() > end) {
        if (state.instructions >= end) {
          return new Exit.Deadline();
        }
        runBeginning(block, (int) (end - state.instructions));
        continue;
      }
      CompiledCode code = block.compiled;
      if (code == null && ++block.heat >= block.offerAt) {
        offer(block);
        code = block.compiled;
      }
      if (code != null && state.instructions + CompiledCode.LONGEST_PATH < end) {
        runCompiled(code, end);
      } else {
        runBlock(block);
      }
    }
  }

  private void offer(Block block) {
    block.offerAt = Integer.MAX_VALUE;
    HotCode compiler = hotCode;
    if (compiler != null && block.key() == 2 && !block.crossing) {
      compiler.request(
          new BlockSite(codeCache, block), new FetchHints(state.rip, block.physical()));
    }
  }

  /** What this processor has fetched lately. Read by other threads, without a lock. */
  private final class FetchHints implements CodeHints {
    private final long linear;
    private final long physical;
    private final long user = fetchUser ? 2 : 0;

    FetchHints(long linear, long physical) {
      this.linear = linear;
      this.physical = physical;
    }

    @Override
    public long linear() {
      return linear;
    }

    @Override
    public long physical() {
      return physical;
    }

    @Override
    public long physicalPage(long linearPage) {
      int slot = (int) (linearPage >>> 12) & FETCH_ENTRIES - 1;
      CodePage page = fetchPages[slot];
      return page != null && fetchTags[slot] == (linearPage | user) ? page.physical : -1;
    }

    @Override
    public int heat(long place) {
      int heat = codeCache.heat(place, 2);
      return compileAll ? Math.max(heat, 1) : heat;
    }

    @Override
    public long key(long place) {
      return codeCache.contentKey(place, 2);
    }

    @Override
    public long[] targets(long place) {
      return branchTargets.of(place);
    }

    @Override
    public long[] registers() {
      return Arrays.copyOf(general, 16);
    }

    @Override
    public int compiled(long place) {
      return codeCache.compiled(place, 2);
    }
  }

  /**
   * Runs compiled code, and what it leads to, as long as that is compiled too and nothing waits.
   *
   * @param end not nearer than {@link CompiledCode#LONGEST_PATH} instructions
   */
  private void runCompiled(CompiledCode first, long end) {
    CpuState s = state;
    compiledLimit = Math.min(end - CompiledCode.LONGEST_PATH, s.instructions + MOST_AT_A_TIME);
    long start = s.instructions;
    try {
      entering();
      compiledDispatches++;
      int outcome = first.run(this, CompiledCode.LINK_DEPTH);
      while (undisturbed() && (key & 3) == 2) {
        outcome = goOn(outcome, CompiledCode.LINK_DEPTH);
      }
    } catch (GuestFault fault) {
      if (canonicalFault && fault.vector == GuestFault.GENERAL_PROTECTION) {
        asStackFault(fault);
      }
      deliver(fault);
    }
    compiledInstructions += s.instructions - start;
  }

  /**
   * Runs what code left to others, inside that which called it.
   *
   * @param back linear address at which the caller goes on
   * @param outcome how the called code left
   * @param depth how many codes may still run inside the caller
   * @return {@link CompiledCode#CONTINUE} when it is there, {@link CompiledCode#TRANSFERRED} or
   *     {@link CompiledCode#LEFT}
   */
  int runUntil(long back, int outcome, int depth) {
    int how = outcome;
    if (how == CompiledCode.TRANSFERRED) {
      return how;
    }
    int mode = mode();
    while (depth > 0 && undisturbed()) {
      how = goOn(how, depth);
      if (how == CompiledCode.TRANSFERRED || mode() != mode) {
        return CompiledCode.TRANSFERRED;
      }
      if (state.rip == back && how != CompiledCode.INTERPRET) {
        return undisturbed() ? CompiledCode.CONTINUE : CompiledCode.LEFT;
      }
    }
    return CompiledCode.LEFT;
  }

  /**
   * Runs what comes next: an instruction if that is how code left, else compiled code, or a block.
   *
   * @return how it left
   */
  private int goOn(int outcome, int depth) {
    if (outcome == CompiledCode.INTERPRET) {
      interpret(nextBlock(key | SINGLE));
      return CompiledCode.CONTINUE;
    }
    Block block = directory.find(state.rip);
    if (block == null) {
      block = nextBlock(key);
    }
    CompiledCode code = block.compiled;
    if (code == null && ++block.heat >= block.offerAt) {
      offer(block);
      code = block.compiled;
    }
    if (code == null) {
      interpret(block);
      return CompiledCode.CONTINUE;
    }
    if (outcome >= CompiledCode.FIRST_LINK) {
      link(outcome - CompiledCode.FIRST_LINK, code);
    }
    entering();
    compiledDispatches++;
    return code.run(this, depth - 1);
  }

  /** Runs a block between compiled code. */
  private void interpret(Block block) {
    runBlock(block);
    interpretedBetween += block.instructions();
  }

  /** Differs where the same addresses are other code. */
  int mode() {
    return fetchUser ? ~key : key;
  }

  /** Sees to it that compiled code that left by a link finds its way itself the next time. */
  private void link(int number, CompiledCode to) {
    CompiledCode from = leaving;
    if (from != null) {
      codeCache.link(from, number, to);
      if (!fetchesFrom(state.rip & -4096L, to.entryPage())) {
        nextBlock(key);
      }
      leaving = null;
    }
  }

  /**
   * Runs the compiled code there is for where the processor is, inside other compiled code.
   *
   * @return how it left; {@link CompiledCode#CONTINUE} also when nothing ran
   */
  int enter(int depth) {
    if (depth <= 0 || !undisturbed()) {
      return CompiledCode.CONTINUE;
    }
    Block block = directory.find(state.rip);
    CompiledCode code = block == null ? null : block.compiled;
    if (code == null) {
      return CompiledCode.CONTINUE;
    }
    entering();
    return code.run(this, depth - 1);
  }

  /** Compiled code is to run where the processor is. */
  void entering() {
    compiledEntries++;
    entering(state.rip & -4096L);
  }

  void entering(long page) {
    codePage = page;
    entered = state.instructions;
    budget = (int) (compiledLimit - entered);
  }

  long ranSinceEntry() {
    return state.instructions - entered;
  }

  /** Compiled code stops at a place of its page. */
  void leaveAt(int delta, int budgetLeft) {
    leaveTo(codePage + delta, budgetLeft);
  }

  void leaveTo(long rip, int budgetLeft) {
    state.rip = rip;
    state.instructions = compiledLimit - budgetLeft;
  }

  /** Compiled code is about to do an instruction through its step. */
  void at(int delta, int budgetLeft) {
    leaveAt(delta, budgetLeft);
    general[CpuState.BLOCK_RIP] = codePage;
  }

  /** Whether nothing waits, and compiled code may go on for a while. */
  boolean undisturbed() {
    return attention == 0 && state.instructions <= compiledLimit;
  }

  /**
   * Whether the page at {@code CpuState.rip} is the one that code was made of, as far as known.
   *
   * @param here guest-physical address of the page that {@link #codePage} is
   */
  boolean fetches(CompiledCode code, long here) {
    long page = state.rip & -4096L;
    return page == codePage && code.entryPage() == here || fetchesFrom(page, code.entryPage());
  }

  private void runBlock(Block block) {
    runSteps(block, block.stepCount, block.length(), block.instructions());
  }

  /**
   * Runs as much of a block as its instruction budget allows. What a whole block does not look at
   * between its instructions is not looked at in its beginning either, so that a run that is cut
   * into budgets takes the same way as one that is not.
   *
   * @param budget instructions, fewer than the block has
   */
  private void runBeginning(Block block, int budget) {
    int steps = block.stepsWithin(budget);
    if (steps > 0) {
      runSteps(block, steps, block.offset(steps), block.instructionsBefore(steps));
      return;
    }
    // The budget ends between the two instructions of a step.
    try {
      runBlock(nextBlock(key | SINGLE));
    } catch (GuestFault fault) {
      deliver(fault);
    }
  }

  /**
   * Runs the first steps of a block.
   *
   * @param length bytes of these steps
   * @param instructions instructions of these steps
   */
  private void runSteps(Block block, int count, int length, int instructions) {
    CpuState s = state;
    long rip = s.rip;
    general[CpuState.BLOCK_RIP] = rip;
    s.rip = rip + length;
    int at = 0;
    try {
      block.step0.run(this);
      if (count > 1) {
        at = 1;
        block.step1.run(this);
      }
      if (count > 2) {
        at = 2;
        block.step2.run(this);
      }
      if (count > 3) {
        at = 3;
        block.step3.run(this);
      }
      if (count > 4) {
        at = 4;
        block.step4.run(this);
      }
      if (count > 5) {
        at = 5;
        block.step5.run(this);
      }
      Step[] further = block.further;
      for (at = Block.NEAR; at < count; at++) {
        further[at - Block.NEAR].run(this);
      }
      s.instructions += instructions;
    } catch (GuestFault fault) {
      s.instructions += block.instructionsBefore(at);
      s.rip = rip + block.offset(at);
      if (canonicalFault && fault.vector == GuestFault.GENERAL_PROTECTION) {
        asStackFault(fault);
      }
      deliver(fault);
    } catch (Block.BlockStop stop) {
      s.instructions += block.instructionsBefore(at);
      s.rip = rip + block.offset(at);
      directory.drop(true);
    }
  }

  /**
   * An address that is not canonical raises #SS(0) instead of #GP(0) when it is one of the stack.
   */
  private void asStackFault(GuestFault fault) {
    canonicalFault = false;
    int errorCode = fault.errorCode;
    long faultAddress = state.cr2;
    boolean stack = stackReference.isStack(this, key);
    // Reading the instruction again may have faulted in between.
    state.cr2 = faultAddress;
    fault.vector = stack ? GuestFault.STACK_FAULT : GuestFault.GENERAL_PROTECTION;
    fault.errorCode = errorCode;
  }

  /** Executes exactly one instruction, with the debug traps that may follow it. */
  private void runSingle() {
    boolean trap = (state.systemFlags & CpuState.TF) != 0;
    CpuState s = state;
    if (DebugRegisters.anyEnabled(s) && (s.systemFlags & CpuState.RF) == 0) {
      long hits = DebugRegisters.matchCode(s, s.segmentBase[CS] + s.rip);
      if (hits != 0) {
        DebugRegisters.raise(s, hits);
        deliver(fault(GuestFault.DEBUG, 0));
        return;
      }
    }
    Block block;
    try {
      block = nextBlock(key | SINGLE);
    } catch (GuestFault fault) {
      deliver(fault);
      return;
    }
    s.systemFlags &= ~CpuState.RF;
    s.interruptShadow = false;
    s.stackShadow = false;
    singleStepCancelled = false;
    long before = s.instructions;
    long faults = exceptionsTaken;
    runBlock(block);
    boolean retired = s.instructions != before && exceptionsTaken == faults;
    if (retired && !s.stackShadow) {
      long conditions =
          s.pendingDebug | (trap && !singleStepCancelled ? DebugRegisters.SINGLE_STEP : 0);
      s.pendingDebug = 0;
      if (conditions != 0) {
        DebugRegisters.raise(s, conditions);
        deliver(fault(GuestFault.DEBUG, 0));
      }
    }
  }

  /** Deals with everything that may come between two instructions; returns null to go on. */
  private @Nullable Exit attend(long end) {
    int reasons = attention;
    if ((reasons & SHUTDOWN) != 0) {
      lower(SHUTDOWN);
      return new Exit.Shutdown("triple fault");
    }
    takeStartSignals(reasons);
    takeWake(reasons);
    if ((reasons & KICK) != 0) {
      lower(KICK);
      return new Exit.Interrupted();
    }
    if (state.waitingForStartup) {
      return new Exit.Halted();
    }
    if (state.instructions >= end) {
      return new Exit.Deadline();
    }
    if ((reasons & NMI) != 0) {
      lower(NMI);
      state.nmiPending = true;
    }
    if (state.nmiPending && !state.nmiBlocked && !state.stackShadow) {
      state.nmiPending = false;
      state.halted = false;
      state.instructions++;
      if (!InterruptDelivery.nonMaskable(this)) {
        return new Exit.Shutdown("triple fault");
      }
      controlTransferred();
      return null;
    }
    LocalInterrupts controller = interrupts;
    boolean open =
        (state.systemFlags & CpuState.IF) != 0 && controller != null && controller.pending();
    if (open && controller != null) {
      if (!state.halted && (state.interruptShadow || state.stackShadow)) {
        runSingle();
        return null;
      }
      int vector = controller.acknowledge();
      if (vector >= 0) {
        if (state.halted) {
          state.halted = false;
          state.paravirtual.kicked = false;
        }
        state.instructions++;
        interruptsTaken++;
        if (!InterruptDelivery.interrupt(this, vector)) {
          return new Exit.Shutdown("triple fault");
        }
        controlTransferred();
        return null;
      }
    }
    if (state.halted) {
      if (state.paravirtual.kicked) {
        state.paravirtual.kicked = false;
        state.halted = false;
        return null;
      }
      state.interruptShadow = false;
      return new Exit.Halted();
    }
    if ((reasons & TRAP) != 0 || trapping()) {
      lower(TRAP);
      runSingle();
      if (trapping()) {
        raise(TRAP);
      }
      return null;
    }
    if (state.interruptShadow || state.stackShadow) {
      // The shadow covers exactly one instruction, whenever it comes to run.
      runSingle();
      return null;
    }
    lower(CHECK);
    // What came after the reasons were read is looked at again.
    return null;
  }

  private void takeWake(int reasons) {
    if ((reasons & WAKE) != 0) {
      lower(WAKE);
      state.paravirtual.kicked = true;
    }
  }

  private void takeStartSignals(int reasons) {
    if ((reasons & INIT) != 0) {
      lower(INIT);
      enterInit();
    }
    if ((reasons & STARTUP) != 0) {
      lower(STARTUP);
      if (state.waitingForStartup) {
        CpuReset.startup(state, startupVector);
        stateReplaced();
      }
    }
  }

  @Override
  public void settleSignals() {
    takeStartSignals(attention);
    takeWake(attention);
    if ((attention & NMI) != 0) {
      lower(NMI);
      state.nmiPending = true;
    }
  }

  /** Whether debug traps may follow each instruction. */
  boolean trapping() {
    return (state.systemFlags & CpuState.TF) != 0 || DebugRegisters.anyEnabled(state);
  }

  private void enterInit() {
    CpuReset.init(state, index == 0);
    LocalInterrupts controller = interrupts;
    if (controller != null) {
      controller.initReset();
    }
    stateReplaced();
  }

  private void deliver(GuestFault fault) {
    state.instructions++;
    exceptionsTaken++;
    if (!InterruptDelivery.exception(this, fault.vector, fault.errorCode)) {
      shutDown();
    }
    controlTransferred();
  }

  /** A triple fault: {@link #run} returns at the next boundary. */
  void shutDown() {
    raise(SHUTDOWN);
  }

  // ---- what steps call

  /** A near transfer of control; the target was checked. */
  void jump(long rip) {
    state.rip = rip;
  }

  /** Raises #GP(0) for a near target that is not canonical, or outside the code segment. */
  void checkTarget(long rip) {
    if (state.code64()) {
      if (rip << 16 >> 16 != rip) {
        throw generalProtection(0);
      }
    } else if (rip > state.segmentLimit[CS]) {
      throw generalProtection(0);
    }
  }

  /** A far transfer, interrupt or return happened: privilege, mode and flags may be others. */
  void controlTransferred() {
    modeChanged();
    lookForInterrupts();
  }

  /** Something changed that may let an interrupt in, if there is one. */
  void lookForInterrupts() {
    if ((attention & CHECK) == 0 && somethingWaits()) {
      raise(CHECK);
    }
  }

  private boolean somethingWaits() {
    CpuState s = state;
    return s.interruptShadow
        || s.stackShadow
        || s.halted
        || s.nmiPending
        || s.pendingDebug != 0
        || interruptWaits();
  }

  /** Code was overwritten that may be running in its compiled form; by any thread. */
  void leaveCompiledCode() {
    raise(CHECK);
  }

  /**
   * No single-step trap follows the running instruction, whatever TF was before it (Intel SDM vol.
   * 3B §18.3.1.4).
   */
  void cancelSingleStep() {
    singleStepCancelled = true;
  }

  /**
   * Whether code is fetched from a guest-physical page, as far as known.
   *
   * @param delta bytes from {@link #codePage} to its linear page
   */
  public boolean fetchesFrom(int delta, long physicalPage) {
    return fetchesFrom(codePage + delta, physicalPage);
  }

  /** Whether code at a linear page is fetched from a guest-physical page, as far as known. */
  boolean fetchesFrom(long linearPage, long physicalPage) {
    int slot = (int) (linearPage >>> 12) & FETCH_ENTRIES - 1;
    CodePage page = fetchPages[slot];
    return page != null
        && fetchTags[slot] == (linearPage | (fetchUser ? 2 : 0))
        && page.physical == physicalPage;
  }

  /** An indirect jump or call at a linear address led somewhere; told by compiled code. */
  public void noteTarget(long place, long target) {
    branchTargets.note(place, target);
  }

  /** Whether SSE instructions can run without #UD or #NM. */
  public boolean sseAvailable() {
    return (state.cr0 & (CpuState.CR0_EM | CpuState.CR0_TS)) == 0
        && (state.cr4 & CpuState.CR4_OSFXSR) != 0;
  }

  /** What floating-point functions called by compiled code read and raise. */
  public SseControl sseControl() {
    return simd.control();
  }

  /**
   * Lets hot code be compiled. Before the first instruction.
   *
   * @param threshold runs after which a block is offered; 0 for before the first, with all that can
   *     be reached from it, run or not
   */
  public void setHotCode(HotCode compiler, int threshold) {
    this.hotCode = compiler;
    this.hotThreshold = Math.max(threshold, 1);
    this.compileAll = threshold == 0;
  }

  /** Instructions that ran as compiled code, and how often it was entered. */
  public long compiledInstructions() {
    return compiledInstructions - interpretedBetween;
  }

  public long compiledEntries() {
    return compiledEntries;
  }

  /** How many of the entries into compiled code were not from other compiled code. */
  public long compiledDispatches() {
    return compiledDispatches;
  }

  /** SS was loaded by MOV or POP: interrupts and debug traps are held off for one instruction. */
  void stackSegmentLoaded() {
    state.stackShadow = true;
    lookForInterrupts();
  }

  void setFlags(int flags) {
    int before = state.systemFlags;
    state.setRflags(flags);
    if (((before ^ state.systemFlags) & (CpuState.AC | CpuState.TF | CpuState.VM)) != 0) {
      modeChanged();
    }
    if ((~before & state.systemFlags & (CpuState.IF | CpuState.TF)) != 0) {
      lookForInterrupts();
    }
  }

  void setGeneral(int register, int size, long value) {
    switch (size) {
      case 8 -> general[register] = value;
      case 4 -> general[register] = value & 0xFFFF_FFFFL;
      case 2 -> general[register] = general[register] & ~0xFFFFL | value & 0xFFFF;
      default -> general[register] = general[register] & ~0xFFL | value & 0xFF;
    }
  }

  boolean singleProcessor() {
    return codeCache.single();
  }

  @Override
  public void exclusively(Runnable action) {
    exclusiveSection.accept(action);
  }

  long random() {
    byte[] bytes = new byte[8];
    entropy.fill(bytes);
    return java.nio.ByteBuffer.wrap(bytes).getLong();
  }

  // ---- segments outside 64-bit mode

  /** A linear address through a segment, checked for an access of this kind. */
  long linear(int segment, long offset, int size, boolean write) {
    return SegmentAccess.linear(this, segment, offset, size, write);
  }

  /**
   * The linear address of an implicit operand, whose segment is {@link CpuState#NO_SEGMENT} where
   * ignored.
   */
  long stringAddress(int segment, long offset, int size, boolean write, boolean code64) {
    if (code64) {
      int effective = segment < CpuState.FS ? CpuState.NO_SEGMENT : segment;
      return offset + segmentBase[effective];
    }
    return linear(segment, offset, size, write);
  }

  /** Width of the stack pointer: 2, 4 or 8 bytes. */
  int stackBytes() {
    return stackBytesOf(key);
  }

  long stackAddress(long pointer, int size, boolean write) {
    return switch (stackBytes()) {
      case 8 -> pointer;
      case 4 -> linear(SS, pointer & 0xFFFF_FFFFL, size, write);
      default -> linear(SS, pointer & 0xFFFF, size, write);
    };
  }

  // ---- ports

  void checkPort(int port, int size) {
    PortPermission.check(this, port, size);
    if (DebugRegisters.anyEnabled(state)) {
      state.pendingDebug |= DebugRegisters.matchPort(state, port, size);
    }
  }

  int readPort(int port, int size) {
    return bus.readPort(port, size);
  }

  void writePort(int port, int size, int value) {
    bus.writePort(port, size, value);
    lookForInterrupts();
  }

  // ---- modes

  static CodeSize codeSizeOf(int key) {
    return switch (key & 3) {
      case 0 -> CodeSize.CODE_16;
      case 1 -> CodeSize.CODE_32;
      default -> CodeSize.CODE_64;
    };
  }

  static int stackBytesOf(int key) {
    return (key & 3) == 2 ? 8 : (key & STACK_BIG) != 0 ? 4 : 2;
  }

  @Override
  public void modeChanged() {
    int newKey;
    if (state.code64()) {
      newKey = 2;
    } else {
      newKey = (state.segmentAccess[CS] & ACCESS_BIG) != 0 ? 1 : 0;
      if ((state.segmentAccess[SS] & ACCESS_BIG) != 0) {
        newKey |= STACK_BIG;
      }
    }
    key = newKey;
    boolean user = state.privilege == 3;
    RingObserver observer = ringObserver;
    if (user != fetchUser && observer != null) {
      observer.ringChanged(user);
    }
    fetchUser = user;
    directory.select(newKey, fetchUser);
    selectTlb();
    if ((state.systemFlags & CpuState.TF) != 0) {
      raise(TRAP);
    }
  }

  void debugRegistersChanged() {
    selectDataBreakpoints();
    if (DebugRegisters.anyEnabled(state)) {
      raise(TRAP);
    }
  }

  @Override
  protected void checkDataBreakpoints(long linear, int size, boolean write) {
    state.pendingDebug |= DebugRegisters.matchData(state, linear, size, write);
  }

  @Override
  public long timeStampCounter() {
    return timeStamp.getAsLong() + state.tscOffset;
  }

  @Override
  public LocalInterrupts localInterrupts() {
    LocalInterrupts controller = interrupts;
    if (controller == null) {
      throw new IllegalStateException("processor " + index + " has no interrupt controller");
    }
    return controller;
  }

  @Override
  public CpuModel model() {
    return model;
  }

  // ---- fetching

  private Block nextBlock(int wantedKey) {
    long linear = (wantedKey & 3) == 2 ? state.rip : fetchAddress();
    long tag = linear & -4096L | (fetchUser ? 2 : 0);
    int slot = (int) (linear >>> 12) & FETCH_ENTRIES - 1;
    CodePage page = fetchPages[slot];
    if (fetchTags[slot] != tag || page == null) {
      long physical = translateFetch(linear);
      page = codeCache.page(physical);
      if (page == null) {
        return outsideMemory(physical, linear, wantedKey);
      }
      fetchTags[slot] = tag;
      fetchPages[slot] = page;
      fetchGlobal[slot] = fetchedPageIsGlobal();
    }
    Block block = page.find((int) linear & 4095, wantedKey);
    if (block == null) {
      // Not for the directory yet: a write may have kept it from being remembered at all.
      block = decode(page, linear, wantedKey);
    } else if (wantedKey == 2 && !block.crossing) {
      directory.insert(linear, block, fetchGlobal[slot]);
    }
    if ((wantedKey & 3) != 2 && state.rip + block.length() - 1 > state.segmentLimit[CS]) {
      return beyondLimit(block, wantedKey);
    }
    if (block.crossing && !crossingMatches(block, linear)) {
      return decode(page, linear, wantedKey);
    }
    return block;
  }

  /** A block that reaches beyond the limit of CS: one instruction of it may lie inside. */
  private Block beyondLimit(Block block, int wantedKey) {
    if ((wantedKey & SINGLE) != 0 || block.instructions() == 1) {
      throw generalProtection(0);
    }
    return nextBlock(wantedKey | SINGLE);
  }

  /**
   * The linear address of the next instruction outside 64-bit mode, checked against the segment.
   */
  private long fetchAddress() {
    if ((key & 3) == 0 && state.rip > 0xFFFF) {
      // Running off the end of a 64 KiB segment wraps in 16-bit code.
      state.rip &= 0xFFFF;
    }
    state.rip &= 0xFFFF_FFFFL;
    if (state.rip > state.segmentLimit[CS]) {
      throw generalProtection(0);
    }
    return state.segmentBase[CS] + state.rip & 0xFFFF_FFFFL;
  }

  /**
   * One instruction from where no memory is: its bytes come from the bus, all ones where nothing
   * answers, and nothing is remembered.
   */
  private Block outsideMemory(long physical, long linear, int wantedKey) {
    Block block = builder.build(physical, wantedKey, true, () -> nextPage(linear));
    if ((wantedKey & 3) != 2 && state.rip + block.length() - 1 > state.segmentLimit[CS]) {
      throw generalProtection(0);
    }
    return block;
  }

  private Block decode(CodePage page, long linear, int wantedKey) {
    codeCache.watch(page, this);
    int writes = page.writes;
    long physical = page.physical | linear & 4095;
    Block block =
        builder.build(physical, wantedKey, (wantedKey & SINGLE) != 0, () -> nextPage(linear));
    block.offerAfter(hotThreshold);
    codeCache.insert(page, block, writes);
    return block;
  }

  /** Guest-physical address of the next page of code, into which an instruction reaches. */
  private long nextPage(long linear) {
    long next = (linear | 4095) + 1;
    if ((key & 3) == 2) {
      return translateFetch(next);
    }
    if (state.rip + (next - linear) > state.segmentLimit[CS]) {
      throw generalProtection(0);
    }
    return translateFetch(next & 0xFFFF_FFFFL);
  }

  /**
   * Reads the bytes of an instruction again that has just been executed.
   *
   * @return how many bytes could be read
   */
  int readCode(byte[] bytes) {
    int here = Math.min(bytes.length, 4096 - ((int) state.rip & 4095));
    try {
      long linear = state.segmentBase[CS] + state.rip;
      readPhysical(translateFetch(linear), bytes, 0, here);
      if (here < bytes.length) {
        readPhysical(translateFetch(linear + here), bytes, here, bytes.length - here);
        return bytes.length;
      }
    } catch (GuestFault beyond) {
      // The instruction ended before.
      return here;
    }
    return here;
  }

  private boolean crossingMatches(Block block, long linear) {
    long next = nextPage(linear);
    int length = block.crossingBytes().length;
    readPhysical(next, crossingCheck, 0, length);
    return Arrays.equals(crossingCheck, 0, length, block.crossingBytes(), 0, length);
  }

  @Override
  protected void codeTranslationsDropped(boolean globalToo) {
    droppedCode++;
    for (int i = 0; i < FETCH_ENTRIES; i++) {
      if (globalToo || !fetchGlobal[i]) {
        fetchTags[i] = 1;
      }
    }
    directory.drop(globalToo);
  }

  @Override
  protected void codeTranslationDropped(long linear) {
    droppedCode++;
    fetchTags[(int) (linear >>> 12) & FETCH_ENTRIES - 1] = 1;
    directory.dropPage(linear);
  }
}
