package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.translate.AccessGroups.Access;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * The generated method of one region while it is written: its JVM locals, and the ways out of it.
 *
 * <p>General registers, XMM registers and flags live in locals from entry to exit. An instruction
 * that cannot be finished (a fault, a device, a page crossing) leaves through a side exit before it
 * has changed anything, and the interpreter does it.
 */
final class Frame {
  /** Instead of a local that is not needed. */
  private static final int NONE = -1;

  final CodeBuilder code;
  final CompiledCode.Fallbacks fallbacks;
  final FlagEmitter flags;
  final MemoryEmitter memory;

  final int cpu = 1;

  /** How many linked regions may still run inside this one. */
  private final int depth = 2;

  /** Numbers of the places that this region is linked to. */
  private final Map<Integer, Integer> links = new LinkedHashMap<>();

  /**
   * Temporaries. The first two are the operands of what sets the flags, and left alone by
   * everything else; the last two hold pairs of SSE values.
   */
  final int[] longs = new int[6];

  final int[] ints = new int[6];

  /** Where to go on, the outcome: what {@link CompiledCode#leave} takes apart. */
  private final int exitInfo;

  /** Instructions that may still run before the region has to be left; goes below zero. */
  final int budget;

  /** A bit for each page whose translation was found as it was when the region was made. */
  private final int checkedPages;

  /** Bases of FS and GS. */
  private final int fsBase;

  private final int gsBase;

  private final RegionMachine machine;
  private final RegionUse use;
  private final PageGuess guess;
  private final IntPredicate linkable;
  final RegisterLocals registers;

  /** Whether SSE arithmetic is Java's: rounding to nearest, inexact results already noted. */
  private final int plainArithmetic;

  private final Label tail;

  /** Where the outcome may be a link to follow. */
  private final Label following;

  /** Returns {@link #outcome}. */
  private final Label out;

  private final int outcome;

  /** What a link holds. */
  private final int nextCode;

  /** Linear address behind a call that is going on. */
  private final int behindCall;

  /** Of the processor, before that call. */
  private final int dropped;

  /** Where the ways out store what changed; those that store the same share the code. */
  private final Map<Stored, Label> stores = new LinkedHashMap<>();

  /** Offset of the instruction being written from the page of the entry. */
  int current;

  /** Instructions of the block that are done but not taken off the budget. */
  int done;

  /** A bit for each XMM register whose low half is known to hold no denormal number. */
  private int settled;

  /**
   * Whether each way out has a place of its own, where its constant is put into a local: the
   * optimizing compiler would keep the constants of all of them from the entry on. The fast
   * compiler has less to do without.
   */
  private final boolean exitsApart;

  /**
   * Whether the region is left for arithmetic with unusual values, denormal numbers or NaNs. With
   * calls of the functions for those, and whatever is alive kept around them, the optimizing
   * compiler takes ten times as long.
   */
  final boolean leavesUnusual;

  private final Map<Exit, Label> exits = new LinkedHashMap<>();

  /**
   * A way out.
   *
   * @param info what the common way out takes apart
   * @param store where it goes on
   */
  private record Exit(long info, Label store) {}

  /** The access of the current instruction, if it belongs to a group. */
  @Nullable Access access;

  /** The page that is kept for the access of the current instruction, if any. */
  LastPages.@Nullable Kept keptPage;

  /** What a way out stores, and the kind of the flags there. */
  private record Stored(long changed, int flagKind) {}

  Frame(
      CodeBuilder code,
      CompiledCode.Fallbacks fallbacks,
      RegionUse use,
      RegionMachine machine,
      PageGuess guess,
      boolean exitsApart,
      boolean leavesUnusual,
      IntPredicate linkable) {
    this.exitsApart = exitsApart;
    this.leavesUnusual = leavesUnusual;
    this.linkable = linkable;
    this.guess = guess;
    this.code = code;
    this.fallbacks = fallbacks;
    this.use = use;
    this.machine = machine;
    budget = code.allocateLocal(TypeKind.INT);
    memory = new MemoryEmitter(this, machine);
    flags = new FlagEmitter(code);
    for (int i = 0; i < longs.length; i++) {
      boolean needed = i < 4 || use.xmm();
      longs[i] = needed ? code.allocateLocal(TypeKind.LONG) : NONE;
      ints[i] = needed ? code.allocateLocal(TypeKind.INT) : NONE;
    }
    exitInfo = code.allocateLocal(TypeKind.LONG);
    // HotSpot's compilers carry all of a method's locals along.
    checkedPages = use.severalPages() ? code.allocateLocal(TypeKind.INT) : NONE;
    fsBase = use.segment(CpuState.FS) ? code.allocateLocal(TypeKind.LONG) : NONE;
    gsBase = use.segment(CpuState.GS) ? code.allocateLocal(TypeKind.LONG) : NONE;
    plainArithmetic = use.xmm() ? code.allocateLocal(TypeKind.INT) : NONE;
    registers = new RegisterLocals(code, cpu, flags);
    flags.whenWritten(registers::flagsWritten);
    tail = code.newLabel();
    following = code.newLabel();
    out = code.newLabel();
    outcome = code.allocateLocal(TypeKind.INT);
    behindCall = code.allocateLocal(TypeKind.LONG);
    dropped = code.allocateLocal(TypeKind.INT);
    nextCode = code.allocateLocal(TypeKind.REFERENCE);
  }

  // ---- entry and exit

  /**
   * Writes the entry.
   *
   * @param entry page offset of the first instruction
   * @param pages how many are kept: {@link LastPages}
   */
  void enter(int entry, int pages) {
    registers.enter(use.xmm());
    code.aload(cpu).getfield(Names.CPU, "budget", Names.I).istore(budget);
    if (use.severalPages()) {
      code.iconst_0().istore(checkedPages);
    }
    memory.keepPages(pages);
    memory.reload();
    reloadBases();
    if (use.xmm()) {
      current = entry;
      done = 0;
      requireSse(sideExit());
      reloadControl();
    }
  }

  /** Goes elsewhere where SSE instructions would not run. */
  private void requireSse(Label otherwise) {
    code.aload(cpu).invokevirtual(Names.CPU, "sseAvailable", Names.type(Names.Z));
    code.ifeq(otherwise);
  }

  private void reloadControl() {
    pushControl();
    code.invokevirtual(Names.CONTROL, "plainAndInexact", Names.type(Names.Z));
    code.istore(plainArithmetic);
  }

  private void reloadBases() {
    if (use.segment(CpuState.FS)) {
      reloadBase(CpuState.FS, fsBase);
    }
    if (use.segment(CpuState.GS)) {
      reloadBase(CpuState.GS, gsBase);
    }
  }

  private void reloadBase(int segment, int local) {
    registers.pushState();
    code.getfield(Names.STATE, "segmentBase", Names.LONG_ARRAY).loadConstant(segment).laload();
    code.lstore(local);
  }

  /** Writes the exits and the common way out. */
  void leave() {
    memory.writeRare();
    exits.forEach((exit, label) -> {
      code.labelBinding(label);
      code.loadConstant(exit.info).lstore(exitInfo);
      code.goto_(exit.store);
    });
    stores.forEach((stored, label) -> {
      code.labelBinding(label);
      flags.know(new FlagEmitter.Knowledge(stored.flagKind, Fusion.NONE));
      registers.storeAll(stored.changed);
      code.goto_(tail);
    });
    code.labelBinding(tail);
    code.aload(0).aload(cpu).lload(exitInfo).iload(budget);
    code.invokevirtual(Names.CODE, "leave", Names.type(Names.I, Names.CPU, Names.J, Names.I));
    code.istore(outcome);
    code.labelBinding(following);
    links.values().forEach(this::followLink);
    code.labelBinding(out);
    code.iload(outcome).ireturn();
  }

  /** Goes on in another region, if that is the outcome. */
  private void followLink(int number) {
    Label other = code.newLabel();
    runLinked(number, other, out);
    code.goto_(out);
    code.labelBinding(other);
  }

  /** Runs what a link leads to, if that is the outcome. */
  private void runLinked(int number, Label other, Label left) {
    code.iload(outcome).loadConstant(CompiledCode.FOLLOW + number).if_icmpne(other);
    code.aload(0).getfield(Names.CODE, "link" + number, Names.CODE).astore(nextCode);
    code.loadConstant(CompiledCode.CONTINUE).istore(outcome);
    code.iload(depth).ifle(left);
    code.aload(nextCode).ifnull(left); // given up this moment
    runNext();
    code.istore(outcome);
  }

  /** Runs the code in a local, inside this one, and pushes its outcome. */
  private void runNext() {
    code.aload(nextCode).aload(cpu).iload(depth).iconst_1().isub();
    code.invokevirtual(Names.CODE, "run", Names.type(Names.I, Names.CPU, Names.I));
  }

  /**
   * Calls code outside the region, and goes on when it comes back; everything was stored then, and
   * nothing is loaded. The block's instructions are off the budget.
   *
   * @param target where the called code begins
   * @param next where it is to come back to
   */
  void call(int target, int next) {
    goAway(next);
    int number = linkNumber(target);
    if (number < 0) {
      pushRip(target);
      code.lstore(longs[2]);
      runAt(longs[2]);
      code.istore(outcome);
    } else {
      code.aload(0).getfield(Names.CODE, "link" + number, Names.CODE).astore(nextCode);
      code.aload(0).aload(cpu).aload(nextCode).loadConstant(target).iload(budget).iload(depth);
      code.invokevirtual(
          Names.CODE,
          "mayRun",
          Names.type(Names.Z, Names.CPU, Names.CODE, Names.I, Names.I, Names.I));
      code.loadConstant(CompiledCode.FIRST_LINK + number).istore(outcome);
      Label left = code.newLabel();
      code.ifeq(left);
      runNext();
      code.istore(outcome);
      code.labelBinding(left);
    }
    comeBack(next);
  }

  /** As {@link #call}, to the address in a local. */
  void callIndirect(int target, int next) {
    goAway(next);
    int number = indirectLink();
    if (number < 0) {
      runAt(target);
      code.istore(outcome);
    } else {
      Label left = code.newLabel();
      goTo(target, number);
      runLinked(number, left, left);
      code.labelBinding(left);
    }
    comeBack(next);
  }

  /** Runs whatever code there is for a linear address, and pushes its outcome. */
  private void runAt(int target) {
    code.aload(0).aload(cpu).lload(target).iload(budget).iload(depth);
    code.invokevirtual(
        Names.CODE, "enter", Names.type(Names.I, Names.CPU, Names.J, Names.I, Names.I));
  }

  /** Stores everything, and takes note of what {@link #comeBack} has to know. */
  private void goAway(int next) {
    registers.store(RegisterMask.EVERYTHING);
    pushRip(next);
    code.lstore(behindCall);
    code.aload(cpu).getfield(Names.CPU, "droppedCode", Names.I).istore(dropped);
  }

  /** Takes the outcome of called code, and leaves if it did not come back. */
  private void comeBack(int next) {
    code.aload(0).aload(cpu).lload(behindCall).loadConstant(next).iload(outcome).iload(depth);
    code.iload(dropped);
    code.invokevirtual(
        Names.CODE,
        "cameBack",
        Names.type(Names.I, Names.CPU, Names.J, Names.I, Names.I, Names.I, Names.I));
    code.dup().istore(budget).istore(outcome);
    code.iload(outcome).iflt(out);
    forgetAll();
    if (use.xmm()) {
      requireSse(exitTo(next, 0, CompiledCode.CONTINUE));
    }
  }

  /** The number of the link to a place; -1 where there is to be none, or there are too many. */
  private int linkNumber(int delta) {
    if (!links.containsKey(delta) && links.size() < CompiledCode.LINKS && linkable.test(delta)) {
      links.put(delta, links.size());
    }
    return links.getOrDefault(delta, -1);
  }

  /** The number of a link to wherever the current instruction led last; -1 for too many links. */
  private int indirectLink() {
    int number = links.size();
    if (number == CompiledCode.LINKS) {
      return -1;
    }
    links.put(Integer.MIN_VALUE + number, number);
    return number;
  }

  /** Leaves to the address in a local, and finds out whether a link leads there. */
  private void goTo(int target, int number) {
    code.aload(0).aload(cpu).lload(target).loadConstant(number).iload(budget);
    code.invokevirtual(
        Names.CODE, "goTo", Names.type(Names.I, Names.CPU, Names.J, Names.I, Names.I));
    code.istore(outcome);
  }

  /** As {@link #leaveTo}, where the address is often the same: by a link. */
  void jumpTo(int local) {
    int number = indirectLink();
    if (number < 0) {
      leaveTo(local);
      return;
    }
    registers.storeAll(registers.changed());
    goTo(local, number);
    code.goto_(following);
  }

  /** A label that leads out to a place, all instructions of the block being off the budget. */
  Label linkTo(int delta) {
    int number = linkNumber(delta);
    return exitTo(delta, 0, number < 0 ? CompiledCode.CONTINUE : CompiledCode.FIRST_LINK + number);
  }

  /** A label that leads out before the current instruction, which the interpreter will do. */
  Label sideExit() {
    return exitTo(current, done, CompiledCode.INTERPRET);
  }

  /** As {@link #sideExit}, for arithmetic with unusual values. */
  Label unusualExit() {
    return exitTo(current, done, CompiledCode.UNUSUAL);
  }

  /**
   * A label that leads out to a place, {@code retired} instructions of the block being done: to be
   * gone to by what is written next, as the place may be put into a local here.
   */
  Label exitTo(int delta, int retired, int how) {
    long info = (long) delta << 32 | (long) retired << 8 | how;
    long changed = registers.changed();
    boolean flagsChanged = (changed & RegisterMask.FLAGS) != 0;
    Stored stored = new Stored(changed, flagsChanged ? flags.known() : FlagEmitter.UNKNOWN);
    Label store = stores.computeIfAbsent(stored, key -> code.newLabel());
    if (exitsApart) {
      return exits.computeIfAbsent(new Exit(info, store), key -> code.newLabel());
    }
    code.loadConstant(info).lstore(exitInfo);
    return store;
  }

  /** Tells where the indirect transfer at the current place led, for a later translation. */
  void noteTarget(int local) {
    code.aload(cpu);
    pushRip(current);
    code.lload(local);
    code.invokevirtual(Names.CPU, "noteTarget", Names.type(Names.V, Names.J, Names.J));
  }

  /** Leaves to the address in a local; the block's instructions are off the budget. */
  void leaveTo(int local) {
    registers.storeAll(registers.changed());
    code.aload(0).aload(cpu).lload(local).iload(budget);
    code.invokevirtual(Names.CODE, "leaveTo", Names.type(Names.V, Names.CPU, Names.J, Names.I));
    code.loadConstant(CompiledCode.CONTINUE).istore(outcome).goto_(out);
  }

  /** Does an instruction through its step. */
  void fallback(int index) {
    registers.store(RegisterMask.EVERYTHING);
    pushStep(index);
    code.invokevirtual(
        Names.CODE, "fallback", Names.type(Names.V, Names.CPU, Names.I, Names.I, Names.I));
    forgetAll();
  }

  /** Pushes the code, the processor, the number of a step, the place, and the budget there. */
  private void pushStep(int index) {
    code.aload(0).aload(cpu).loadConstant(index).loadConstant(current).iload(budget);
    if (done != 0) {
      code.loadConstant(done).isub();
    }
  }

  /** Ends the block with an instruction that is done through its step, and leaves. */
  void leaveThrough(int index, int length) {
    registers.storeAll(registers.changed());
    pushStep(index);
    code.loadConstant(length);
    code.invokevirtual(
        Names.CODE, "last", Names.type(Names.I, Names.CPU, Names.I, Names.I, Names.I, Names.I));
    code.istore(outcome).goto_(out);
  }

  /** Anything may be another now. */
  private void forgetAll() {
    registers.forget();
    flags.know(FlagEmitter.Knowledge.NOTHING);
    forgetSettled();
    memory.forget();
    memory.reload();
    reloadBases();
    if (use.xmm()) {
      reloadControl();
    }
  }

  /**
   * Goes to {@code target} if the translation of a page is what it was when the region was made,
   * else out.
   *
   * @param page number of the page in the region; the entry's is 0
   * @param pageDelta linear address of the page, relative to the entry's
   * @param physical guest-physical address that it is to have
   * @param delta where to go on
   */
  void checkPage(int page, int pageDelta, long physical, int delta) {
    Label known = code.newLabel();
    code.iload(checkedPages).loadConstant(1 << page).iand().ifne(known);
    code.aload(cpu).loadConstant(pageDelta).loadConstant(physical);
    code.invokevirtual(Names.CPU, "fetchesFrom", Names.type(Names.Z, Names.I, Names.J));
    code.ifeq(exitTo(delta, 0, CompiledCode.CONTINUE));
    code.iload(checkedPages).loadConstant(1 << page).ior().istore(checkedPages);
    code.labelBinding(known);
  }

  /** On the way back to code that ran already: leaves where something waits. */
  void checkInterrupts(int delta) {
    Label out = exitTo(delta, 0, CompiledCode.CONTINUE);
    code.iload(budget).iflt(out);
    code.aload(cpu).getfield(Names.CPU, "attention", Names.I).ifne(out);
  }

  /** Whether no other processor sees the order of memory accesses. */
  boolean alone() {
    return !machine.ordered();
  }

  // ---- addresses

  /** Pushes the linear address of a place. */
  void pushRip(int delta) {
    code.aload(cpu).getfield(Names.CPU, "codePage", Names.J);
    if (delta != 0) {
      code.loadConstant((long) delta).ladd();
    }
  }

  /** Leaves the memory operand located in {@link #memory}, or exits. */
  void locate(Instruction instruction, int sizeBytes, boolean write) {
    Access group = groupOf(sizeBytes, write);
    if (group != null && memory.isLocated(group)) {
      return;
    }
    pushAddress(instruction);
    locatePushed(instruction, sizeBytes, write, group);
  }

  /** As {@link #locate}, for 8 bytes of the stack. */
  void locateOnStack(int pointer, int displacement, boolean write) {
    Access group = groupOf(8, write);
    if (group != null && memory.isLocated(group)) {
      return;
    }
    code.lload(pointer);
    if (displacement != 0) {
      code.loadConstant((long) displacement).ladd();
    }
    locateUnguessed(8, write, group);
  }

  /** The page that is kept for the access of the current instruction. */
  private LastPages.@Nullable Kept pageFor(boolean write) {
    LastPages.Kept planned = keptPage;
    return planned != null && (planned.write() || !write) ? planned : null;
  }

  /** The group that the access of the current instruction was planned to belong to. */
  private @Nullable Access groupOf(int sizeBytes, boolean write) {
    Access planned = access;
    boolean fits =
        pageFor(write) == null
            && planned != null
            && planned.sizeBytes() == sizeBytes
            && (planned.write() || !write);
    return fits ? planned : null;
  }

  /** As {@link #locate}, of no group, with the operand's linear address on the stack. */
  void locatePushed(Instruction instruction, int sizeBytes, boolean write) {
    locatePushed(instruction, sizeBytes, write, null);
  }

  private void locatePushed(
      Instruction instruction, int sizeBytes, boolean write, @Nullable Access group) {
    PageGuess.Proof proof =
        pageFor(write) == null ? guess.push(this, instruction, sizeBytes) : null;
    if (proof != null) {
      // The guess is what accesses have in common then.
      memory.locateGuessed(sizeBytes, write, proof);
    } else {
      locateUnguessed(sizeBytes, write, group);
    }
  }

  private void locateUnguessed(int sizeBytes, boolean write, @Nullable Access group) {
    LastPages.Kept page = pageFor(write);
    if (page != null) {
      memory.locateKept(sizeBytes, write, page);
    } else if (group != null && group.first()) {
      memory.locateStretch(group);
    } else {
      memory.locate(sizeBytes, write);
    }
  }

  /** Pushes the linear address of the memory operand. */
  void pushAddress(Instruction instruction) {
    pushEffectiveAddress(instruction);
    if (instruction.segment() >= CpuState.FS) {
      code.lload(instruction.segment() == CpuState.FS ? fsBase : gsBase).ladd();
    }
  }

  void pushEffectiveAddress(Instruction instruction) {
    long displacement = instruction.displacement();
    boolean pushed = false;
    if (instruction.ripRelative()) {
      code.aload(cpu).getfield(Names.CPU, "codePage", Names.J);
      displacement += current + instruction.length();
      pushed = true;
    } else if (instruction.base() < 16) {
      code.lload(local(instruction.base()));
      pushed = true;
    }
    if (instruction.index() < 16) {
      code.lload(local(instruction.index()));
      if (instruction.scaleShift() != 0) {
        code.loadConstant(instruction.scaleShift()).lshl();
      }
      if (pushed) {
        code.ladd();
      }
      pushed = true;
    }
    if (displacement != 0 || !pushed) {
      code.loadConstant(displacement);
      if (pushed) {
        code.ladd();
      }
    }
    if (instruction.addressBytes() == 4) {
      code.loadConstant(0xFFFF_FFFFL).land();
    }
  }

  // ---- general registers

  /** The local of a register, to be read. */
  int local(int register) {
    return registers.general(register);
  }

  /** The local of a register, to be written as a whole. */
  int written(int register) {
    return registers.written(register);
  }

  /** Pushes a general register: a long for 8 bytes, else an int, zero-extended below 4 bytes. */
  void pushRegister(Operand operand) {
    code.lload(local(operand.register()));
    switch (operand.sizeBytes()) {
      case 8 -> {}
      case 4 -> code.l2i();
      case 2 -> code.l2i().loadConstant(0xFFFF).iand();
      default -> {
        code.l2i();
        if (operand.kind() == Operand.Kind.HIGH_BYTE) {
          code.bipush(8).iushr();
        }
        code.loadConstant(0xFF).iand();
      }
    }
  }

  /** Writes a general register from a long local (8 bytes) or an int local. */
  void storeRegister(Operand operand, int local) {
    if (operand.sizeBytes() < 4) {
      local(operand.register()); // the rest of it stays
    }
    int register = written(operand.register());
    switch (operand.sizeBytes()) {
      case 8 -> code.lload(local).lstore(register);
      case 4 -> code.iload(local).i2l().loadConstant(0xFFFF_FFFFL).land().lstore(register);
      case 2 -> merge(register, local, 0xFFFFL, 0);
      default -> {
        boolean high = operand.kind() == Operand.Kind.HIGH_BYTE;
        merge(register, local, 0xFFL, high ? 8 : 0);
      }
    }
  }

  private void merge(int register, int local, long mask, int shift) {
    code.lload(register).loadConstant(~(mask << shift)).land();
    code.iload(local).i2l().loadConstant(mask).land();
    if (shift != 0) {
      code.bipush(shift).lshl();
    }
    code.lor().lstore(register);
  }

  // ---- XMM registers

  void pushXmm(int register, boolean high) {
    code.lload(xmmLocal(register, high));
  }

  /** Takes a long from the stack. */
  void popXmm(int register, boolean high) {
    code.lstore(registers.writtenXmm(register, high));
    if (!high) {
      settled &= ~(1 << register);
    }
  }

  int xmmLocal(int register, boolean high) {
    return registers.xmm(register, high);
  }

  /** A block begins, or everything was loaded anew: nothing is known of XMM registers. */
  void forgetSettled() {
    settled = 0;
  }

  void settle(int register) {
    settled |= 1 << register;
  }

  boolean isSettled(int register) {
    return (settled >> register & 1) != 0;
  }

  /** Pushes what floating-point functions read and raise. */
  void pushControl() {
    code.aload(cpu).invokevirtual(Names.CPU, "sseControl", Names.type(Names.CONTROL));
  }

  int plainArithmetic() {
    return plainArithmetic;
  }
}
