package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.simd.PackedShuffles;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.util.EnumMap;
import java.util.Map;

/**
 * Interleaving, packing and shuffling between the halves of XMM registers: the pure functions of
 * {@link PackedShuffles}, the shortest of them in place.
 */
final class ShuffleEmitter {
  private static final ClassDesc SHUFFLES = Names.of(PackedShuffles.class);

  /** What makes a half of two halves: interleaving takes the low or the high ones of both. */
  private static final Map<Operation, String> INTERLEAVED = new EnumMap<>(Operation.class);

  /** Packing: each half of the result is made of both halves of one operand. */
  private static final Map<Operation, String> PACKED = new EnumMap<>(Operation.class);

  static {
    INTERLEAVED.put(Operation.PUNPCKLBW, "Bytes");
    INTERLEAVED.put(Operation.PUNPCKHBW, "Bytes");
    INTERLEAVED.put(Operation.PUNPCKLWD, "Words");
    INTERLEAVED.put(Operation.PUNPCKHWD, "Words");
    INTERLEAVED.put(Operation.PUNPCKLDQ, "Doublewords");
    INTERLEAVED.put(Operation.PUNPCKHDQ, "Doublewords");
    INTERLEAVED.put(Operation.UNPCKLPS, "Doublewords");
    INTERLEAVED.put(Operation.UNPCKHPS, "Doublewords");
    PACKED.put(Operation.PACKSSWB, "packWordsSigned");
    PACKED.put(Operation.PACKUSWB, "packWordsUnsigned");
    PACKED.put(Operation.PACKSSDW, "packDoublewordsSigned");
    PACKED.put(Operation.PACKUSDW, "packDoublewordsUnsigned");
  }

  private ShuffleEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    Operation operation = instruction.operation();
    if (INTERLEAVED.containsKey(operation)) {
      interleave(frame, instruction);
      return true;
    }
    String packing = PACKED.get(operation);
    if (packing != null) {
      pack(frame, instruction, packing);
      return true;
    }
    switch (operation) {
      case SHUFPS -> shuffleSingles(frame, instruction);
      case SHUFPD -> shuffleDoubles(frame, instruction);
      case PSHUFLW -> shuffleWords(frame, instruction, false);
      case PSHUFHW -> shuffleWords(frame, instruction, true);
      case MOVMSKPD -> signs(frame, instruction);
      case PMULUDQ -> multiply(frame, instruction);
      case PSHUFB -> shuffleBytes(frame, instruction);
      default -> {
        return false;
      }
    }
    return true;
  }

  private static boolean takesHigh(Operation operation) {
    return switch (operation) {
      case PUNPCKHBW, PUNPCKHWD, PUNPCKHDQ, UNPCKHPS -> true;
      default -> false;
    };
  }

  private static void interleave(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    String elements = INTERLEAVED.getOrDefault(instruction.operation(), "");
    boolean high = takesHigh(instruction.operation());
    VectorEmitter.fetchSource(frame, instruction);
    int a = frame.longs[4];
    int b = frame.longs[high ? 3 : 2];
    frame.pushXmm(to, high);
    code.lstore(a);
    for (int half = 0; half < 2; half++) {
      if (elements.equals("Doublewords")) {
        doublewords(code, a, b, half == 1);
      } else {
        code.lload(a).lload(b);
        String name = (half == 0 ? "unpackLow" : "unpackHigh") + elements;
        code.invokestatic(SHUFFLES, name, Names.type(Names.J, Names.J, Names.J));
      }
      frame.popXmm(to, half == 1);
    }
  }

  /** Pushes the low, or the high, doublewords of two halves, the first one's first. */
  private static void doublewords(CodeBuilder code, int a, int b, boolean high) {
    if (high) {
      code.lload(a).bipush(32).lushr();
      code.lload(b).loadConstant(0xFFFF_FFFF_0000_0000L).land().lor();
    } else {
      code.lload(a).loadConstant(0xFFFF_FFFFL).land();
      code.lload(b).bipush(32).lshl().lor();
    }
  }

  private static void pack(Frame frame, Instruction instruction, String name) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    VectorEmitter.fetchSource(frame, instruction);
    frame.pushXmm(to, false);
    frame.pushXmm(to, true);
    code.invokestatic(SHUFFLES, name, Names.type(Names.J, Names.J, Names.J));
    frame.popXmm(to, false);
    code.lload(frame.longs[2]).lload(frame.longs[3]);
    code.invokestatic(SHUFFLES, name, Names.type(Names.J, Names.J, Names.J));
    frame.popXmm(to, true);
  }

  /** Pushes one doubleword of four in two locals, zero-extended. */
  private static void pushDoubleword(CodeBuilder code, int low, int high, int index) {
    code.lload(index < 2 ? low : high);
    if ((index & 1) != 0) {
      code.bipush(32).lushr();
    } else {
      code.loadConstant(0xFFFF_FFFFL).land();
    }
  }

  private static void shuffleSingles(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    int order = (int) instruction.immediate() & 0xFF;
    VectorEmitter.fetchSource(frame, instruction);
    frame.pushXmm(to, false);
    code.lstore(frame.longs[4]);
    frame.pushXmm(to, true);
    code.lstore(frame.longs[5]);
    for (int half = 0; half < 2; half++) {
      int low = frame.longs[half == 0 ? 4 : 2];
      int high = frame.longs[half == 0 ? 5 : 3];
      pushDoubleword(code, low, high, order >> half * 4 & 3);
      pushDoubleword(code, low, high, order >> half * 4 + 2 & 3);
      code.bipush(32).lshl().lor();
      frame.popXmm(to, half == 1);
    }
  }

  private static void shuffleDoubles(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    int order = (int) instruction.immediate();
    VectorEmitter.fetchSource(frame, instruction);
    frame.pushXmm(to, (order & 1) != 0);
    frame.popXmm(to, false);
    code.lload(frame.longs[(order & 2) != 0 ? 3 : 2]);
    frame.popXmm(to, true);
  }

  private static void shuffleWords(Frame frame, Instruction instruction, boolean high) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    VectorEmitter.fetchSource(frame, instruction);
    for (int half = 0; half < 2; half++) {
      code.lload(frame.longs[2 + half]);
      if (high == (half == 1)) {
        code.loadConstant((int) instruction.immediate() & 0xFF);
        code.invokestatic(SHUFFLES, "shuffleWords", Names.type(Names.J, Names.J, Names.I));
      }
      frame.popXmm(to, half == 1);
    }
  }

  private static void signs(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int from = instruction.operand(1).register();
    frame.pushXmm(from, false);
    code.bipush(63).lushr();
    frame.pushXmm(from, true);
    code.bipush(63).lushr().iconst_1().lshl().lor().l2i().istore(frame.ints[3]);
    frame.storeRegister(instruction.operand(0), frame.ints[3]);
  }

  private static void multiply(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    VectorEmitter.fetchSource(frame, instruction);
    for (int half = 0; half < 2; half++) {
      frame.pushXmm(to, half == 1);
      code.loadConstant(0xFFFF_FFFFL).land();
      code.lload(frame.longs[2 + half]).loadConstant(0xFFFF_FFFFL).land().lmul();
      frame.popXmm(to, half == 1);
    }
  }

  private static void shuffleBytes(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int to = instruction.operand(0).register();
    VectorEmitter.fetchSource(frame, instruction);
    frame.pushXmm(to, false);
    code.lstore(frame.longs[4]);
    frame.pushXmm(to, true);
    code.lstore(frame.longs[5]);
    for (int half = 0; half < 2; half++) {
      code.lload(frame.longs[4]).lload(frame.longs[5]).lload(frame.longs[2 + half]);
      code.invokestatic(SHUFFLES, "shuffleBytes", Names.type(Names.J, Names.J, Names.J, Names.J));
      frame.popXmm(to, half == 1);
    }
  }
}
