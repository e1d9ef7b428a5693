package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/** BT, BTS, BTR, BTC, BSF, BSR, POPCNT, and the instructions that change single flags. */
final class BitEmitter {
  private BitEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    return switch (instruction.operation()) {
      case BT, BTS, BTR, BTC -> test(frame, instruction);
      case BSF, BSR -> scan(frame, instruction);
      case POPCNT -> count(frame, instruction);
      case CLC, STC -> {
        boolean set = instruction.operation() == Operation.STC;
        frame.code.loadConstant(set ? 1L : 0L);
        frame.flags.overlayBit();
        yield true;
      }
      case CMC -> {
        frame.flags.pushCarry();
        frame.code.bipush(63).lushr().lconst_1().lxor();
        frame.flags.overlayBit();
        yield true;
      }
      case LFENCE, MFENCE, SFENCE -> frame.alone();
      default -> false;
    };
  }

  private static boolean test(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    Operand index = instruction.operand(1);
    int size = to.sizeBytes();
    boolean changes = instruction.operation() != Operation.BT;
    if (size < 4 || (instruction.locked() && !frame.alone())) {
      return false;
    }
    if (to.isMemory() && !index.isImmediate()) {
      return false;
    }
    CodeBuilder code = frame.code;
    // The value as a long in longs[2], the number of the bit in ints[3].
    if (to.isMemory()) {
      frame.locate(instruction, size, changes);
      frame.memory.push(size);
      if (size == 4) {
        code.i2l();
      }
    } else {
      code.lload(frame.local(to.register()));
    }
    code.lstore(frame.longs[2]);
    int mask = size * 8 - 1;
    if (index.isImmediate()) {
      code.loadConstant((int) instruction.immediate() & mask);
    } else {
      code.lload(frame.local(index.register())).l2i().loadConstant(mask).iand();
    }
    code.istore(frame.ints[3]);
    if (changes) {
      change(frame, instruction.operation(), to);
    }
    code.lload(frame.longs[2]).iload(frame.ints[3]).lushr();
    frame.flags.overlayBit();
    return true;
  }

  private static void change(Frame frame, Operation operation, Operand to) {
    CodeBuilder code = frame.code;
    code.lload(frame.longs[2]).lconst_1().iload(frame.ints[3]).lshl();
    switch (operation) {
      case BTS -> code.lor();
      case BTR -> code.loadConstant(-1L).lxor().land();
      default -> code.lxor();
    }
    if (to.sizeBytes() == 8) {
      code.lstore(frame.longs[3]);
      IntegerEmitter.writeBack(frame, to, frame.longs[3]);
    } else {
      code.l2i().istore(frame.ints[2]);
      IntegerEmitter.writeBack(frame, to, frame.ints[2]);
    }
  }

  /** Brings the source into longs[2], zero-extended. */
  private static void fetch(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand from = instruction.operand(1);
    IntegerEmitter.fetch(frame, instruction, from, 2);
    if (from.sizeBytes() < 8) {
      code.iload(frame.ints[2]).i2l().loadConstant(0xFFFF_FFFFL).land().lstore(frame.longs[2]);
    }
  }

  /** ZF is set for a source of zero, the other flags are clear. */
  private static void setZeroFlag(Frame frame) {
    CodeBuilder code = frame.code;
    code.lload(frame.longs[2]).dup2().lneg().lor().bipush(63).lushr().lstore(frame.flags.a);
    frame.flags.setLogic(8);
  }

  private static boolean scan(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    fetch(frame, instruction);
    Label zero = code.newLabel();
    code.lload(frame.longs[2]).lconst_0().lcmp().ifeq(zero);
    boolean forward = instruction.operation() == Operation.BSF;
    String name = forward ? "numberOfTrailingZeros" : "numberOfLeadingZeros";
    code.lload(frame.longs[2]);
    code.invokestatic(Names.LONG, name, Names.type(Names.I, Names.J));
    if (!forward) {
      code.bipush(63).ixor();
    }
    store(frame, to);
    code.labelBinding(zero);
    setZeroFlag(frame);
    return true;
  }

  /** Writes the int on the stack to the destination. */
  private static void store(Frame frame, Operand to) {
    CodeBuilder code = frame.code;
    if (to.sizeBytes() == 8) {
      code.i2l().lstore(frame.written(to.register()));
    } else {
      code.istore(frame.ints[3]);
      frame.storeRegister(to, frame.ints[3]);
    }
  }

  private static boolean count(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    fetch(frame, instruction);
    code.lload(frame.longs[2]);
    code.invokestatic(Names.LONG, "bitCount", Names.type(Names.I, Names.J));
    store(frame, instruction.operand(0));
    // All flags but ZF are cleared, PF included: bit 2 of the carries inverts it.
    code.lload(frame.longs[2]).dup2().lneg().lor().bipush(63).lushr().lstore(frame.flags.a);
    code.lload(frame.flags.a).lconst_1().lxor().iconst_2().lshl().lstore(frame.flags.b);
    frame.flags.setRaw();
    return true;
  }
}
