package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/** SHL, SHR, SAR, ROL and ROR of 4 and 8 bytes in registers; BT by an immediate. */
final class ShiftEmitter {
  private ShiftEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    if (to.isMemory() || to.sizeBytes() < 4) {
      return false;
    }
    return switch (instruction.operation()) {
      case SHL, SHR, SAR, ROL, ROR -> {
        Operand count = instruction.operand(1);
        if (count.isImmediate()) {
          int n = (int) instruction.immediate() & (to.sizeBytes() == 8 ? 63 : 31);
          if (n == 0) {
            zeroCount(frame, to);
          } else {
            frame.code.loadConstant(n).istore(frame.ints[1]);
            shift(frame, instruction.operation(), to);
          }
        } else {
          byRegister(frame, instruction, to, count);
        }
        yield true;
      }
      case BT -> bitTest(frame, instruction, to);
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
    frame.pushRegister(new Operand(Operand.Kind.GENERAL, count.register(), 4));
    code.loadConstant(to.sizeBytes() == 8 ? 63 : 31).iand().istore(frame.ints[1]);
    Label zero = code.newLabel();
    Label end = code.newLabel();
    code.iload(frame.ints[1]).ifeq(zero);
    shift(frame, instruction.operation(), to);
    code.goto_(end);
    code.labelBinding(zero);
    zeroCount(frame, to);
    code.labelBinding(end);
    frame.fusion = Fusion.NONE;
  }

  /** Shifts by ints[1], which is not zero. */
  private static void shift(Frame frame, Operation operation, Operand to) {
    CodeBuilder code = frame.code;
    int size = to.sizeBytes();
    boolean wide = size == 8;
    int source = wide ? frame.longs[0] : frame.ints[0];
    int result = wide ? frame.longs[2] : frame.ints[2];
    frame.pushRegister(to);
    if (wide) {
      code.lstore(source);
      code.lload(source).iload(frame.ints[1]);
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
      code.istore(source);
      code.iload(source).iload(frame.ints[1]);
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
    frame.storeRegister(to, result);
    flags(frame, operation, size);
    frame.fusion = Fusion.NONE;
  }

  private static void pushWide(Frame frame, int size, int n) {
    if (size == 8) {
      frame.code.lload(frame.longs[n]);
    } else {
      frame.code.iload(frame.ints[n]).i2l();
    }
  }

  private static void flags(Frame frame, Operation operation, int size) {
    CodeBuilder code = frame.code;
    switch (operation) {
      case SHL -> {
        IntegerEmitter.setFlagResult(frame, size, 2);
        pushWide(frame, size, 0);
        code.iload(frame.ints[1]);
        pushWide(frame, size, 2);
        code.loadConstant(size);
        code.invokestatic(
            Names.ALU, "shiftLeftCarries", Names.type(Names.J, Names.J, Names.I, Names.J, Names.I));
      }
      case SHR, SAR -> {
        IntegerEmitter.setFlagResult(frame, size, 2);
        pushWide(frame, size, 0);
        code.iload(frame.ints[1]).loadConstant(size);
        String name = operation == Operation.SHR ? "shiftRightCarries" : "shiftArithmeticCarries";
        code.invokestatic(Names.ALU, name, Names.type(Names.J, Names.J, Names.I, Names.I));
      }
      default -> {
        code.lload(frame.flagCarries);
        pushWide(frame, size, 2);
        code.loadConstant(size);
        String name = operation == Operation.ROL ? "rotateLeftCarries" : "rotateRightCarries";
        code.invokestatic(Names.ALU, name, Names.type(Names.J, Names.J, Names.J, Names.I));
      }
    }
    code.lstore(frame.flagCarries);
  }

  private static boolean bitTest(Frame frame, Instruction instruction, Operand to) {
    CodeBuilder code = frame.code;
    Operand index = instruction.operand(1);
    int mask = to.sizeBytes() * 8 - 1;
    code.lload(frame.local(to.register()));
    if (index.isImmediate()) {
      code.loadConstant((int) instruction.immediate() & mask);
    } else {
      code.lload(frame.local(index.register())).l2i().loadConstant(mask).iand();
    }
    code.lushr();
    code.lload(frame.flagCarries);
    code.invokestatic(Names.ALU, "bitToCarry", Names.type(Names.J, Names.J, Names.J));
    code.lstore(frame.flagCarries);
    frame.fusion = Fusion.NONE;
    return true;
  }
}
