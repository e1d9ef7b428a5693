package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.simd.SseDouble;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.constant.ClassDesc;

/**
 * Double-precision arithmetic and comparisons: Java's own where that is provably the same, which is
 * where MXCSR asks for nothing else, operands are not denormal and the result is a normal number;
 * the functions of {@code x86.execute.simd} elsewhere. Where such a function finds an exception
 * that MXCSR does not have yet, the region is left and the interpreter does the instruction; in
 * code for the optimizing compiler that is so for all that is not Java's ({@link
 * Frame#leavesUnusual}).
 *
 * <p>Invariant: what an operation left in a register is no denormal number, for a denormal result
 * leaves the region too; {@link Frame#isSettled} remembers it, and saves the next look.
 */
final class DoubleEmitter {
  private static final ClassDesc DOUBLE = Names.of(SseDouble.class);

  /** The least normal number, without its sign: shifted left by one. */
  private static final long TWICE_LEAST_NORMAL = 1L << 53;

  private static final long TWICE_INFINITY = 0x7FFL << 53;

  private DoubleEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    switch (instruction.operation()) {
      case ADDSD, SUBSD, MULSD, DIVSD -> scalar(frame, instruction);
      case ADDPD, SUBPD, MULPD, DIVPD -> packed(frame, instruction);
      case SQRTSD -> squareRoot(frame, instruction);
      case UCOMISD, COMISD -> compare(frame, instruction);
      default -> {
        return false;
      }
    }
    return true;
  }

  private static String name(Operation operation) {
    return switch (operation) {
      case ADDSD, ADDPD -> "add";
      case SUBSD, SUBPD -> "subtract";
      case MULSD, MULPD -> "multiply";
      default -> "divide";
    };
  }

  // ---- arithmetic

  private static void scalar(Frame frame, Instruction instruction) {
    int to = instruction.operand(0).register();
    boolean settled = ScalarEmitter.fetch(frame, instruction, 8);
    Label slow = slow(frame);
    frame.code.iload(frame.plainArithmetic()).ifeq(slow);
    quick(frame, instruction.operation(), to, false, settled, frame.longs[3], frame.longs[2], slow);
    orElse(
        frame,
        slow,
        () -> {
          careful(frame, instruction.operation(), to, false, frame.longs[3], frame.longs[2]);
          ScalarEmitter.checkExceptions(frame);
          refuseDenormal(frame, frame.longs[2]);
        });
    SimdEmitter.storeLow(frame, to, frame.longs[2]);
    frame.settle(to);
  }

  private static void packed(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    Operand from = instruction.operand(1);
    if (from.isMemory()) {
      SimdEmitter.fetch16(frame, instruction, true, frame.longs[2], frame.longs[3]);
    } else {
      SimdEmitter.pushLow(frame, from.register());
      code.lstore(frame.longs[2]);
      SimdEmitter.pushHigh(frame, from.register());
      code.lstore(frame.longs[3]);
    }
    Label slow = slow(frame);
    code.iload(frame.plainArithmetic()).ifeq(slow);
    Operation operation = instruction.operation();
    quick(frame, operation, to, false, false, frame.longs[2], frame.longs[4], slow);
    quick(frame, operation, to, true, false, frame.longs[3], frame.longs[5], slow);
    orElse(
        frame,
        slow,
        () -> {
          careful(frame, operation, to, false, frame.longs[2], frame.longs[4]);
          careful(frame, operation, to, true, frame.longs[3], frame.longs[5]);
          ScalarEmitter.checkExceptions(frame);
        });
    SimdEmitter.storeLow(frame, to, frame.longs[4]);
    SimdEmitter.storeHigh(frame, to, frame.longs[5]);
  }

  /** Where an instruction goes whose values are unusual. */
  static Label slow(Frame frame) {
    return frame.leavesUnusual ? frame.unusualExit() : frame.code.newLabel();
  }

  /** Behind what is done for usual values: writes what is done for others, where they stay. */
  static void orElse(Frame frame, Label slow, Runnable code) {
    if (!frame.leavesUnusual) {
      Label end = frame.code.newLabel();
      frame.code.goto_(end);
      frame.code.labelBinding(slow);
      code.run();
      frame.code.labelBinding(end);
    }
  }

  /** One operation as Java does it; goes to {@code slow} where that may not be the same. */
  private static void quick(
      Frame frame,
      Operation operation,
      int to,
      boolean high,
      boolean sourceSettled,
      int source,
      int result,
      Label slow) {
    CodeBuilder code = frame.code;
    int old = frame.xmmLocal(to, high);
    pushDouble(code, old);
    pushDouble(code, source);
    switch (name(operation)) {
      case "add" -> code.dadd();
      case "subtract" -> code.dsub();
      case "multiply" -> code.dmul();
      default -> code.ddiv();
    }
    code.invokestatic(Names.DOUBLE, "doubleToRawLongBits", Names.type(Names.J, Names.D));
    code.lstore(result);
    checkResult(frame, operation, old, source, result, slow);
    if (high || !frame.isSettled(to)) {
      checkNotDenormal(code, old, slow);
    }
    if (!sourceSettled) {
      checkNotDenormal(code, source, slow);
    }
  }

  private static void careful(
      Frame frame, Operation operation, int to, boolean high, int source, int result) {
    frame.pushXmm(to, high);
    frame.code.lload(source);
    frame.pushControl();
    frame.code.invokestatic(
        DOUBLE, name(operation), Names.type(Names.J, Names.J, Names.J, Names.CONTROL));
    frame.code.lstore(result);
  }

  private static void squareRoot(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    boolean settled = ScalarEmitter.fetch(frame, instruction, 8);
    Label slow = slow(frame);
    code.iload(frame.plainArithmetic()).ifeq(slow);
    pushDouble(code, frame.longs[3]);
    code.invokestatic(Names.MATH, "sqrt", Names.type(Names.D, Names.D));
    code.invokestatic(Names.DOUBLE, "doubleToRawLongBits", Names.type(Names.J, Names.D));
    code.lstore(frame.longs[2]);
    int source = frame.longs[3];
    checkResult(frame, instruction.operation(), source, source, frame.longs[2], slow);
    if (!settled) {
      checkNotDenormal(code, source, slow);
    }
    orElse(
        frame,
        slow,
        () -> {
          code.lload(source);
          frame.pushControl();
          code.invokestatic(DOUBLE, "squareRoot", Names.type(Names.J, Names.J, Names.CONTROL));
          code.lstore(frame.longs[2]);
          ScalarEmitter.checkExceptions(frame);
          refuseDenormal(frame, frame.longs[2]);
        });
    SimdEmitter.storeLow(frame, to, frame.longs[2]);
    frame.settle(to);
  }

  static void pushDouble(CodeBuilder code, int local) {
    code.lload(local);
    code.invokestatic(Names.DOUBLE, "longBitsToDouble", Names.type(Names.D, Names.J));
  }

  /**
   * Goes to {@code slow} where a result may not be what the processor's is; where that leaves the
   * region, zero and infinity as they are meant do not go there.
   */
  private static void checkResult(
      Frame frame, Operation operation, int old, int source, int result, Label slow) {
    if (!frame.leavesUnusual) {
      checkNormal(frame.code, result, slow);
      return;
    }
    Label special = frame.code.newLabel();
    Label fine = frame.code.newLabel();
    checkNormal(frame.code, result, special);
    frame.code.labelBinding(fine);
    frame.memory.later(() -> {
      frame.code.labelBinding(special);
      checkSpecial(frame.code, operation, old, source, result, fine, slow);
    });
  }

  /**
   * Goes to {@code fine} if a result that {@link #checkNormal} refused is zero or infinite, and
   * exactly so: a sum that is zero always is, others where they are as great as an operand.
   */
  private static void checkSpecial(
      CodeBuilder code,
      Operation operation,
      int old,
      int source,
      int result,
      Label fine,
      Label slow) {
    // Infinity becomes zero, zero this constant.
    long one = 1L << 53;
    code.lload(result).iconst_1().lshl().loadConstant(one).ladd();
    code.loadConstant(~one).land().lconst_0().lcmp().ifne(slow);
    switch (operation) {
      case ADDSD, ADDPD, SUBSD, SUBPD -> {
        code.lload(result).iconst_1().lshl().lconst_0().lcmp().ifeq(fine);
        checkAsGreat(code, result, source, fine);
      }
      case MULSD, MULPD -> checkAsGreat(code, result, source, fine);
      default -> {}
    }
    checkAsGreat(code, result, old, fine);
    code.goto_(slow);
  }

  private static void checkAsGreat(CodeBuilder code, int result, int operand, Label fine) {
    code.lload(result).lload(operand).lxor().iconst_1().lshl().lconst_0().lcmp().ifeq(fine);
  }

  /**
   * Finite, and greater in magnitude than the least normal number, which rounding may have made of
   * a smaller one.
   */
  private static void checkNormal(CodeBuilder code, int local, Label slow) {
    code.lload(local).iconst_1().lshl();
    code.loadConstant(Long.MIN_VALUE ^ -(TWICE_LEAST_NORMAL + 1)).ladd();
    code.loadConstant(Long.MIN_VALUE ^ TWICE_INFINITY - (TWICE_LEAST_NORMAL + 1));
    code.lcmp().ifge(slow);
  }

  /** Normal, zero, infinite or NaN. */
  static void checkNotDenormal(CodeBuilder code, int local, Label slow) {
    code.lload(local).iconst_1().lshl().loadConstant(Long.MAX_VALUE).ladd();
    code.loadConstant(Long.MIN_VALUE ^ TWICE_LEAST_NORMAL - 1).lcmp().iflt(slow);
  }

  /** Anything but a NaN. */
  static void checkNumber(CodeBuilder code, int local, Label slow) {
    code.lload(local).iconst_1().lshl().loadConstant(Long.MIN_VALUE).ladd();
    code.loadConstant(Long.MIN_VALUE ^ TWICE_INFINITY).lcmp().ifgt(slow);
  }

  private static void refuseDenormal(Frame frame, int local) {
    checkNotDenormal(frame.code, local, frame.sideExit());
  }

  // ---- comparison

  private static void compare(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int first = instruction.operand(0).register();
    int a = frame.longs[4];
    int b = frame.longs[5];
    boolean settled = ScalarEmitter.fetch(frame, instruction, 8);
    code.lload(frame.longs[3]).lstore(b);
    SimdEmitter.pushLow(frame, first);
    code.lstore(a);
    Label slow = slow(frame);
    if (!frame.isSettled(first)) {
      checkNotDenormal(code, a, slow);
    }
    if (!settled) {
      checkNotDenormal(code, b, slow);
    }
    pushDouble(code, a);
    pushDouble(code, b);
    code.dcmpl().istore(frame.ints[2]);
    pushDouble(code, a);
    pushDouble(code, b);
    code.dcmpg().iload(frame.ints[2]).if_icmpne(slow); // a NaN
    // CF (bit 0) when below, ZF (bit 6) when equal.
    code.iload(frame.ints[2]).bipush(31).iushr();
    code.iload(frame.ints[2]).iconst_1().iand().iconst_1().ixor().bipush(6).ishl().ior();
    code.istore(frame.ints[3]);
    boolean ordered = instruction.operation() == Operation.COMISD;
    orElse(
        frame,
        slow,
        () -> {
          code.lload(a).lload(b);
          frame.pushControl();
          code.invokestatic(
              DOUBLE,
              ordered ? "compareOrdered" : "compareUnordered",
              Names.type(Names.I, Names.J, Names.J, Names.CONTROL));
          code.istore(frame.ints[3]);
          ScalarEmitter.checkExceptions(frame);
        });
    code.iload(frame.ints[3]).i2l().lstore(frame.flags.a);
    frame.flags.setCompared();
  }
}
