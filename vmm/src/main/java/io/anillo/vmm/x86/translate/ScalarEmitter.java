package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.simd.SseConversions;
import io.anillo.vmm.x86.execute.simd.SseDouble;
import io.anillo.vmm.x86.execute.simd.SseSingle;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.constant.ClassDesc;

/**
 * Scalar and packed floating point: the pure functions of {@code x86.execute.simd}. Where one finds
 * an exception that MXCSR does not have yet, the region is left and the interpreter does the
 * instruction again, with all it entails.
 */
final class ScalarEmitter {
  private static final ClassDesc DOUBLE = Names.of(SseDouble.class);
  private static final ClassDesc SINGLE = Names.of(SseSingle.class);
  private static final ClassDesc CONVERSIONS = Names.of(SseConversions.class);

  private ScalarEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    switch (instruction.operation()) {
      case MINSD -> doubles(frame, instruction, "minimum");
      case MAXSD -> doubles(frame, instruction, "maximum");
      case ADDSS -> singles(frame, instruction, "add");
      case SUBSS -> singles(frame, instruction, "subtract");
      case MULSS -> singles(frame, instruction, "multiply");
      case DIVSS -> singles(frame, instruction, "divide");
      case CVTSI2SD -> fromInteger(frame, instruction);
      case CVTTSD2SI -> truncate(frame, instruction);
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Whether an instruction is a scalar one that reads its last operand and writes its first. */
  static boolean accesses(Instruction instruction) {
    return switch (instruction.operation()) {
      case MOVSD_SSE, MOVSS, ADDSD, SUBSD, MULSD, DIVSD, ADDSS, SUBSS, MULSS, DIVSS -> true;
      default -> false;
    };
  }

  /**
   * Brings a source of 8 bytes (or 4, sign-extended) into longs[3].
   *
   * @return whether it is known not to be denormal, for one of 8 bytes
   */
  static boolean fetch(Frame frame, Instruction instruction, int size) {
    Operand from = instruction.operand(1);
    if (from.isMemory()) {
      frame.locate(instruction, size, false);
      frame.memory.push(size);
      if (size == 4) {
        frame.code.i2l();
      }
    } else {
      SimdEmitter.pushLow(frame, from.register());
    }
    frame.code.lstore(frame.longs[3]);
    return !from.isMemory() && frame.isSettled(from.register());
  }

  /** Leaves if the function before found an exception. */
  static void checkExceptions(Frame frame) {
    frame.pushControl();
    frame.code.getfield(Names.CONTROL, "exceptions", Names.I);
    frame.code.ifne(frame.sideExit());
  }

  private static void doubles(Frame frame, Instruction instruction, String name) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    fetch(frame, instruction, 8);
    SimdEmitter.pushLow(frame, to);
    code.lload(frame.longs[3]);
    frame.pushControl();
    code.invokestatic(DOUBLE, name, Names.type(Names.J, Names.J, Names.J, Names.CONTROL));
    code.lstore(frame.longs[2]);
    checkExceptions(frame);
    SimdEmitter.storeLow(frame, to, frame.longs[2]);
  }

  private static void singles(Frame frame, Instruction instruction, String name) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    fetch(frame, instruction, 4);
    SimdEmitter.pushLow(frame, to);
    code.l2i().lload(frame.longs[3]).l2i();
    frame.pushControl();
    code.invokestatic(SINGLE, name, Names.type(Names.I, Names.I, Names.I, Names.CONTROL));
    code.istore(frame.ints[3]);
    checkExceptions(frame);
    SimdEmitter.pushLow(frame, to);
    code.loadConstant(0xFFFF_FFFF_0000_0000L).land();
    code.iload(frame.ints[3]).i2l().loadConstant(0xFFFF_FFFFL).land().lor();
    code.lstore(frame.longs[3]);
    SimdEmitter.storeLow(frame, to, frame.longs[3]);
  }

  private static void fromInteger(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand from = instruction.operand(1);
    IntegerEmitter.fetch(frame, instruction, from, 3);
    int to = instruction.operand(0).register();
    if (from.sizeBytes() == 4) {
      // Exact, whatever MXCSR says.
      code.iload(frame.ints[3]).i2d();
      code.invokestatic(Names.DOUBLE, "doubleToRawLongBits", Names.type(Names.J, Names.D));
      code.lstore(frame.longs[2]);
      SimdEmitter.storeLow(frame, to, frame.longs[2]);
      frame.settle(to);
      return;
    }
    Label slow = DoubleEmitter.slow(frame);
    code.iload(frame.plainArithmetic()).ifeq(slow);
    code.lload(frame.longs[3]).l2d();
    code.invokestatic(Names.DOUBLE, "doubleToRawLongBits", Names.type(Names.J, Names.D));
    code.lstore(frame.longs[2]);
    DoubleEmitter.orElse(
        frame,
        slow,
        () -> {
          code.lload(frame.longs[3]);
          frame.pushControl();
          code.invokestatic(
              CONVERSIONS, "integerToDouble", Names.type(Names.J, Names.J, Names.CONTROL));
          code.lstore(frame.longs[2]);
          checkExceptions(frame);
        });
    SimdEmitter.storeLow(frame, to, frame.longs[2]);
    frame.settle(to);
  }

  private static void truncate(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    fetch(frame, instruction, 8);
    Label slow = DoubleEmitter.slow(frame);
    code.iload(frame.plainArithmetic()).ifeq(slow);
    DoubleEmitter.pushDouble(code, frame.longs[3]);
    code.d2l().lstore(frame.longs[2]);
    DoubleEmitter.checkNumber(code, frame.longs[3], slow);
    checkFits(frame, to.sizeBytes(), slow);
    DoubleEmitter.orElse(
        frame,
        slow,
        () -> {
          code.lload(frame.longs[3]).loadConstant(to.sizeBytes() * 8);
          frame.pushControl();
          code.invokestatic(
              CONVERSIONS, "truncateDouble", Names.type(Names.J, Names.J, Names.I, Names.CONTROL));
          code.lstore(frame.longs[2]);
          checkExceptions(frame);
        });
    if (to.sizeBytes() == 8) {
      frame.storeRegister(to, frame.longs[2]);
    } else {
      code.lload(frame.longs[2]).l2i().istore(frame.ints[3]);
      frame.storeRegister(to, frame.ints[3]);
    }
  }

  /** Goes elsewhere where the integer in longs[2] is not what a double was, or may not be. */
  private static void checkFits(Frame frame, int sizeBytes, Label slow) {
    CodeBuilder code = frame.code;
    int integer = frame.longs[2];
    if (sizeBytes == 4) {
      code.lload(integer).lload(integer).l2i().i2l().lcmp().ifne(slow);
    } else {
      // The least and the greatest one are also what Java makes of everything beyond.
      code.lload(integer).lload(integer).bipush(63).lshr().lxor();
      code.loadConstant(Long.MAX_VALUE).lcmp().ifeq(slow);
    }
  }
}
