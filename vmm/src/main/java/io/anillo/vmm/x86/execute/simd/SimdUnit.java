package io.anillo.vmm.x86.execute.simd;

import static io.anillo.vmm.x86.execute.simd.PackedIntegerInstructions.wrongShape;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * MMX and SSE on the state of one processor. Whoever calls has fetched the source operand, from a
 * register or memory, and stores what goes to memory or a general register; see {@link
 * SimdOperation} for widths and alignment.
 *
 * <p>Hot class. An instruction raises #XM by throwing after MXCSR has its flags and before anything
 * else changed.
 */
public final class SimdUnit {
  /** Bits of a form: an operand is an MMX register. */
  public static final int FORM_MMX = 1;

  /** The source is memory. */
  public static final int FORM_MEMORY = 2;

  /** REX.W is in force: general operands have 64 bits. */
  public static final int FORM_WIDE = 4;

  private final Processor processor;
  private final CpuState state;
  private final long[] xmm;
  private final SseControl control;

  public SimdUnit(Processor processor) {
    this.processor = processor;
    this.state = processor.state;
    this.xmm = state.xmm;
    this.control = new SseControl(state);
  }

  /** The exceptions and MXCSR that the pure functions take. */
  public SseControl control() {
    return control;
  }

  // ---- before an instruction
  // ----------------------------------------------------------------------

  /**
   * Throws #UD, #NM or #MF if the operating system has not made the instruction available (Intel
   * SDM vol. 3A §13.1, vol. 2 tables 2-18 and 23-3).
   */
  public void checkAvailable(SimdOperation operation, int form) {
    long cr0 = state.cr0;
    boolean sse = operation.usesSseState(form);
    if ((cr0 & CpuState.CR0_EM) != 0 || (sse && (state.cr4 & CpuState.CR4_OSFXSR) == 0)) {
      throw processor.invalidOpcode();
    }
    if ((cr0 & CpuState.CR0_TS) != 0) {
      throw processor.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
    boolean mmx = (form & FORM_MMX) != 0 || operation == SimdOperation.EMMS;
    int errorSummary = 1 << 7;
    if (mmx && (state.x87Status & errorSummary) != 0) {
      throw processor.fault(GuestFault.X87, 0);
    }
  }

  /** LDMXCSR. */
  public void loadMxcsr(int value) {
    if ((value & ~SseControl.WRITABLE) != 0) {
      throw processor.generalProtection(0);
    }
    state.mxcsr = value;
  }

  // ---- registers
  // ----------------------------------------------------------------------------------

  public long low(int register) {
    return xmm[register << 1];
  }

  public long high(int register) {
    return xmm[(register << 1) + 1];
  }

  public long mmx(int register) {
    return state.x87Significand[register];
  }

  private void write(int register, long low, long high) {
    xmm[register << 1] = low;
    xmm[(register << 1) + 1] = high;
  }

  private void writeMmx(int register, long value) {
    state.x87Significand[register] = value;
    state.x87SignExponent[register] = 0xFFFF;
    useMmx();
  }

  /** What every MMX instruction but EMMS does to the x87 state (Intel SDM vol. 3A §12.2). */
  private void useMmx() {
    state.x87Top = 0;
    state.x87Valid = 0xFF;
  }

  /** Moves the exceptions found to MXCSR; throws #XM or #UD if one is not masked. */
  public void commit() {
    if (control.exceptions != 0 && control.commit()) {
      boolean announced = (state.cr4 & CpuState.CR4_OSXMMEXCPT) != 0;
      throw announced ? processor.fault(GuestFault.SIMD, 0) : processor.invalidOpcode();
    }
  }

  // ---- instructions
  // -------------------------------------------------------------------------------

  /**
   * Runs an instruction whose destination is an XMM or MMX register or the flags.
   *
   * @param destination the number of the first operand's register
   * @param low the source's low quadword: an MMX register, a general register (sign-extended for
   *     the conversions), an immediate count of a shift, or narrow memory zero-extended
   * @param high its high quadword, where the source has 128 bits
   * @param immediate the immediate byte, or 0
   * @param form FORM bits
   */
  public void execute(
      SimdOperation operation, int destination, long low, long high, int immediate, int form) {
    if ((form & FORM_MMX) != 0) {
      executeMmx(operation, destination, low, high, immediate, form);
      return;
    }
    long a = xmm[destination << 1];
    long aHigh = xmm[(destination << 1) + 1];
    switch (operation.shape()) {
      case HALVES -> {
        long result = PackedIntegerInstructions.half(operation, a, low);
        write(destination, result, PackedIntegerInstructions.half(operation, aHigh, high));
      }
      case SHIFT -> {
        long result = PackedIntegerInstructions.shift(operation, a, low);
        write(destination, result, PackedIntegerInstructions.shift(operation, aHigh, low));
      }
      case PAIRS -> pairs(operation, destination, low, high);
      case UNPACK_LOW ->
          write(
              destination,
              PackedIntegerInstructions.unpackLow(operation, a, low),
              PackedIntegerInstructions.unpackHigh(operation, a, low));
      case UNPACK_HIGH ->
          write(
              destination,
              PackedIntegerInstructions.unpackLow(operation, aHigh, high),
              PackedIntegerInstructions.unpackHigh(operation, aHigh, high));
      case EXTENSION ->
          write(
              destination,
              PackedIntegerInstructions.extendLow(operation, low),
              PackedIntegerInstructions.extendHigh(operation, low));
      case MOVE -> MoveInstructions.execute(operation, xmm, destination, low, high, form);
      case SHUFFLE ->
          ShuffleInstructions.execute(operation, xmm, destination, low, high, immediate, form);
      case PACKED_SINGLE -> {
        long result = FloatInstructions.packedSingle(operation, a, low, immediate, control);
        long resultHigh =
            FloatInstructions.packedSingle(operation, aHigh, high, immediate, control);
        commit();
        write(destination, result, resultHigh);
      }
      case PACKED_DOUBLE -> {
        long result = FloatInstructions.doubleLow(operation, a, low, immediate, control);
        long resultHigh = FloatInstructions.doubleHigh(operation, aHigh, high, immediate, control);
        commit();
        write(destination, result, resultHigh);
      }
      case SCALAR_SINGLE -> {
        int result = FloatInstructions.single(operation, (int) a, (int) low, immediate, control);
        commit();
        xmm[destination << 1] = mergeLow(a, result);
      }
      case SCALAR_DOUBLE -> {
        long result = FloatInstructions.doubleLow(operation, a, low, immediate, control);
        commit();
        xmm[destination << 1] = result;
      }
      case DOT_PRODUCT -> dotProduct(operation, destination, low, high, immediate);
      case CONVERSION -> convert(operation, destination, low, high);
      case FLAGS -> compare(operation, a, aHigh, low, high);
      case STRINGS -> compareStrings(operation, destination, low, high, immediate, form);
      case EMPTY -> {
        state.x87Valid = 0;
        state.x87Top = 0;
      }
      case GENERAL, MASKED_STORE -> throw wrongShape(operation);
    }
  }

  private static long mergeLow(long quadword, int low) {
    return (quadword & 0xFFFFFFFF00000000L) | (low & 0xFFFFFFFFL);
  }

  private void pairs(SimdOperation operation, int destination, long bLow, long bHigh) {
    long aLow = low(destination);
    long aHigh = high(destination);
    if (FloatInstructions.isHorizontal(operation)) {
      long result = FloatInstructions.horizontal(operation, aLow, aHigh, control);
      long resultHigh = FloatInstructions.horizontal(operation, bLow, bHigh, control);
      commit();
      write(destination, result, resultHigh);
    } else {
      long result = PackedIntegerInstructions.pairs(operation, aLow, aHigh);
      write(destination, result, PackedIntegerInstructions.pairs(operation, bLow, bHigh));
    }
  }

  /**
   * DPPD and DPPS: products, then (p0 + p1) + (p2 + p3). Each step ends before the next begins, so
   * that flags of a step stay when the next one raises #XM.
   */
  private void dotProduct(
      SimdOperation operation, int destination, long bLow, long bHigh, int immediate) {
    long aLow = low(destination);
    long aHigh = high(destination);
    if (operation == SimdOperation.DPPD) {
      long low = (immediate & 0x10) != 0 ? SseDouble.multiply(aLow, bLow, control) : 0;
      long high = (immediate & 0x20) != 0 ? SseDouble.multiply(aHigh, bHigh, control) : 0;
      commit();
      long sum = SseDouble.add(low, high, control);
      commit();
      write(destination, (immediate & 1) != 0 ? sum : 0, (immediate & 2) != 0 ? sum : 0);
    } else {
      long low = FloatInstructions.productsOfSingles(aLow, bLow, immediate >> 4, control);
      long high = FloatInstructions.productsOfSingles(aHigh, bHigh, immediate >> 6, control);
      commit();
      int lowSum = FloatInstructions.sumOfSingles(low, control);
      int highSum = FloatInstructions.sumOfSingles(high, control);
      commit();
      int sum = SseSingle.add(lowSum, highSum, control);
      commit();
      long both = SseSingle.pair(sum, sum);
      write(
          destination,
          PackedShuffles.blendDoublewords(0, both, immediate),
          PackedShuffles.blendDoublewords(0, both, immediate >> 2));
    }
  }

  private void convert(SimdOperation operation, int destination, long b, long bHigh) {
    long low = low(destination);
    long high = high(destination);
    switch (operation) {
      case CVTSI2SS -> low = mergeLow(low, SseConversions.integerToSingle(b, control));
      case CVTSI2SD -> low = SseConversions.integerToDouble(b, control);
      case CVTSS2SD -> low = SseConversions.singleToDouble((int) b, control);
      case CVTSD2SS -> low = mergeLow(low, SseConversions.doubleToSingle(b, control));
      case CVTPI2PS -> low = FloatInstructions.integersToSingles(b, control);
      case CVTPI2PD, CVTDQ2PD -> {
        low = SseConversions.integerToDouble((int) b, control);
        high = SseConversions.integerToDouble((int) (b >> 32), control);
      }
      case CVTPS2PD -> {
        low = SseConversions.singleToDouble((int) b, control);
        high = SseConversions.singleToDouble((int) (b >> 32), control);
      }
      case CVTPD2PS -> {
        low = FloatInstructions.doublesToSingles(b, bHigh, control);
        high = 0;
      }
      case CVTDQ2PS -> {
        low = FloatInstructions.integersToSingles(b, control);
        high = FloatInstructions.integersToSingles(bHigh, control);
      }
      case CVTPS2DQ, CVTTPS2DQ -> {
        boolean truncate = operation == SimdOperation.CVTTPS2DQ;
        low = FloatInstructions.singlesToIntegers(b, truncate, control);
        high = FloatInstructions.singlesToIntegers(bHigh, truncate, control);
      }
      case CVTPD2DQ, CVTTPD2DQ -> {
        boolean truncate = operation == SimdOperation.CVTTPD2DQ;
        low = FloatInstructions.doublesToIntegers(b, bHigh, truncate, control);
        high = 0;
      }
      default -> throw wrongShape(operation);
    }
    commit();
    write(destination, low, high);
  }

  private void compare(SimdOperation operation, long a, long aHigh, long b, long bHigh) {
    int flags =
        switch (operation) {
          case UCOMISS -> SseSingle.compareUnordered((int) a, (int) b, control);
          case COMISS -> SseSingle.compareOrdered((int) a, (int) b, control);
          case UCOMISD -> SseDouble.compareUnordered(a, b, control);
          case COMISD -> SseDouble.compareOrdered(a, b, control);
          case PTEST ->
              ((a & b) == 0 && (aHigh & bHigh) == 0 ? CpuState.ZF : 0)
                  | ((~a & b) == 0 && (~aHigh & bHigh) == 0 ? CpuState.CF : 0);
          default -> throw wrongShape(operation);
        };
    commit();
    state.setArithmeticFlags(flags);
  }

  private void compareStrings(
      SimdOperation operation, int destination, long b, long bHigh, int immediate, int form) {
    long a = low(destination);
    long aHigh = high(destination);
    boolean explicit = operation == SimdOperation.PCMPESTRI || operation == SimdOperation.PCMPESTRM;
    int aLength;
    int bLength;
    if (explicit) {
      long rax = state.general[CpuState.RAX];
      long rdx = state.general[CpuState.RDX];
      boolean wide = (form & FORM_WIDE) != 0;
      aLength = StringComparison.explicitLength(wide ? rax : (int) rax, immediate);
      bLength = StringComparison.explicitLength(wide ? rdx : (int) rdx, immediate);
    } else {
      aLength = StringComparison.implicitLength(a, aHigh, immediate);
      bLength = StringComparison.implicitLength(b, bHigh, immediate);
    }
    int matches = StringComparison.matches(a, aHigh, aLength, b, bHigh, bLength, immediate);
    if (operation == SimdOperation.PCMPESTRM || operation == SimdOperation.PCMPISTRM) {
      write(
          0,
          StringComparison.maskLow(matches, immediate),
          StringComparison.maskHigh(matches, immediate));
    } else {
      state.general[CpuState.RCX] = StringComparison.index(matches, immediate);
    }
    state.setArithmeticFlags(StringComparison.flags(matches, aLength, bLength, immediate));
  }

  // ---- MMX
  // ----------------------------------------------------------------------------------------

  private void executeMmx(
      SimdOperation operation, int destination, long b, long bHigh, int immediate, int form) {
    // An XMM destination has up to 16 numbers, an MMX destination 8.
    long a = state.x87Significand[destination & 7];
    switch (operation.shape()) {
      case HALVES -> writeMmx(destination, PackedIntegerInstructions.half(operation, a, b));
      case SHIFT -> writeMmx(destination, PackedIntegerInstructions.shift(operation, a, b));
      case PAIRS -> writeMmx(destination, PackedIntegerInstructions.pairs(operation, a, b));
      case UNPACK_LOW ->
          writeMmx(destination, PackedIntegerInstructions.unpackLow(operation, a, b));
      case UNPACK_HIGH ->
          writeMmx(destination, PackedIntegerInstructions.unpackHigh(operation, a, b));
      case SHUFFLE -> writeMmx(destination, ShuffleInstructions.mmx(operation, a, b, immediate));
      case MOVE -> {
        if (operation == SimdOperation.MOVQ2DQ) {
          useMmx();
          write(destination, b, 0);
        } else {
          boolean doubleword = operation == SimdOperation.MOVD && (form & FORM_WIDE) == 0;
          writeMmx(destination, doubleword ? b & 0xFFFFFFFFL : b);
        }
      }
      case CONVERSION -> convertMmx(operation, destination, b, bHigh);
      case EMPTY -> {
        state.x87Valid = 0;
        state.x87Top = 0;
      }
      default -> throw wrongShape(operation);
    }
  }

  private void convertMmx(SimdOperation operation, int destination, long b, long bHigh) {
    boolean truncate = operation == SimdOperation.CVTTPS2PI || operation == SimdOperation.CVTTPD2PI;
    switch (operation) {
      case CVTPI2PS, CVTPI2PD -> {
        useMmx();
        convert(operation, destination, b, bHigh);
      }
      case CVTPS2PI, CVTTPS2PI -> {
        long result = FloatInstructions.singlesToIntegers(b, truncate, control);
        // Even when an exception keeps the result away.
        useMmx();
        commit();
        writeMmx(destination, result);
      }
      case CVTPD2PI, CVTTPD2PI -> {
        long result = FloatInstructions.doublesToIntegers(b, bHigh, truncate, control);
        useMmx();
        commit();
        writeMmx(destination, result);
      }
      default -> throw wrongShape(operation);
    }
  }

  // ---- to general registers and memory
  // ------------------------------------------------------------

  /**
   * The value that an instruction gives to a general register or, for the extractions, to memory:
   * zero-extended from 32 bits unless the form is wide.
   *
   * @param low the source register's low quadword, or memory
   */
  public long toGeneral(SimdOperation operation, long low, long high, int immediate, int form) {
    boolean wide = (form & FORM_WIDE) != 0;
    boolean mmx = (form & FORM_MMX) != 0;
    int bits = wide ? 64 : 32;
    long result =
        switch (operation) {
          case MOVD, MOVQ -> low;
          case MOVMSKPS ->
              PackedShuffles.signsOfDoublewords(low) | PackedShuffles.signsOfDoublewords(high) << 2;
          case MOVMSKPD -> low >>> 63 | high >>> 63 << 1;
          case PMOVMSKB ->
              PackedShuffles.signsOfBytes(low) | (mmx ? 0 : PackedShuffles.signsOfBytes(high) << 8);
          case PEXTRB -> half(low, high, immediate >> 3) >>> ((immediate & 7) << 3) & 0xFF;
          case PEXTRW ->
              (mmx ? low : half(low, high, immediate >> 2)) >>> ((immediate & 3) << 4) & 0xFFFF;
          case PEXTRD ->
              wide
                  ? half(low, high, immediate)
                  : half(low, high, immediate >> 1) >>> ((immediate & 1) << 5);
          case EXTRACTPS ->
              half(low, high, immediate >> 1) >>> ((immediate & 1) << 5) & 0xFFFFFFFFL;
          case CVTSS2SI -> SseConversions.roundSingle((int) low, bits, control);
          case CVTTSS2SI -> SseConversions.truncateSingle((int) low, bits, control);
          case CVTSD2SI -> SseConversions.roundDouble(low, bits, control);
          case CVTTSD2SI -> SseConversions.truncateDouble(low, bits, control);
          default -> throw wrongShape(operation);
        };
    commit();
    if (mmx) {
      useMmx();
    }
    // MOVQ has 64 bits whatever the prefixes.
    return wide || operation == SimdOperation.MOVQ ? result : result & 0xFFFFFFFFL;
  }

  private static long half(long low, long high, int index) {
    return (index & 1) == 0 ? low : high;
  }

  /**
   * The low quadword that a move stores to memory from its register; the operation says how many
   * bytes of it, and 16-byte stores have {@link #high} above it.
   */
  public long toMemory(SimdOperation operation, int register, int form) {
    if ((form & FORM_MMX) != 0) {
      useMmx();
      return mmx(register);
    }
    return operation == SimdOperation.MOVHPS || operation == SimdOperation.MOVHPD
        ? high(register)
        : low(register);
  }

  /**
   * MASKMOVQ and MASKMOVDQU: stores those bytes of the first operand's register that the top bits
   * of the mask's bytes choose. No byte is stored if storing any would fault.
   *
   * @param linear the linear address of byte 0
   */
  public void maskedStore(long linear, int register, long maskLow, long maskHigh, int form) {
    boolean mmx = (form & FORM_MMX) != 0;
    int chosen = PackedShuffles.signsOfBytes(maskLow);
    if (!mmx) {
      chosen |= PackedShuffles.signsOfBytes(maskHigh) << 8;
    }
    long low = mmx ? mmx(register) : low(register);
    long high = mmx ? 0 : high(register);
    if (chosen != 0) {
      processor.probeWrite(linear + Integer.numberOfTrailingZeros(chosen), 1);
      processor.probeWrite(linear + 31 - Integer.numberOfLeadingZeros(chosen), 1);
    }
    for (int rest = chosen; rest != 0; rest &= rest - 1) {
      int index = Integer.numberOfTrailingZeros(rest);
      long value = half(low, high, index >> 3) >>> ((index & 7) << 3) & 0xFF;
      processor.store(linear + index, 1, value);
    }
    if (mmx) {
      useMmx();
    }
  }
}
