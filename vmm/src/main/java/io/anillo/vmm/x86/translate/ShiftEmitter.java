package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.LazyFlags;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/** SHL, SHR, SAR, ROL and ROR of 4 and 8 bytes. */
final class ShiftEmitter {
  private ShiftEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    if (to.sizeBytes() < 4) {
      return false;
    }
    return switch (instruction.operation()) {
      case SHL, SHR, SAR, ROL, ROR -> {
        Operand count = instruction.operand(1);
        if (count.isImmediate()) {
          int n = (int) instruction.immediate() & (to.sizeBytes() == 8 ? 63 : 31);
          if (n == 0) {
            if (to.isMemory()) {
              yield false;
            }
            zeroCount(frame, to);
          } else {
            frame.code.loadConstant(n).istore(frame.ints[1]);
            IntegerEmitter.fetchForUpdate(frame, instruction, to, 0);
            shift(frame, instruction.operation(), to);
          }
        } else {
          byRegister(frame, instruction, to, count);
        }
        yield true;
      }
      default -> false;
    };
  }

  /** Flags stay; a 32-bit register is zero-extended all the same. */
  private static void zeroCount(Frame frame, Operand to) {
    if (to.sizeBytes() == 4) {
      frame.pushRegister(to);
      frame.code.istore(frame.ints[3]);
      frame.storeRegister(to, frame.ints[3]);
    }
  }

  private static void byRegister(Frame frame, Instruction instruction, Operand to, Operand count) {
    CodeBuilder code = frame.code;
    IntegerEmitter.fetchForUpdate(frame, instruction, to, 0);
    frame.pushRegister(new Operand(Operand.Kind.GENERAL, count.register(), 4));
    code.loadConstant(to.sizeBytes() == 8 ? 63 : 31).iand().istore(frame.ints[1]);
    Label zero = code.newLabel();
    Label end = code.newLabel();
    FlagEmitter.Knowledge before = frame.flags.knowledge();
    code.iload(frame.ints[1]).ifeq(zero);
    shift(frame, instruction.operation(), to);
    code.goto_(end);
    code.labelBinding(zero);
    FlagEmitter.Knowledge after = frame.flags.knowledge();
    if (!to.isMemory()) {
      zeroCount(frame, to);
    }
    code.labelBinding(end);
    frame.flags.know(before.meet(after));
    frame.flags.forgetOperands();
  }

  /** Shifts the operand in a temporary 0 by ints[1], which is not zero. */
  private static void shift(Frame frame, Operation operation, Operand to) {
    CodeBuilder code = frame.code;
    int size = to.sizeBytes();
    boolean wide = size == 8;
    int result = IntegerEmitter.temporary(frame, size, 2);
    if (wide) {
      code.lload(frame.longs[0]).iload(frame.ints[1]);
      switch (operation) {
        case SHL -> code.lshl();
        case SHR -> code.lushr();
        case SAR -> code.lshr();
        case ROL ->
            code.invokestatic(Names.LONG, "rotateLeft", Names.type(Names.J, Names.J, Names.I));
        default ->
            code.invokestatic(Names.LONG, "rotateRight", Names.type(Names.J, Names.J, Names.I));
      }
      code.lstore(result);
    } else {
      code.iload(frame.ints[0]).iload(frame.ints[1]);
      switch (operation) {
        case SHL -> code.ishl();
        case SHR -> code.iushr();
        case SAR -> code.ishr();
        case ROL ->
            code.invokestatic(Names.INTEGER, "rotateLeft", Names.type(Names.I, Names.I, Names.I));
        default ->
            code.invokestatic(Names.INTEGER, "rotateRight", Names.type(Names.I, Names.I, Names.I));
      }
      code.istore(result);
    }
    IntegerEmitter.writeBack(frame, to, result);
    flags(frame, operation, size);
  }

  private static void flags(Frame frame, Operation operation, int size) {
    CodeBuilder code = frame.code;
    switch (operation) {
      case ROL, ROR -> {
        IntegerEmitter.pushSigned(frame, size, 2);
        int base = operation == Operation.ROL ? LazyFlags.ROL : LazyFlags.ROR;
        frame.flags.overlay(base + (LazyFlags.width(size) << 8));
      }
      default -> {
        IntegerEmitter.pushSigned(frame, size, 0);
        code.lstore(frame.flags.a);
        code.iload(frame.ints[1]).i2l().lstore(frame.flags.b);
        int base =
            operation == Operation.SHL
                ? LazyFlags.SHL
                : operation == Operation.SHR ? LazyFlags.SHR : LazyFlags.SAR;
        frame.flags.set(base, size);
      }
    }
  }
}
