package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.interpret.CompiledCode;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Writes the class of a region: one method, blocks joined by jumps, everything else an exit. */
final class RegionCompiler {
  private static final ClassDesc REGION =
      ClassDesc.of(RegionCompiler.class.getPackageName(), "Region");

  private final List<RegionBlock> blocks;
  private final RegionBlock entry;
  private final CompiledCode.Fallbacks fallbacks = new CompiledCode.Fallbacks();
  private final Map<Integer, RegionBlock> byStart = new HashMap<>();
  private int longestPath;

  RegionCompiler(List<RegionBlock> blocks, int entryOffset) {
    this.blocks = blocks;
    for (RegionBlock block : blocks) {
      byStart.put(block.start, block);
      longestPath += block.instructions.size();
    }
    RegionBlock first = byStart.get(entryOffset);
    if (first == null) {
      throw new IllegalArgumentException("no block of the region begins at its entry");
    }
    this.entry = first;
  }

  CompiledCode.Fallbacks fallbacks() {
    return fallbacks;
  }

  /** No path between two looks at {@code mustLeave} is longer than all instructions together. */
  int longestPath() {
    return longestPath;
  }

  /** Writes the class file. */
  byte[] compile() {
    return ClassFile.of()
        .build(
            REGION,
            builder -> {
              builder.withSuperclass(Names.CODE);
              builder.withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_FINAL);
              builder.withMethodBody(
                  ConstantDescs.INIT_NAME,
                  ConstantDescs.MTD_void,
                  ClassFile.ACC_PUBLIC,
                  code ->
                      code.aload(0)
                          .invokespecial(
                              Names.CODE, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void)
                          .return_());
              builder.withMethodBody(
                  "run", Names.type(Names.I, Names.CPU), ClassFile.ACC_PUBLIC, this::writeRun);
            });
  }

  private void writeRun(CodeBuilder code) {
    int used = 0;
    for (RegionBlock block : blocks) {
      block.label = code.newLabel();
      for (Instruction instruction : block.instructions) {
        used |= RegisterUse.of(instruction);
      }
    }
    Frame frame = new Frame(code, fallbacks, used);
    writeWarmUp(frame);
    frame.enter();
    if (usesSse()) {
      frame.enterSse(entry.start);
    }
    code.goto_(label(entry));
    for (int i = 0; i < blocks.size(); i++) {
      RegionBlock next = i + 1 < blocks.size() ? blocks.get(i + 1) : null;
      writeBlock(frame, blocks.get(i), next);
    }
    frame.leave();
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

  private boolean usesSse() {
    for (RegionBlock block : blocks) {
      for (Instruction instruction : block.instructions) {
        if (SimdEmitter.knows(instruction)) {
          return true;
        }
      }
    }
    return false;
  }

  private static Label label(RegionBlock block) {
    return java.util.Objects.requireNonNull(block.label);
  }

  private void writeBlock(
      Frame frame, RegionBlock block, @org.jspecify.annotations.Nullable RegionBlock next) {
    CodeBuilder code = frame.code;
    code.labelBinding(label(block));
    frame.fusion = Fusion.NONE;
    int count = block.instructions.size();
    for (int i = 0; i < count; i++) {
      Instruction instruction = block.instructions.get(i);
      frame.current = block.offsets.get(i);
      frame.done = i;
      Operation operation = instruction.operation();
      int behind = frame.current + instruction.length();
      if (Branches.isConditional(operation)) {
        Label taken = code.newLabel();
        ConditionEmitter.jumpIf(frame, instruction.opcode() & 15, taken);
        edge(frame, block, behind, count);
        code.labelBinding(taken);
        edge(frame, block, behind + (int) instruction.immediate(), count);
        return;
      }
      switch (operation) {
        case JMP -> {
          edge(frame, block, behind + (int) instruction.immediate(), count);
          return;
        }
        case CALL -> {
          pushReturn(frame, behind);
          frame.pushRip(behind + (int) instruction.immediate());
          code.lstore(frame.exitRip);
          frame.leaveToExitRip(count);
          return;
        }
        case CALL_INDIRECT -> {
          IntegerEmitter.fetch(frame, instruction, instruction.operand(0), 2);
          checkCanonical(frame, frame.longs[2]);
          pushReturn(frame, behind);
          code.lload(frame.longs[2]).lstore(frame.exitRip);
          frame.leaveToExitRip(count);
          return;
        }
        case JMP_INDIRECT -> {
          IntegerEmitter.fetch(frame, instruction, instruction.operand(0), 2);
          checkCanonical(frame, frame.longs[2]);
          code.lload(frame.longs[2]).lstore(frame.exitRip);
          frame.leaveToExitRip(count);
          return;
        }
        case RET -> {
          ret(frame, instruction, count);
          return;
        }
        default -> {
          if (!writeInstruction(frame, instruction)) {
            frame.leaveToInterpreter();
            return;
          }
        }
      }
    }
    int behind = block.end();
    if (next != null && next.start == behind) {
      code.iinc(frame.count, count);
      return; // falls through
    }
    edge(frame, block, behind, count);
  }

  private boolean writeInstruction(Frame frame, Instruction instruction) {
    if (IntegerEmitter.emit(frame, instruction)
        || ShiftEmitter.emit(frame, instruction)
        || SimdEmitter.emit(frame, instruction)) {
      return true;
    }
    int index = fallbacks.add(instruction, frame.current);
    if (index < 0) {
      return false;
    }
    frame.fallback(index);
    if (instruction.operandCount() > 0 && instruction.operand(0).isMemory()) {
      // It may have overwritten this region.
      int behind = frame.current + instruction.length();
      frame.code.aload(0).getfield(Names.CODE, "valid", Names.Z);
      frame.code.ifeq(frame.exitTo(behind, frame.done + 1, CompiledCode.CONTINUE));
    }
    return true;
  }

  /** Goes on at a page offset: inside the region by a jump, else by leaving. */
  private void edge(Frame frame, RegionBlock from, int target, int retired) {
    CodeBuilder code = frame.code;
    RegionBlock to = byStart.get(target);
    if (to == null) {
      code.goto_(frame.exitTo(target, retired, CompiledCode.CONTINUE));
      return;
    }
    code.iinc(frame.count, retired);
    if (target <= from.start) {
      code.aload(frame.cpu).iload(frame.count);
      code.invokevirtual(Names.CPU, "mustLeave", Names.type(Names.Z, Names.I));
      code.ifne(frame.exitTo(target, 0, CompiledCode.CONTINUE));
    }
    code.goto_(label(to));
  }

  private static void pushReturn(Frame frame, int behind) {
    CodeBuilder code = frame.code;
    int pointer = frame.local(CpuState.RSP);
    code.lload(pointer).loadConstant(8L).lsub();
    frame.locate(8, true);
    frame.pushRip(behind);
    code.lstore(frame.longs[3]);
    frame.storeMemory(8, frame.longs[3]);
    code.lload(pointer).loadConstant(8L).lsub().lstore(pointer);
  }

  private static void ret(Frame frame, Instruction instruction, int retired) {
    CodeBuilder code = frame.code;
    int pointer = frame.local(CpuState.RSP);
    long released = 8 + (instruction.operandCount() > 0 ? instruction.immediate() : 0);
    code.lload(pointer);
    frame.locate(8, false);
    frame.pushMemory(8);
    code.lstore(frame.longs[2]);
    checkCanonical(frame, frame.longs[2]);
    code.lload(pointer).loadConstant(released).ladd().lstore(pointer);
    code.lload(frame.longs[2]).lstore(frame.exitRip);
    frame.leaveToExitRip(retired);
  }

  /** Exits to the interpreter, which raises #GP, when a target is not canonical. */
  private static void checkCanonical(Frame frame, int local) {
    frame.code.lload(local).bipush(16).lshl().bipush(16).lshr().lload(local).lcmp();
    frame.code.ifne(frame.sideExit());
  }
}
