package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.translate.AccessGroups.Access;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.MethodModel;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.constant.ConstantDescs;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** Writes the class of a region: one method, blocks joined by jumps, everything else an exit. */
final class RegionCompiler {
  /** Where HotSpot verifies nothing, it needs no maps for that, which take long to make. */
  private static final ClassFile CLASS_FILE =
      HotSpotCompilers.ofThisMachine().map(HotSpotCompilers::verifies).orElse(true)
          ? ClassFile.of()
          : ClassFile.of(ClassFile.StackMapsOption.DROP_STACK_MAPS);

  private final Region region;
  private final RegionMachine machine;
  private final PageGuess guess;
  private final RegionBuilder.Shape shape;
  private final CodeHints hints;

  /**
   * Registers that are stored before an instruction that may leave, not where it leaves. The fast
   * compiler then has less to write and to keep: ways out are many, and hardly ever taken.
   */
  private final long storedEarly;

  /** As in {@link Frame}. */
  private final boolean leavesUnusual;

  private final CompiledCode.Fallbacks fallbacks = new CompiledCode.Fallbacks();
  private LastPages pages = LastPages.none();

  RegionCompiler(
      Region region,
      RegionMachine machine,
      PageGuess guess,
      RegionBuilder.Shape shape,
      boolean leavesUnusual,
      CodeHints hints) {
    this.hints = hints;
    this.leavesUnusual = leavesUnusual;
    this.shape = shape;
    this.region = region;
    this.machine = machine;
    this.guess = guess;
    storedEarly =
        shape == RegionBuilder.Shape.PLAIN && HotSpotCompilers.ofThisMachine().isPresent()
            ? RegisterMask.ALL_GENERAL | RegisterMask.ALL_XMM
            : 0;
  }

  CompiledCode.Fallbacks fallbacks() {
    return fallbacks;
  }

  /** Writes the class file, whose class {@link Handover} makes. */
  byte[] compile() {
    return CLASS_FILE.build(
        Names.REGION,
        builder -> {
          builder.withSuperclass(Names.CODE);
          builder.withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_FINAL);
          builder.withField("TLB", Names.LONG_ARRAY, ClassFile.ACC_STATIC | ClassFile.ACC_FINAL);
          builder.withMethodBody(
              ConstantDescs.CLASS_INIT_NAME,
              ConstantDescs.MTD_void,
              ClassFile.ACC_STATIC,
              RegionCompiler::writeInitializer);
          builder.withMethodBody(
              ConstantDescs.INIT_NAME,
              ConstantDescs.MTD_void,
              ClassFile.ACC_PUBLIC,
              code ->
                  code.aload(0)
                      .invokespecial(Names.CODE, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void)
                      .return_());
          builder.withMethodBody(
              "run", Names.type(Names.I, Names.CPU, Names.I), ClassFile.ACC_PUBLIC, this::writeRun);
        });
  }

  private static void writeInitializer(CodeBuilder code) {
    code.getstatic(Names.HANDOVER, "tlb", Names.LONG_ARRAY);
    code.putstatic(Names.REGION, "TLB", Names.LONG_ARRAY);
    code.new_(Names.REGION).dup();
    code.invokespecial(Names.REGION, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void);
    code.putstatic(Names.HANDOVER, "code", Names.CODE).return_();
  }

  /** Length of the longest method of a class file. */
  static int methodBytes(byte[] classFile) {
    int longest = 0;
    for (MethodModel method : ClassFile.of().parse(classFile).methods()) {
      longest =
          Math.max(
              longest,
              method.findAttribute(Attributes.code()).map(CodeAttribute::codeLength).orElse(0));
    }
    return longest;
  }

  private void writeRun(CodeBuilder code) {
    for (RegionBlock block : region.blocks) {
      block.label = code.newLabel();
      block.predecessors = 0;
    }
    region.entry.predecessors++;
    for (RegionBlock block : region.blocks) {
      for (RegionBlock next : new Successors(region, block).all()) {
        next.predecessors++;
      }
    }
    RegisterFlow.plan(region, storedEarly);
    boolean optimized = storedEarly == 0;
    Frame frame =
        new Frame(
            code,
            fallbacks,
            RegionUse.of(region),
            machine,
            guess,
            optimized,
            leavesUnusual,
            this::isWarm);
    if (HotSpotCompilers.ofThisMachine().isEmpty()) {
      writeWarmUp(frame);
    }
    pages =
        shape == RegionBuilder.Shape.WIDE
            ? LastPages.of(region, guess.registers())
            : LastPages.none();
    frame.enter(region.entry.start, pages.count());
    arrive(frame, region.entry, region.entry.index == 0);
    for (RegionBlock block : region.blocks) {
      writeBlock(frame, block);
    }
    frame.leave();
  }

  /** Whether the code at a place ran about as often as the entry: then it is worth a link. */
  private boolean isWarm(int delta) {
    long page = hints.physicalPage((hints.linear() & -4096L) + (delta & -4096));
    return page >= 0
        && hints.heat(page | delta & 4095) * RegionBuilder.RELATIVE_HEAT
            >= hints.heat(hints.physical());
  }

  /**
   * Called without a processor, the method returns: how {@link WarmUp} gets it compiled before it
   * is needed.
   */
  private static void writeWarmUp(Frame frame) {
    CodeBuilder code = frame.code;
    Label real = code.newLabel();
    code.aload(frame.cpu).ifnonnull(real);
    code.iconst_0().ireturn();
    code.labelBinding(real);
  }

  /** Goes to a block of the region. */
  private static void arrive(Frame frame, RegionBlock block, boolean follows) {
    frame.registers.store(~block.changedBefore);
    frame.registers.require(block.loadedBefore);
    FlagEmitter.Knowledge here = frame.flags.knowledge();
    FlagEmitter.Knowledge others = block.knowledge;
    block.knowledge = others == null ? here : others.meet(here);
    block.writtenEdges++;
    if (!follows) {
      frame.code.goto_(block.label());
    }
  }

  private void writeBlock(Frame frame, RegionBlock block) {
    CodeBuilder code = frame.code;
    code.labelBinding(block.label());
    FlagEmitter.Knowledge knowledge = block.knowledge;
    frame.flags.know(
        knowledge != null && block.writtenEdges == block.predecessors
            ? knowledge
            : FlagEmitter.Knowledge.NOTHING);
    frame.forgetSettled();
    frame.registers.begin(block.loadedBefore, block.changedBefore);
    frame.memory.forget();
    @Nullable Access[] accesses = AccessGroups.of(block, storedEarly == 0);
    int count = block.instructions.size();
    for (int i = 0; i < count; i++) {
      Instruction instruction = block.instructions.get(i);
      frame.current = block.deltas.get(i);
      frame.done = i;
      frame.access = accesses[i];
      frame.keptPage = pages.of(block, i);
      if (mayLeave(instruction)) {
        frame.registers.store(storedEarly);
      }
      frame.registers.require(RegisterMask.needed(instruction));
      if (Branches.isConditional(instruction.operation())
          || Branches.endsBlock(instruction.operation())) {
        writeTransfer(frame, block, instruction, count);
        return;
      }
      if (!writeInstruction(frame, instruction)) {
        frame.leaveThrough(fallbacks.add(instruction, frame.current), instruction.length());
        return;
      }
    }
    frame.registers.store(storedEarly);
    frame.code.iinc(frame.budget, -count);
    edge(frame, block, block.activation, block.end());
  }

  /** Whether the code of an instruction is likely to have a way out of the region. */
  private static boolean mayLeave(Instruction instruction) {
    Operation operation = instruction.operation();
    if (Branches.isConditional(operation) || Branches.endsBlock(operation)) {
      return true;
    }
    return switch (operation) {
      case PUSH, POP, LEAVE, DIV, IDIV -> true;
      case LEA, NOP -> false;
      default -> hasMemoryOperand(instruction);
    };
  }

  private static boolean hasMemoryOperand(Instruction instruction) {
    for (int i = 0; i < instruction.operandCount(); i++) {
      if (instruction.operand(i).isMemory()) {
        return true;
      }
    }
    return false;
  }

  private void writeTransfer(Frame frame, RegionBlock block, Instruction instruction, int count) {
    CodeBuilder code = frame.code;
    int next = frame.current + instruction.length();
    int target = next + (int) instruction.immediate();
    switch (instruction.operation()) {
      case JMP -> {
        code.iinc(frame.budget, -count);
        edge(frame, block, block.activation, target);
      }
      case CALL -> {
        pushReturn(frame, next);
        code.iinc(frame.budget, -count);
        Activation called =
            new Activation(block.activation, next, target, block.activation.depth() + 1);
        if (region.at(called, target) == null
            && (shape == RegionBuilder.Shape.PLAIN || region.at(block.activation, next) != null)) {
          frame.call(target, next);
          edge(frame, block, block.activation, next);
        } else {
          edge(frame, block, called, target);
        }
      }
      case CALL_INDIRECT -> {
        IntegerEmitter.fetch(frame, instruction, instruction.operand(0), 2);
        checkCanonical(frame, frame.longs[2]);
        pushReturn(frame, next);
        code.iinc(frame.budget, -count);
        Activation here = block.activation;
        if (block.targets.isEmpty()
            && (shape == RegionBuilder.Shape.PLAIN || region.at(here, next) != null)) {
          frame.noteTarget(frame.longs[2]);
          frame.callIndirect(frame.longs[2], next);
          edge(frame, block, here, next);
          return;
        }
        leaveIndirectly(frame, block, led -> new Activation(here, next, led, here.depth() + 1));
      }
      case JMP_INDIRECT -> {
        IntegerEmitter.fetch(frame, instruction, instruction.operand(0), 2);
        checkCanonical(frame, frame.longs[2]);
        code.iinc(frame.budget, -count);
        leaveIndirectly(frame, block, led -> block.activation);
      }
      case RET -> ret(frame, block, instruction, count);
      default -> {
        code.iinc(frame.budget, -count);
        frame.done = 0;
        Label other = code.newLabel();
        // The other way round, so that what comes next mostly follows.
        ConditionEmitter.jumpIf(frame, instruction.opcode() & 15 ^ 1, other);
        edge(frame, block, block.activation, target, false);
        code.labelBinding(other);
        edge(frame, block, block.activation, next, true);
      }
    }
  }

  /**
   * Goes to the address in a temporary: inside the region if it is one of those that were seen
   * before, else by leaving.
   */
  private void leaveIndirectly(
      Frame frame, RegionBlock block, IntFunction<Activation> activationOf) {
    int target = frame.longs[2];
    for (int led : block.targets) {
      Activation activation = activationOf.apply(led);
      if (region.at(activation, led) != null) {
        Label other = frame.code.newLabel();
        frame.code.lload(target);
        frame.pushRip(led);
        frame.code.lcmp().ifne(other);
        edge(frame, block, activation, led, false);
        frame.code.labelBinding(other);
      }
    }
    if (block.targets.isEmpty()) {
      frame.noteTarget(target);
    }
    frame.jumpTo(target);
  }

  private boolean writeInstruction(Frame frame, Instruction instruction) {
    if (IntegerEmitter.emit(frame, instruction)
        || ShiftEmitter.emit(frame, instruction)
        || BitEmitter.emit(frame, instruction)
        || MultiplyEmitter.emit(frame, instruction)
        || AtomicEmitter.emit(frame, instruction)
        || SimdEmitter.emit(frame, instruction)) {
      return true;
    }
    if (CompiledCode.endsRegion(instruction)) {
      return false;
    }
    frame.fallback(fallbacks.add(instruction, frame.current));
    // It, or what other processors did meanwhile, may have overwritten this region.
    int next = frame.current + instruction.length();
    frame.code.aload(0).getfield(Names.CODE, "valid", Names.Z);
    frame.code.ifeq(frame.exitTo(next, frame.done + 1, CompiledCode.CONTINUE));
    return true;
  }

  /** Goes on at a place: inside the region by a jump, else by leaving. */
  private void edge(Frame frame, RegionBlock from, @Nullable Activation activation, int target) {
    edge(frame, from, activation, target, true);
  }

  /** As above; {@code last} where nothing else is written for the block. */
  private void edge(
      Frame frame, RegionBlock from, @Nullable Activation activation, int target, boolean last) {
    // What the edge loads and stores is so on this way alone.
    long loaded = frame.registers.loaded();
    long changed = frame.registers.changed();
    FlagEmitter.Knowledge knowledge = frame.flags.knowledge();
    writeEdge(frame, from, activation, target, last);
    frame.registers.begin(loaded, changed);
    frame.flags.know(knowledge);
  }

  private void writeEdge(
      Frame frame, RegionBlock from, @Nullable Activation activation, int target, boolean last) {
    RegionBlock to = region.at(activation, target);
    if (to == null) {
      frame.code.goto_(frame.linkTo(target));
      return;
    }
    RegionPage page = region.pageOf(target);
    if (page.number() != 0 && page != region.pageOf(from.start)) {
      frame.checkPage(page.number(), page.delta(), page.physical(), target);
    }
    if (to.index <= from.index) {
      frame.checkInterrupts(target);
    }
    arrive(frame, to, last && to.index == from.index + 1);
  }

  private static void pushReturn(Frame frame, int next) {
    CodeBuilder code = frame.code;
    int pointer = frame.local(CpuState.RSP);
    frame.locateOnStack(pointer, -8, true);
    frame.pushRip(next);
    code.lstore(frame.longs[3]);
    frame.memory.store(8, frame.longs[3]);
    code.lload(pointer).loadConstant(8L).lsub().lstore(frame.written(CpuState.RSP));
  }

  private void ret(Frame frame, RegionBlock block, Instruction instruction, int count) {
    CodeBuilder code = frame.code;
    int pointer = frame.local(CpuState.RSP);
    long released = 8 + (instruction.operandCount() > 0 ? instruction.immediate() & 0xFFFF : 0);
    frame.locateOnStack(pointer, 0, false);
    frame.memory.push(8);
    code.lstore(frame.longs[2]);
    Activation caller = block.activation.caller();
    int place = block.activation.returnDelta();
    if (caller != null && region.at(caller, place) != null) {
      Label elsewhere = code.newLabel();
      code.lload(frame.longs[2]);
      frame.pushRip(place);
      code.lcmp().ifne(elsewhere);
      code.lload(pointer).loadConstant(released).ladd().lstore(frame.written(CpuState.RSP));
      code.iinc(frame.budget, -count);
      edge(frame, block, caller, place, false);
      code.labelBinding(elsewhere);
    }
    checkCanonical(frame, frame.longs[2]);
    code.lload(pointer).loadConstant(released).ladd().lstore(frame.written(CpuState.RSP));
    code.iinc(frame.budget, -count);
    frame.leaveTo(frame.longs[2]);
  }

  /** Exits to the interpreter, which raises #GP, when a target is not canonical. */
  private static void checkCanonical(Frame frame, int local) {
    frame.code.lload(local).bipush(16).lshl().bipush(16).lshr().lload(local).lcmp();
    frame.code.ifne(frame.sideExit());
  }
}
