package io.anillo.vmm.x86.execute.simd;

/** The integer instructions that work on one 64-bit half at a time, by operation. Stateless. */
final class PackedIntegerInstructions {
  private PackedIntegerInstructions() {}

  /** Shape {@link SimdOperation.Shape#HALVES}. */
  static long half(SimdOperation operation, long a, long b) {
    return switch (operation) {
      case PADDB -> PackedArithmetic.addBytes(a, b);
      case PADDW -> PackedArithmetic.addWords(a, b);
      case PADDD -> PackedArithmetic.addDoublewords(a, b);
      case PADDQ -> a + b;
      case PADDSB -> PackedArithmetic.addSignedSaturatedBytes(a, b);
      case PADDSW -> PackedArithmetic.addSignedSaturatedWords(a, b);
      case PADDUSB -> PackedArithmetic.addUnsignedSaturatedBytes(a, b);
      case PADDUSW -> PackedArithmetic.addUnsignedSaturatedWords(a, b);
      case PSUBB -> PackedArithmetic.subtractBytes(a, b);
      case PSUBW -> PackedArithmetic.subtractWords(a, b);
      case PSUBD -> PackedArithmetic.subtractDoublewords(a, b);
      case PSUBQ -> a - b;
      case PSUBSB -> PackedArithmetic.subtractSignedSaturatedBytes(a, b);
      case PSUBSW -> PackedArithmetic.subtractSignedSaturatedWords(a, b);
      case PSUBUSB -> PackedArithmetic.subtractUnsignedSaturatedBytes(a, b);
      case PSUBUSW -> PackedArithmetic.subtractUnsignedSaturatedWords(a, b);
      case PAVGB -> PackedArithmetic.averageBytes(a, b);
      case PAVGW -> PackedArithmetic.averageWords(a, b);
      case PCMPEQB -> PackedArithmetic.equalBytes(a, b);
      case PCMPEQW -> PackedArithmetic.equalWords(a, b);
      case PCMPEQD -> PackedArithmetic.equalDoublewords(a, b);
      case PCMPEQQ -> PackedArithmetic.equalQuadwords(a, b);
      case PCMPGTB -> PackedArithmetic.greaterBytes(a, b);
      case PCMPGTW -> PackedArithmetic.greaterWords(a, b);
      case PCMPGTD -> PackedArithmetic.greaterDoublewords(a, b);
      case PCMPGTQ -> PackedArithmetic.greaterQuadwords(a, b);
      case PMAXSB -> PackedArithmetic.maximumSignedBytes(a, b);
      case PMAXSW -> PackedArithmetic.maximumSignedWords(a, b);
      case PMAXSD -> PackedArithmetic.maximumSignedDoublewords(a, b);
      case PMAXUB -> PackedArithmetic.maximumUnsignedBytes(a, b);
      case PMAXUW -> PackedArithmetic.maximumUnsignedWords(a, b);
      case PMAXUD -> PackedArithmetic.maximumUnsignedDoublewords(a, b);
      case PMINSB -> PackedArithmetic.minimumSignedBytes(a, b);
      case PMINSW -> PackedArithmetic.minimumSignedWords(a, b);
      case PMINSD -> PackedArithmetic.minimumSignedDoublewords(a, b);
      case PMINUB -> PackedArithmetic.minimumUnsignedBytes(a, b);
      case PMINUW -> PackedArithmetic.minimumUnsignedWords(a, b);
      case PMINUD -> PackedArithmetic.minimumUnsignedDoublewords(a, b);
      case PABSB -> PackedArithmetic.absoluteBytes(b);
      case PABSW -> PackedArithmetic.absoluteWords(b);
      case PABSD -> PackedArithmetic.absoluteDoublewords(b);
      case PSIGNB -> PackedArithmetic.signBytes(a, b);
      case PSIGNW -> PackedArithmetic.signWords(a, b);
      case PSIGND -> PackedArithmetic.signDoublewords(a, b);
      case PSADBW -> PackedArithmetic.sumAbsoluteDifferences(a, b);
      case PMULLW -> PackedMultiplication.multiplyLowWords(a, b);
      case PMULLD -> PackedMultiplication.multiplyLowDoublewords(a, b);
      case PMULHW -> PackedMultiplication.multiplyHighWords(a, b);
      case PMULHUW -> PackedMultiplication.multiplyHighUnsignedWords(a, b);
      case PMULHRSW -> PackedMultiplication.multiplyRoundedScaledWords(a, b);
      case PMULUDQ -> PackedMultiplication.multiplyUnsignedDoublewords(a, b);
      case PMULDQ -> PackedMultiplication.multiplySignedDoublewords(a, b);
      case PMADDWD -> PackedMultiplication.multiplyAddWords(a, b);
      case PMADDUBSW -> PackedMultiplication.multiplyAddBytes(a, b);
      case PAND, ANDPS, ANDPD -> a & b;
      case PANDN, ANDNPS, ANDNPD -> ~a & b;
      case POR, ORPS, ORPD -> a | b;
      case PXOR, XORPS, XORPD -> a ^ b;
      default -> throw wrongShape(operation);
    };
  }

  /** Shape {@link SimdOperation.Shape#SHIFT}. */
  static long shift(SimdOperation operation, long a, long count) {
    return switch (operation) {
      case PSLLW -> PackedShifts.shiftLeftWords(a, count);
      case PSLLD -> PackedShifts.shiftLeftDoublewords(a, count);
      case PSLLQ -> PackedShifts.shiftLeftQuadwords(a, count);
      case PSRLW -> PackedShifts.shiftRightWords(a, count);
      case PSRLD -> PackedShifts.shiftRightDoublewords(a, count);
      case PSRLQ -> PackedShifts.shiftRightQuadwords(a, count);
      case PSRAW -> PackedShifts.shiftRightArithmeticWords(a, count);
      case PSRAD -> PackedShifts.shiftRightArithmeticDoublewords(a, count);
      default -> throw wrongShape(operation);
    };
  }

  /** The low half of shapes UNPACK_LOW and UNPACK_HIGH, from the halves that the shape names. */
  static long unpackLow(SimdOperation operation, long a, long b) {
    return switch (operation) {
      case PUNPCKLBW, PUNPCKHBW -> PackedShuffles.unpackLowBytes(a, b);
      case PUNPCKLWD, PUNPCKHWD -> PackedShuffles.unpackLowWords(a, b);
      case PUNPCKLDQ, PUNPCKHDQ, UNPCKLPS, UNPCKHPS -> PackedShuffles.unpackLowDoublewords(a, b);
      case PUNPCKLQDQ, PUNPCKHQDQ, UNPCKLPD, UNPCKHPD -> a;
      default -> throw wrongShape(operation);
    };
  }

  /** The high half of shapes UNPACK_LOW and UNPACK_HIGH, from the halves that the shape names. */
  static long unpackHigh(SimdOperation operation, long a, long b) {
    return switch (operation) {
      case PUNPCKLBW, PUNPCKHBW -> PackedShuffles.unpackHighBytes(a, b);
      case PUNPCKLWD, PUNPCKHWD -> PackedShuffles.unpackHighWords(a, b);
      case PUNPCKLDQ, PUNPCKHDQ, UNPCKLPS, UNPCKHPS -> PackedShuffles.unpackHighDoublewords(a, b);
      case PUNPCKLQDQ, PUNPCKHQDQ, UNPCKLPD, UNPCKHPD -> b;
      default -> throw wrongShape(operation);
    };
  }

  /** The integer instructions of shape {@link SimdOperation.Shape#PAIRS}. */
  static long pairs(SimdOperation operation, long first, long second) {
    return switch (operation) {
      case PACKSSWB -> PackedShuffles.packWordsSigned(first, second);
      case PACKSSDW -> PackedShuffles.packDoublewordsSigned(first, second);
      case PACKUSWB -> PackedShuffles.packWordsUnsigned(first, second);
      case PACKUSDW -> PackedShuffles.packDoublewordsUnsigned(first, second);
      case PHADDW -> PackedShuffles.horizontalAddWords(first, second);
      case PHADDD -> PackedShuffles.horizontalAddDoublewords(first, second);
      case PHADDSW -> PackedShuffles.horizontalAddSaturatedWords(first, second);
      case PHSUBW -> PackedShuffles.horizontalSubtractWords(first, second);
      case PHSUBD -> PackedShuffles.horizontalSubtractDoublewords(first, second);
      case PHSUBSW -> PackedShuffles.horizontalSubtractSaturatedWords(first, second);
      default -> throw wrongShape(operation);
    };
  }

  /** The low half of shape {@link SimdOperation.Shape#EXTENSION}. */
  static long extendLow(SimdOperation operation, long source) {
    return switch (operation) {
      case PMOVSXBW -> PackedShuffles.signExtendBytesToWords(source);
      case PMOVSXBD -> PackedShuffles.signExtendBytesToDoublewords(source);
      case PMOVSXBQ -> (byte) source;
      case PMOVSXWD -> PackedShuffles.signExtendWordsToDoublewords(source);
      case PMOVSXWQ -> (short) source;
      case PMOVSXDQ -> (int) source;
      case PMOVZXBW -> PackedShuffles.zeroExtendBytesToWords(source);
      case PMOVZXBD -> PackedShuffles.zeroExtendBytesToDoublewords(source);
      case PMOVZXBQ -> source & 0xFF;
      case PMOVZXWD -> PackedShuffles.zeroExtendWordsToDoublewords(source);
      case PMOVZXWQ -> source & 0xFFFF;
      case PMOVZXDQ -> source & 0xFFFFFFFFL;
      default -> throw wrongShape(operation);
    };
  }

  /** The high half of shape {@link SimdOperation.Shape#EXTENSION}. */
  static long extendHigh(SimdOperation operation, long source) {
    // One half of the result takes 1/8, 1/4 or 1/2 of a quadword of the source.
    return switch (operation) {
      case PMOVSXBW, PMOVSXWD, PMOVSXDQ, PMOVZXBW, PMOVZXWD, PMOVZXDQ ->
          extendLow(operation, source >>> 32);
      case PMOVSXBD, PMOVSXWQ, PMOVZXBD, PMOVZXWQ -> extendLow(operation, source >>> 16);
      case PMOVSXBQ, PMOVZXBQ -> extendLow(operation, source >>> 8);
      default -> throw wrongShape(operation);
    };
  }

  static IllegalArgumentException wrongShape(SimdOperation operation) {
    return new IllegalArgumentException(operation + " has shape " + operation.shape());
  }
}
