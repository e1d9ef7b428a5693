package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.simd.PackedArithmetic;
import io.anillo.vmm.x86.execute.simd.PackedMultiplication;
import io.anillo.vmm.x86.execute.simd.PackedShifts;
import io.anillo.vmm.x86.execute.simd.PackedShuffles;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.util.EnumMap;
import java.util.Map;

/** Packed integers and logic: the pure functions of {@code x86.execute.simd}, called on halves. */
final class VectorEmitter {
  private static final ClassDesc ARITHMETIC = Names.of(PackedArithmetic.class);
  private static final ClassDesc MULTIPLICATION = Names.of(PackedMultiplication.class);
  private static final ClassDesc SHIFTS = Names.of(PackedShifts.class);
  private static final ClassDesc SHUFFLES = Names.of(PackedShuffles.class);

  private record Function(ClassDesc owner, String name) {}

  /** Operations that do the same to each half. */
  private static final Map<Operation, Function> HALVES = new EnumMap<>(Operation.class);

  /** Shifts of each half by one count. */
  private static final Map<Operation, Function> COUNTED = new EnumMap<>(Operation.class);

  static {
    arithmetic(Operation.PADDB, "addBytes");
    arithmetic(Operation.PADDW, "addWords");
    arithmetic(Operation.PADDD, "addDoublewords");
    arithmetic(Operation.PADDUSB, "addUnsignedSaturatedBytes");
    arithmetic(Operation.PSUBB, "subtractBytes");
    arithmetic(Operation.PSUBW, "subtractWords");
    arithmetic(Operation.PSUBD, "subtractDoublewords");
    arithmetic(Operation.PSUBUSB, "subtractUnsignedSaturatedBytes");
    arithmetic(Operation.PCMPEQB, "equalBytes");
    arithmetic(Operation.PCMPEQW, "equalWords");
    arithmetic(Operation.PCMPEQD, "equalDoublewords");
    arithmetic(Operation.PCMPGTB, "greaterBytes");
    arithmetic(Operation.PCMPGTW, "greaterWords");
    arithmetic(Operation.PCMPGTD, "greaterDoublewords");
    arithmetic(Operation.PMINUB, "minimumUnsignedBytes");
    arithmetic(Operation.PMAXUB, "maximumUnsignedBytes");
    arithmetic(Operation.PMINSW, "minimumSignedWords");
    arithmetic(Operation.PMAXSW, "maximumSignedWords");
    HALVES.put(Operation.PMULLW, new Function(MULTIPLICATION, "multiplyLowWords"));
    HALVES.put(Operation.PMULLD, new Function(MULTIPLICATION, "multiplyLowDoublewords"));
    HALVES.put(Operation.PMULUDQ, new Function(MULTIPLICATION, "multiplyUnsignedDoublewords"));
    HALVES.put(Operation.PMADDWD, new Function(MULTIPLICATION, "multiplyAddWords"));
    COUNTED.put(Operation.PSLLW, new Function(SHIFTS, "shiftLeftWords"));
    COUNTED.put(Operation.PSLLD, new Function(SHIFTS, "shiftLeftDoublewords"));
    COUNTED.put(Operation.PSLLQ, new Function(SHIFTS, "shiftLeftQuadwords"));
    COUNTED.put(Operation.PSRLW, new Function(SHIFTS, "shiftRightWords"));
    COUNTED.put(Operation.PSRLD, new Function(SHIFTS, "shiftRightDoublewords"));
    COUNTED.put(Operation.PSRLQ, new Function(SHIFTS, "shiftRightQuadwords"));
    COUNTED.put(Operation.PSRAW, new Function(SHIFTS, "shiftRightArithmeticWords"));
    COUNTED.put(Operation.PSRAD, new Function(SHIFTS, "shiftRightArithmeticDoublewords"));
  }

  private VectorEmitter() {}

  private static void arithmetic(Operation operation, String name) {
    HALVES.put(operation, new Function(ARITHMETIC, name));
  }

  static boolean emit(Frame frame, Instruction instruction) {
    Operation operation = instruction.operation();
    Function half = HALVES.get(operation);
    if (PackedLogic.knows(operation)) {
      bothHalves(frame, instruction, null);
      return true;
    }
    if (half != null) {
      bothHalves(frame, instruction, half);
      return true;
    }
    Function counted = COUNTED.get(operation);
    if (counted != null) {
      return shift(frame, instruction, counted);
    }
    switch (operation) {
      case PAND,
          ANDPS,
          ANDPD,
          PANDN,
          ANDNPS,
          ANDNPD,
          POR,
          ORPS,
          ORPD,
          PXOR,
          XORPS,
          XORPD,
          PADDQ,
          PSUBQ ->
          bothHalves(frame, instruction, null);
      case PUNPCKLQDQ, UNPCKLPD -> unpack(frame, instruction, false);
      case PUNPCKHQDQ, UNPCKHPD -> unpack(frame, instruction, true);
      case PMOVMSKB -> byteMask(frame, instruction);
      case PSLLDQ -> shiftBytes(frame, instruction, "shiftLeftBytes");
      case PSRLDQ -> shiftBytes(frame, instruction, "shiftRightBytes");
      case PSHUFD -> shuffle(frame, instruction);
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Brings the second operand into longs[2] (low) and longs[3] (high). */
  static void fetchSource(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand from = instruction.operand(1);
    if (from.isMemory()) {
      SimdEmitter.fetch16(frame, instruction, true, frame.longs[2], frame.longs[3]);
      return;
    }
    SimdEmitter.pushLow(frame, from.register());
    code.lstore(frame.longs[2]);
    SimdEmitter.pushHigh(frame, from.register());
    code.lstore(frame.longs[3]);
  }

  private static void bothHalves(
      Frame frame, Instruction instruction, @org.jspecify.annotations.Nullable Function function) {
    int to = instruction.operand(0).register();
    fetchSource(frame, instruction);
    for (int half = 0; half < 2; half++) {
      CodeBuilder code = frame.code;
      frame.pushXmm(to, half == 1);
      if (function != null) {
        code.lload(frame.longs[2 + half]);
        code.invokestatic(function.owner, function.name, Names.type(Names.J, Names.J, Names.J));
      } else {
        combine(frame, instruction.operation(), frame.longs[2 + half]);
      }
      frame.popXmm(to, half == 1);
    }
  }

  private static void combine(Frame frame, Operation operation, int source) {
    CodeBuilder code = frame.code;
    switch (operation) {
      case PAND, ANDPS, ANDPD -> code.lload(source).land();
      case PANDN, ANDNPS, ANDNPD -> code.loadConstant(-1L).lxor().lload(source).land();
      case POR, ORPS, ORPD -> code.lload(source).lor();
      case PADDQ -> code.lload(source).ladd();
      case PSUBQ -> code.lload(source).lsub();
      case PADDB, PADDW, PADDD, PSUBB, PSUBW, PSUBD -> PackedLogic.combine(code, operation, source);
      default -> code.lload(source).lxor();
    }
  }

  private static boolean shift(Frame frame, Instruction instruction, Function function) {
    if (!instruction.operand(1).isImmediate()) {
      return false;
    }
    int register = instruction.operand(0).register();
    long count = instruction.immediate() & 0xFF;
    if (PackedLogic.shift(frame, instruction.operation(), register, (int) count)) {
      return true;
    }
    for (int half = 0; half < 2; half++) {
      CodeBuilder code = frame.code;
      frame.pushXmm(register, half == 1);
      code.loadConstant(count);
      code.invokestatic(function.owner, function.name, Names.type(Names.J, Names.J, Names.J));
      frame.popXmm(register, half == 1);
    }
    return true;
  }

  private static void unpack(Frame frame, Instruction instruction, boolean high) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    fetchSource(frame, instruction);
    if (high) {
      SimdEmitter.pushHigh(frame, to);
      code.lstore(frame.longs[2]);
      SimdEmitter.storeLow(frame, to, frame.longs[2]);
      SimdEmitter.storeHigh(frame, to, frame.longs[3]);
    } else {
      SimdEmitter.storeHigh(frame, to, frame.longs[2]);
    }
  }

  private static void byteMask(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int from = instruction.operand(1).register();
    SimdEmitter.pushLow(frame, from);
    code.invokestatic(SHUFFLES, "signsOfBytes", Names.type(Names.I, Names.J));
    SimdEmitter.pushHigh(frame, from);
    code.invokestatic(SHUFFLES, "signsOfBytes", Names.type(Names.I, Names.J));
    code.bipush(8).ishl().ior().istore(frame.ints[3]);
    frame.storeRegister(instruction.operand(0), frame.ints[3]);
  }

  private static void shiftBytes(Frame frame, Instruction instruction, String name) {
    CodeBuilder code = frame.code;
    int register = instruction.operand(0).register();
    int count = (int) instruction.immediate() & 0xFF;
    for (int half = 0; half < 2; half++) {
      SimdEmitter.pushLow(frame, register);
      SimdEmitter.pushHigh(frame, register);
      code.loadConstant(count);
      code.invokestatic(
          SHIFTS,
          name + (half == 0 ? "Low" : "High"),
          Names.type(Names.J, Names.J, Names.J, Names.I));
      code.lstore(frame.longs[2 + half]);
    }
    SimdEmitter.storeLow(frame, register, frame.longs[2]);
    SimdEmitter.storeHigh(frame, register, frame.longs[3]);
  }

  /** PSHUFD: each doubleword of the result is one of the source, chosen by two bits. */
  private static void shuffle(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    int order = (int) instruction.immediate() & 0xFF;
    fetchSource(frame, instruction);
    for (int half = 0; half < 2; half++) {
      pushDoubleword(frame, order >> half * 4 & 3);
      pushDoubleword(frame, order >> half * 4 + 2 & 3);
      code.bipush(32).lshl().lor();
      frame.popXmm(to, half == 1);
    }
  }

  private static void pushDoubleword(Frame frame, int index) {
    frame.code.lload(frame.longs[2 + (index >> 1)]);
    if ((index & 1) != 0) {
      frame.code.bipush(32).lushr();
    } else {
      frame.code.loadConstant(0xFFFF_FFFFL).land();
    }
  }
}
