package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.LazyFlags;
import java.lang.classfile.CodeBuilder;

/**
 * MUL, IMUL, DIV and IDIV of 4 and 8 bytes. A division that may fault leaves: the interpreter
 * divides, or raises #DE.
 */
final class MultiplyEmitter {
  private static final Operand EAX = new Operand(Operand.Kind.GENERAL, CpuState.RAX, 4);
  private static final Operand EDX = new Operand(Operand.Kind.GENERAL, CpuState.RDX, 4);

  private MultiplyEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    int size = instruction.operand(0).sizeBytes();
    if (size < 4) {
      return false;
    }
    switch (instruction.operation()) {
      case IMUL2 -> signed(frame, instruction, instruction.operand(0), instruction.operand(1));
      case IMUL3 -> signed(frame, instruction, instruction.operand(1), instruction.operand(2));
      case MUL, IMUL1 -> wide(frame, instruction, size);
      case DIV, IDIV -> divide(frame, instruction, size);
      default -> {
        return false;
      }
    }
    return true;
  }

  private static void signed(Frame frame, Instruction instruction, Operand first, Operand second) {
    CodeBuilder code = frame.code;
    int size = instruction.operand(0).sizeBytes();
    IntegerEmitter.fetch(frame, instruction, second, 1);
    IntegerEmitter.fetch(frame, instruction, first, 0);
    int result = IntegerEmitter.temporary(frame, size, 2);
    if (size == 8) {
      code.lload(frame.longs[0]).lload(frame.longs[1]).lmul().lstore(result);
    } else {
      code.iload(frame.ints[0]).iload(frame.ints[1]).imul().istore(result);
    }
    frame.storeRegister(instruction.operand(0), result);
    IntegerEmitter.keepOperands(frame, size);
    frame.flags.set(LazyFlags.MULTIPLY, size);
  }

  /** MUL and one-operand IMUL: twice as wide a result in RDX:RAX. */
  private static void wide(Frame frame, Instruction instruction, int size) {
    CodeBuilder code = frame.code;
    boolean signed = instruction.operation() == Operation.IMUL1;
    IntegerEmitter.fetch(frame, instruction, instruction.operand(0), 1);
    int low = frame.longs[2];
    int high = frame.longs[3];
    if (size == 8) {
      code.lload(frame.local(CpuState.RAX)).lload(frame.longs[1]);
      String name = signed ? "multiplyHigh" : "unsignedMultiplyHigh";
      code.invokestatic(Names.MATH, name, Names.type(Names.J, Names.J, Names.J)).lstore(high);
      code.lload(frame.local(CpuState.RAX)).lload(frame.longs[1]).lmul().lstore(low);
      code.lload(low).lstore(frame.written(CpuState.RAX));
      code.lload(high).lstore(frame.written(CpuState.RDX));
    } else {
      code.lload(frame.local(CpuState.RAX)).l2i().i2l();
      unsigned(code, signed);
      code.iload(frame.ints[1]).i2l();
      unsigned(code, signed);
      code.lmul().lstore(low);
      code.lload(low).bipush(32).lshr().lstore(high);
      code.lload(low).l2i().istore(frame.ints[3]);
      frame.storeRegister(EAX, frame.ints[3]);
      code.lload(high).l2i().istore(frame.ints[3]);
      frame.storeRegister(EDX, frame.ints[3]);
      code.lload(low).l2i().i2l().lstore(low);
    }
    // CF and OF: whether the upper half is more than an extension of the lower.
    code.lload(low).lstore(frame.flags.a);
    code.lload(high);
    if (signed) {
      code.lload(low).bipush(63).lshr().lxor();
    }
    code.dup2().lneg().lor().bipush(63).lshr().loadConstant(Long.MIN_VALUE).land();
    code.lstore(frame.flags.b);
    frame.flags.setRaw();
  }

  private static void unsigned(CodeBuilder code, boolean signed) {
    if (!signed) {
      code.loadConstant(0xFFFF_FFFFL).land();
    }
  }

  private static void divide(Frame frame, Instruction instruction, int size) {
    boolean signed = instruction.operation() == Operation.IDIV;
    IntegerEmitter.fetch(frame, instruction, instruction.operand(0), 2);
    if (size == 8) {
      divide8(frame, signed);
    } else {
      divide4(frame, signed);
    }
  }

  private static void divide4(Frame frame, boolean signed) {
    CodeBuilder code = frame.code;
    int dividend = frame.longs[2];
    int quotient = frame.longs[3];
    code.iload(frame.ints[2]).ifeq(frame.sideExit());
    code.lload(frame.local(CpuState.RDX)).bipush(32).lshl();
    code.lload(frame.local(CpuState.RAX)).loadConstant(0xFFFF_FFFFL).land().lor().lstore(dividend);
    code.lload(dividend).iload(frame.ints[2]).i2l();
    if (signed) {
      code.ldiv();
    } else {
      code.loadConstant(0xFFFF_FFFFL).land();
      code.invokestatic(Names.LONG, "divideUnsigned", Names.type(Names.J, Names.J, Names.J));
    }
    code.lstore(quotient);
    code.lload(quotient).l2i().i2l();
    unsigned(code, signed);
    code.lload(quotient).lcmp().ifne(frame.sideExit());
    code.lload(quotient).l2i().istore(frame.ints[3]);
    code.lload(dividend).l2i().iload(frame.ints[3]).iload(frame.ints[2]).imul().isub();
    code.istore(frame.ints[2]);
    frame.storeRegister(EAX, frame.ints[3]);
    frame.storeRegister(EDX, frame.ints[2]);
  }

  /** Only dividends that are extensions of RAX, as compilers make them. */
  private static void divide8(Frame frame, boolean signed) {
    CodeBuilder code = frame.code;
    int divisor = frame.longs[2];
    int quotient = frame.longs[3];
    code.lload(divisor).lconst_0().lcmp().ifeq(frame.sideExit());
    code.lload(frame.local(CpuState.RDX));
    if (signed) {
      code.lload(frame.local(CpuState.RAX)).bipush(63).lshr();
    } else {
      code.lconst_0();
    }
    code.lcmp().ifne(frame.sideExit());
    if (signed) {
      // The least number divided by -1 does not fit.
      code.lload(divisor).loadConstant(-1L).lcmp().ifeq(frame.sideExit());
    }
    code.lload(frame.local(CpuState.RAX)).lload(divisor);
    if (signed) {
      code.ldiv();
    } else {
      code.invokestatic(Names.LONG, "divideUnsigned", Names.type(Names.J, Names.J, Names.J));
    }
    code.lstore(quotient);
    code.lload(frame.local(CpuState.RAX)).lload(quotient).lload(divisor).lmul().lsub();
    code.lstore(frame.written(CpuState.RDX));
    code.lload(quotient).lstore(frame.written(CpuState.RAX));
  }
}
