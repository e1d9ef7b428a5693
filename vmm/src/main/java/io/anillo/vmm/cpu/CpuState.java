package io.anillo.vmm.cpu;

/**
 * The architectural state of one virtual processor: everything a guest can observe of it, and
 * nothing that is a cache. Engine-neutral: any engine can stop at an instruction boundary, leave
 * the state here, and another goes on from it.
 *
 * <p>Hot class: the interpreter and translated code read and write these fields directly.
 *
 * <p><b>Flags.</b> The six arithmetic flags are kept as two numbers from which each is cheap to
 * derive, whatever instruction set them:
 *
 * <ul>
 *   <li>{@link #flagResult}: the result, sign-extended to 64 bits. ZF: it is zero. SF: it is
 *       negative. PF: parity of its low byte.
 *   <li>{@link #flagCarries}: bit 63 = CF, bit 62 = CF xor OF, bit 3 = AF; bit 61 inverts SF, bit 2
 *       inverts PF. All other bits are zero. For an addition or subtraction these are the top two
 *       carries and the carry out of bit 3.
 * </ul>
 */
public final class CpuState {
  /** Indexes into {@link #general}. */
  public static final int RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;

  /**
   * An index into {@link #general} that always reads zero: the absent base or index of an address.
   */
  public static final int ZERO_REGISTER = 16;

  /**
   * An index into {@link #general} that holds RIP at the start of the running block, for
   * RIP-relative addresses.
   */
  public static final int BLOCK_RIP = 17;

  /** Indexes into the segment arrays. */
  public static final int ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5, LDTR = 6, TR = 7;

  /**
   * An index into {@link #segmentBase} that always reads zero: the base of a segment that 64-bit
   * mode ignores.
   */
  public static final int NO_SEGMENT = 8;

  /**
   * Bits of {@link #segmentAccess}: bits 8-15 and 20-23 of a descriptor's high word, shifted right
   * by 8.
   */
  public static final int ACCESS_TYPE = 0xF,
      ACCESS_S = 1 << 4,
      ACCESS_DPL_SHIFT = 5,
      ACCESS_PRESENT = 1 << 7,
      ACCESS_AVL = 1 << 12,
      ACCESS_LONG = 1 << 13,
      ACCESS_BIG = 1 << 14,
      ACCESS_GRANULAR = 1 << 15,
      ACCESS_UNUSABLE = 1 << 16;

  public static final int CF = 1,
      PF = 1 << 2,
      AF = 1 << 4,
      ZF = 1 << 6,
      SF = 1 << 7,
      TF = 1 << 8,
      IF = 1 << 9;
  public static final int DF = 1 << 10,
      OF = 1 << 11,
      IOPL = 3 << 12,
      NT = 1 << 14,
      RF = 1 << 16,
      VM = 1 << 17;
  public static final int AC = 1 << 18, VIF = 1 << 19, VIP = 1 << 20, ID = 1 << 21;
  public static final int ARITHMETIC_FLAGS = CF | PF | AF | ZF | SF | OF;

  public static final long CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 16, CR0_NE = 32;
  public static final long CR0_WP = 1 << 16,
      CR0_AM = 1 << 18,
      CR0_NW = 1 << 29,
      CR0_CD = 1 << 30,
      CR0_PG = 1L << 31;
  public static final long CR4_VME = 1,
      CR4_PVI = 2,
      CR4_TSD = 4,
      CR4_DE = 8,
      CR4_PSE = 16,
      CR4_PAE = 32;
  public static final long CR4_MCE = 64,
      CR4_PGE = 128,
      CR4_PCE = 256,
      CR4_OSFXSR = 512,
      CR4_OSXMMEXCPT = 1024;
  public static final long CR4_UMIP = 1 << 11,
      CR4_FSGSBASE = 1 << 16,
      CR4_PCIDE = 1 << 17,
      CR4_OSXSAVE = 1 << 18;
  public static final long CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21;
  public static final long EFER_SCE = 1, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11;

  /** RAX..R15, then {@link #ZERO_REGISTER} and {@link #BLOCK_RIP}. */
  public final long[] general = new long[18];

  /**
   * Instruction pointer: an offset in CS, zero-extended; in 64-bit mode a canonical linear address.
   */
  public long rip;

  public long flagResult = 1;
  public long flagCarries;

  /** RFLAGS without the arithmetic flags; bit 1 is always set. */
  public int systemFlags = 2;

  public final int[] segmentSelector = new int[8];
  public final long[] segmentBase = new long[9];

  /** Limits in bytes, granularity applied: offset of the last byte, 0 .. 0xFFFF_FFFF. */
  public final long[] segmentLimit = new long[8];

  public final int[] segmentAccess = new int[8];

  /** Current privilege level, 0 to 3. Equals SS.DPL. */
  public int privilege;

  public long gdtBase, idtBase;
  public int gdtLimit, idtLimit;
  public long cr0, cr2, cr3, cr4;
  public long efer;
  public long xcr0 = 1;
  public final long[] debug = new long[8];

  /**
   * PDPTEs as loaded by the last MOV to CR3 in PAE mode: state, not a cache (Intel SDM vol. 3A
   * §4.4.1).
   */
  public final long[] pdptes = new long[4];

  public long star, lstar, cstar, syscallMask, kernelGsBase;
  public long sysenterCs, sysenterEsp, sysenterEip;
  public long pat = 0x0007040600070406L;
  public long tscAux;

  /** Added to the board's time stamp; what writes to the TSC and TSC_ADJUST change. */
  public long tscOffset;

  public long tscAdjust;
  public long miscEnable = 1;

  /**
   * MTRR default type, then 11 fixed-range registers, then 8 base/mask pairs; they read back and do
   * nothing else.
   */
  public final long[] mtrr = new long[1 + 11 + 16];

  /** XMM0..XMM15, low quadword first. */
  public final long[] xmm = new long[32];

  public int mxcsr = 0x1F80;

  /**
   * The x87 registers by physical index (not by stack position): 64-bit significand. MMX registers
   * are these.
   */
  public final long[] x87Significand = new long[8];

  /** Sign (bit 15) and biased exponent of the x87 registers by physical index. */
  public final int[] x87SignExponent = new int[8];

  public int x87Control = 0x37F;

  /** Status word without TOP, which is {@link #x87Top}. */
  public int x87Status;

  public int x87Top;

  /**
   * One bit for each physical register, set when it is not empty (the abridged tag word of FXSAVE).
   */
  public int x87Valid;

  public int x87Opcode;
  public long x87InstructionPointer, x87DataPointer;
  public int x87InstructionSelector, x87DataSelector;

  /** Interrupts are held off for one instruction: after STI, or after a load of SS. */
  public boolean interruptShadow;

  /** Whether the shadow comes from a load of SS, which also holds off debug exceptions and NMIs. */
  public boolean stackShadow;

  public boolean nmiBlocked;
  public boolean nmiPending;

  /** Debug conditions (DR6 bits) found but held off by {@link #stackShadow}. */
  public long pendingDebug;

  /** Waiting in HLT. */
  public boolean halted;

  /** Waiting for a start-up IPI, as an application processor does after INIT. */
  public boolean waitingForStartup;

  /** The paravirtual interface's part of the state. */
  public final ParavirtualRegisters paravirtual = new ParavirtualRegisters();

  /**
   * Instructions retired, and interrupts and exceptions delivered: the number of boundaries passed
   * at which an event may come in. A REP instruction counts once for each piece of its iterations;
   * pieces depend on registers alone.
   */
  public long instructions;

  /** RFLAGS with all flags in place. */
  public int rflags() {
    return systemFlags | arithmeticFlags();
  }

  /** CF, PF, AF, ZF, SF and OF in their places. */
  public int arithmeticFlags() {
    long carries = flagCarries;
    long result = flagResult;
    int flags = (int) (carries >>> 63);
    flags |= (int) ((carries ^ (carries << 1)) >>> 63) << 11;
    flags |= ((int) carries & 8) << 1;
    flags |= ((Integer.bitCount((int) result & 0xFF) & 1) ^ 1 ^ ((int) carries >> 2 & 1)) << 2;
    flags |= (int) ((result ^ (carries << 2)) >>> 63) << 7;
    if (result == 0) {
      flags |= ZF;
    }
    return flags;
  }

  /** Sets the six arithmetic flags from their places in {@code flags}; other bits are ignored. */
  public void setArithmeticFlags(int flags) {
    boolean zero = (flags & ZF) != 0;
    long carry = flags & 1L;
    long overflow = flags >> 11 & 1L;
    // A zero result has even parity and no sign; a result of 1 has odd parity and no sign.
    long parity = flags >> 2 & 1L;
    long invertParity = zero ? parity ^ 1 : parity;
    long sign = flags >> 7 & 1L;
    flagResult = zero ? 0 : 1;
    flagCarries =
        carry << 63
            | (carry ^ overflow) << 62
            | sign << 61
            | invertParity << 2
            | (flags >> 4 & 1L) << 3;
  }

  /** Sets all of RFLAGS; bit 1 stays set and reserved bits stay clear. */
  public void setRflags(int flags) {
    setArithmeticFlags(flags);
    systemFlags = (flags & ~ARITHMETIC_FLAGS & 0x3F7700) | 2;
  }

  public boolean carry() {
    return flagCarries < 0;
  }

  public boolean protectedMode() {
    return (cr0 & CR0_PE) != 0;
  }

  public boolean longMode() {
    return (efer & EFER_LMA) != 0;
  }

  public boolean virtual8086() {
    return (systemFlags & VM) != 0;
  }

  /** 64-bit mode proper: long mode with a 64-bit code segment. */
  public boolean code64() {
    return longMode() && (segmentAccess[CS] & ACCESS_LONG) != 0;
  }
}
