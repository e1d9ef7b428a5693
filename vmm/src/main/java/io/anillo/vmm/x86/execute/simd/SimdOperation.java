package io.anillo.vmm.x86.execute.simd;

/**
 * The MMX and SSE instructions under their Intel mnemonics (CMPSD and MOVSD of SSE are CMPSD_SSE
 * and MOVSD_SSE), with what an interpreter must know to fetch their operands: Intel SDM vol. 2, and
 * vol. 2 §2.4 for alignment.
 */
public enum SimdOperation {
  // Moves.
  MOVAPS(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVAPD(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVDQA(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVNTPS(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVNTPD(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVNTDQ(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVNTDQA(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVUPS(Shape.MOVE, 16, Alignment.NONE, false),
  MOVUPD(Shape.MOVE, 16, Alignment.NONE, false),
  MOVDQU(Shape.MOVE, 16, Alignment.NONE, false),
  LDDQU(Shape.MOVE, 16, Alignment.NONE, false),
  MOVSLDUP(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVSHDUP(Shape.MOVE, 16, Alignment.SIXTEEN, false),
  MOVSS(Shape.MOVE, 4, Alignment.NONE, true),
  MOVD(Shape.MOVE, 4, Alignment.NONE, true),
  MOVSD_SSE(Shape.MOVE, 8, Alignment.NONE, true),
  MOVLPS(Shape.MOVE, 8, Alignment.NONE, true),
  MOVLPD(Shape.MOVE, 8, Alignment.NONE, true),
  MOVHPS(Shape.MOVE, 8, Alignment.NONE, true),
  MOVHPD(Shape.MOVE, 8, Alignment.NONE, true),
  MOVQ(Shape.MOVE, 8, Alignment.NONE, false),
  MOVDDUP(Shape.MOVE, 8, Alignment.NONE, false),
  MOVNTQ(Shape.MOVE, 8, Alignment.NONE, false),
  // Between registers only.
  MOVHLPS(Shape.MOVE, 0, Alignment.NONE, true),
  MOVLHPS(Shape.MOVE, 0, Alignment.NONE, true),
  MOVQ2DQ(Shape.MOVE, 0, Alignment.NONE, false),
  MOVDQ2Q(Shape.MOVE, 0, Alignment.NONE, false),
  // The destination of these is the mask operand; see SimdUnit.maskedStore.
  MASKMOVQ(Shape.MASKED_STORE, 0, Alignment.NONE, false),
  MASKMOVDQU(Shape.MASKED_STORE, 0, Alignment.NONE, false),
  // Integers, each half by itself.
  PADDB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDQ(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDSB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDUSB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PADDUSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBQ(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBSB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBUSB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSUBUSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PAVGB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PAVGW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPEQB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPEQW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPEQD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPEQQ(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPGTB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPGTW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPGTD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PCMPGTQ(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMAXSB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMAXSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMAXSD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMAXUB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMAXUW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMAXUD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMINSB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMINSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMINSD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMINUB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMINUW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMINUD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSIGNB(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSIGNW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSIGND(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PSADBW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULLW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULLD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULHW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULHUW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULHRSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULUDQ(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMULDQ(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMADDWD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PMADDUBSW(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PAND(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PANDN(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  POR(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PXOR(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  ANDPS(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  ANDPD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  ANDNPS(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  ANDNPD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  ORPS(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  ORPD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  XORPS(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  XORPD(Shape.HALVES, 16, Alignment.SIXTEEN, true),
  PABSB(Shape.HALVES, 16, Alignment.SIXTEEN, false),
  PABSW(Shape.HALVES, 16, Alignment.SIXTEEN, false),
  PABSD(Shape.HALVES, 16, Alignment.SIXTEEN, false),
  // The count is the low quadword of the source, or an immediate.
  PSLLW(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSLLD(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSLLQ(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSRLW(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSRLD(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSRLQ(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSRAW(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  PSRAD(Shape.SHIFT, 16, Alignment.SIXTEEN, true),
  // Each half of the result from both halves of one operand.
  PACKSSWB(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PACKSSDW(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PACKUSWB(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PACKUSDW(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PHADDW(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PHADDD(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PHADDSW(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PHSUBW(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PHSUBD(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  PHSUBSW(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  HADDPS(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  HADDPD(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  HSUBPS(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  HSUBPD(Shape.PAIRS, 16, Alignment.SIXTEEN, true),
  // Interleaving of low halves.
  PUNPCKLBW(Shape.UNPACK_LOW, 16, Alignment.SIXTEEN, true),
  PUNPCKLWD(Shape.UNPACK_LOW, 16, Alignment.SIXTEEN, true),
  PUNPCKLDQ(Shape.UNPACK_LOW, 16, Alignment.SIXTEEN, true),
  PUNPCKLQDQ(Shape.UNPACK_LOW, 16, Alignment.SIXTEEN, true),
  UNPCKLPS(Shape.UNPACK_LOW, 16, Alignment.SIXTEEN, true),
  UNPCKLPD(Shape.UNPACK_LOW, 16, Alignment.SIXTEEN, true),
  // Interleaving of high halves.
  PUNPCKHBW(Shape.UNPACK_HIGH, 16, Alignment.SIXTEEN, true),
  PUNPCKHWD(Shape.UNPACK_HIGH, 16, Alignment.SIXTEEN, true),
  PUNPCKHDQ(Shape.UNPACK_HIGH, 16, Alignment.SIXTEEN, true),
  PUNPCKHQDQ(Shape.UNPACK_HIGH, 16, Alignment.SIXTEEN, true),
  UNPCKHPS(Shape.UNPACK_HIGH, 16, Alignment.SIXTEEN, true),
  UNPCKHPD(Shape.UNPACK_HIGH, 16, Alignment.SIXTEEN, true),
  // Other rearrangements.
  SHUFPS(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  SHUFPD(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PSHUFB(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PALIGNR(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PSLLDQ(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PSRLDQ(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  MPSADBW(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PBLENDW(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  BLENDPS(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  BLENDPD(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PBLENDVB(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  BLENDVPS(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  BLENDVPD(Shape.SHUFFLE, 16, Alignment.SIXTEEN, true),
  PSHUFD(Shape.SHUFFLE, 16, Alignment.SIXTEEN, false),
  PSHUFHW(Shape.SHUFFLE, 16, Alignment.SIXTEEN, false),
  PSHUFLW(Shape.SHUFFLE, 16, Alignment.SIXTEEN, false),
  PHMINPOSUW(Shape.SHUFFLE, 16, Alignment.SIXTEEN, false),
  PSHUFW(Shape.SHUFFLE, 8, Alignment.NONE, false),
  INSERTPS(Shape.SHUFFLE, 4, Alignment.NONE, true),
  PINSRD(Shape.SHUFFLE, 4, Alignment.NONE, true),
  PINSRB(Shape.SHUFFLE, 1, Alignment.NONE, true),
  PINSRW(Shape.SHUFFLE, 2, Alignment.NONE, true),
  // Extension of integers.
  PMOVSXBW(Shape.EXTENSION, 8, Alignment.NONE, false),
  PMOVSXWD(Shape.EXTENSION, 8, Alignment.NONE, false),
  PMOVSXDQ(Shape.EXTENSION, 8, Alignment.NONE, false),
  PMOVZXBW(Shape.EXTENSION, 8, Alignment.NONE, false),
  PMOVZXWD(Shape.EXTENSION, 8, Alignment.NONE, false),
  PMOVZXDQ(Shape.EXTENSION, 8, Alignment.NONE, false),
  PMOVSXBD(Shape.EXTENSION, 4, Alignment.NONE, false),
  PMOVSXWQ(Shape.EXTENSION, 4, Alignment.NONE, false),
  PMOVZXBD(Shape.EXTENSION, 4, Alignment.NONE, false),
  PMOVZXWQ(Shape.EXTENSION, 4, Alignment.NONE, false),
  PMOVSXBQ(Shape.EXTENSION, 2, Alignment.NONE, false),
  PMOVZXBQ(Shape.EXTENSION, 2, Alignment.NONE, false),
  // Floating point.
  ADDPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  SUBPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  MULPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  DIVPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  MINPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  MAXPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  CMPPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  ADDSUBPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, true),
  SQRTPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, false),
  RCPPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, false),
  RSQRTPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, false),
  ROUNDPS(Shape.PACKED_SINGLE, 16, Alignment.SIXTEEN, false),
  ADDPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  SUBPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  MULPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  DIVPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  MINPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  MAXPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  CMPPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  ADDSUBPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, true),
  SQRTPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, false),
  ROUNDPD(Shape.PACKED_DOUBLE, 16, Alignment.SIXTEEN, false),
  ADDSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  SUBSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  MULSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  DIVSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  MINSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  MAXSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  CMPSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  SQRTSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  RCPSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  RSQRTSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  ROUNDSS(Shape.SCALAR_SINGLE, 4, Alignment.NONE, true),
  ADDSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  SUBSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  MULSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  DIVSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  MINSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  MAXSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  CMPSD_SSE(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  SQRTSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  ROUNDSD(Shape.SCALAR_DOUBLE, 8, Alignment.NONE, true),
  DPPS(Shape.DOT_PRODUCT, 16, Alignment.SIXTEEN, true),
  DPPD(Shape.DOT_PRODUCT, 16, Alignment.SIXTEEN, true),
  // Conversions. The integer source of CVTSI2SS and CVTSI2SD comes sign-extended.
  CVTSI2SS(Shape.CONVERSION, 4, Alignment.NONE, true),
  CVTSI2SD(Shape.CONVERSION, 4, Alignment.NONE, true),
  CVTSS2SD(Shape.CONVERSION, 4, Alignment.NONE, true),
  CVTSD2SS(Shape.CONVERSION, 8, Alignment.NONE, true),
  CVTPI2PS(Shape.CONVERSION, 8, Alignment.NONE, true),
  CVTPI2PD(Shape.CONVERSION, 8, Alignment.NONE, false),
  CVTPS2PD(Shape.CONVERSION, 8, Alignment.NONE, false),
  CVTDQ2PD(Shape.CONVERSION, 8, Alignment.NONE, false),
  CVTPS2PI(Shape.CONVERSION, 8, Alignment.NONE, false),
  CVTTPS2PI(Shape.CONVERSION, 8, Alignment.NONE, false),
  CVTPD2PS(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTDQ2PS(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTPS2DQ(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTTPS2DQ(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTPD2DQ(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTTPD2DQ(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTPD2PI(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  CVTTPD2PI(Shape.CONVERSION, 16, Alignment.SIXTEEN, false),
  // To a general register or, the extractions, to memory.
  MOVMSKPS(Shape.GENERAL, 0, Alignment.NONE, false),
  MOVMSKPD(Shape.GENERAL, 0, Alignment.NONE, false),
  PMOVMSKB(Shape.GENERAL, 0, Alignment.NONE, false),
  CVTSS2SI(Shape.GENERAL, 4, Alignment.NONE, false),
  CVTTSS2SI(Shape.GENERAL, 4, Alignment.NONE, false),
  PEXTRD(Shape.GENERAL, 4, Alignment.NONE, false),
  EXTRACTPS(Shape.GENERAL, 4, Alignment.NONE, false),
  CVTSD2SI(Shape.GENERAL, 8, Alignment.NONE, false),
  CVTTSD2SI(Shape.GENERAL, 8, Alignment.NONE, false),
  PEXTRB(Shape.GENERAL, 1, Alignment.NONE, false),
  PEXTRW(Shape.GENERAL, 2, Alignment.NONE, false),
  // To the flags.
  UCOMISS(Shape.FLAGS, 4, Alignment.NONE, true),
  COMISS(Shape.FLAGS, 4, Alignment.NONE, true),
  UCOMISD(Shape.FLAGS, 8, Alignment.NONE, true),
  COMISD(Shape.FLAGS, 8, Alignment.NONE, true),
  PTEST(Shape.FLAGS, 16, Alignment.SIXTEEN, true),
  PCMPESTRI(Shape.STRINGS, 16, Alignment.NONE, true),
  PCMPESTRM(Shape.STRINGS, 16, Alignment.NONE, true),
  PCMPISTRI(Shape.STRINGS, 16, Alignment.NONE, true),
  PCMPISTRM(Shape.STRINGS, 16, Alignment.NONE, true),
  EMMS(Shape.EMPTY, 0, Alignment.NONE, false);

  /** How the result is made from the operands. */
  public enum Shape {
    MOVE,
    MASKED_STORE,
    /** Each 64-bit half of the result from the same halves of the operands. */
    HALVES,
    SHIFT,
    /**
     * The low half from the destination's two halves, the high half from the source's two halves.
     */
    PAIRS,
    UNPACK_LOW,
    UNPACK_HIGH,
    SHUFFLE,
    EXTENSION,
    PACKED_SINGLE,
    PACKED_DOUBLE,
    SCALAR_SINGLE,
    SCALAR_DOUBLE,
    DOT_PRODUCT,
    CONVERSION,
    /** {@link SimdUnit#toGeneral}. */
    GENERAL,
    FLAGS,
    STRINGS,
    /** EMMS. */
    EMPTY
  }

  private enum Alignment {
    NONE,
    SIXTEEN
  }

  private final Shape shape;
  private final int memoryBytes;
  private final Alignment alignment;
  private final boolean readsDestination;

  SimdOperation(Shape shape, int memoryBytes, Alignment alignment, boolean readsDestination) {
    this.shape = shape;
    this.memoryBytes = memoryBytes;
    this.alignment = alignment;
    this.readsDestination = readsDestination;
  }

  public Shape shape() {
    return shape;
  }

  /** Whether the result depends on the destination's old value. */
  public boolean readsDestination() {
    return readsDestination;
  }

  /**
   * Width in bytes of a memory operand, source or destination; 0 if there is none.
   *
   * @param form {@link SimdUnit} FORM bits
   */
  public int memoryBytes(int form) {
    boolean wide = (form & SimdUnit.FORM_WIDE) != 0;
    return switch (this) {
      case MOVD, PINSRD, PEXTRD, CVTSI2SS, CVTSI2SD -> wide ? 8 : 4;
      case PUNPCKLBW, PUNPCKLWD, PUNPCKLDQ -> (form & SimdUnit.FORM_MMX) != 0 ? 4 : 16;
      // The MMX register is these conversions' destination; their memory operand is the same
      // always.
      case CVTPD2PI, CVTTPD2PI -> 16;
      default -> (form & SimdUnit.FORM_MMX) != 0 ? Math.min(memoryBytes, 8) : memoryBytes;
    };
  }

  /**
   * Whether a memory operand must lie at a multiple of 16, or else raises #GP(0).
   *
   * @param form {@link SimdUnit} FORM bits
   */
  public boolean alignedMemory(int form) {
    return alignment == Alignment.SIXTEEN && memoryBytes(form) == 16;
  }

  /** Whether XMM registers or MXCSR are involved even if an MMX register is. */
  boolean usesSseState(int form) {
    if ((form & SimdUnit.FORM_MMX) == 0) {
      return this != EMMS;
    }
    return shape == Shape.CONVERSION || this == MOVQ2DQ || this == MOVDQ2Q;
  }
}
