package io.anillo.vmm.cpu;

import io.anillo.vmm.hypercall.KvmInterface;
import io.anillo.vmm.hypercall.OwnInterface;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;

/**
 * The processor a guest sees, as an exact list of CPUID answers, the same on every engine and host,
 * so that a running guest can move between them. The one model so far is {@code anillo-v2}: the
 * x86-64-v2 level with the system features of a current server processor, vendor AuthenticAMD (why:
 * docs/decisions/0002-processor-vendor.md).
 *
 * <p>Leaves are those of the AMD APM vol. 3 appendix E; leaves 0x15 and 0x16, which Intel defines,
 * carry the frequency.
 *
 * @param name the model's name
 * @param processors number of processors, each one core with one thread, all on one socket; their
 *     APIC ids are 0 up
 * @param paravirtualFeatures what of KVM's paravirtual interface is announced, bits of {@link
 *     io.anillo.vmm.hypercall.KvmInterface}; 0 for no paravirtual interface at all
 * @param tscHertz frequency of the time stamp counter
 * @param withheld features that are not shown, because the machine is to run where they are missing
 */
public record CpuModel(
    String name, int processors, int paravirtualFeatures, long tscHertz, Set<CpuFeature> withheld) {
  /** TSC frequency of software engines: the time stamp counts virtual nanoseconds. */
  public static final long TSC_HERTZ = 1_000_000_000;

  public static final int PHYSICAL_ADDRESS_BITS = 40;
  public static final int LINEAR_ADDRESS_BITS = 48;

  /** Bits a physical address may have. */
  public static final long PHYSICAL_ADDRESS_MASK = (1L << PHYSICAL_ADDRESS_BITS) - 1;

  /** XCR0 bits that XSETBV takes: x87 and SSE. */
  public static final long XCR0_SUPPORTED = 3;

  /** Bytes of the XSAVE area: legacy region and header. */
  public static final int XSAVE_BYTES = 576;

  /**
   * What MSR 0x8B reads: a current revision for the signature, so that kernels ask for no update.
   */
  public static final int MICROCODE_REVISION = 0x0A10_11FF;

  private static final int EAX = 0, EBX = 1, ECX = 2, EDX = 3;
  private static final int HIGHEST_BASIC = 0x16;
  private static final int OWN_LEAF = 0x4000_0100;
  private static final String OWN_SIGNATURE = "AnilloAnillo";
  private static final int HIGHEST_EXTENDED = 0x8000_0021;

  /** Family 0x19, model 0x11, stepping 1: base family 0xF, extended family 0xA. */
  private static final int SIGNATURE = 0xA << 20 | 1 << 16 | 0xF << 8 | 1 << 4 | 1;

  private static final int FEATURES_ECX =
      1 // SSE3
          | 1 << 9 // SSSE3
          | 1 << 13 // CMPXCHG16B
          | 1 << 17 // PCID
          | 1 << 19 // SSE4.1
          | 1 << 20 // SSE4.2
          | 1 << 21 // x2APIC
          | 1 << 23 // POPCNT
          | 1 << 24 // TSC-deadline
          | 1 << 26 // XSAVE
          | 1 << 30 // RDRAND
          | 1 << 31; // hypervisor
  private static final int OSXSAVE = 1 << 27;

  /** FPU DE PSE TSC MSR PAE MCE CX8, SEP MTRR PGE MCA CMOV PAT PSE36, CLFSH, MMX FXSR SSE SSE2. */
  private static final int FEATURES_EDX =
      1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 12 | 1 << 13
          | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26;

  private static final int APIC = 1 << 9;
  private static final int HTT = 1 << 28;

  /** FSGSBASE, TSC_ADJUST, SMEP, ERMS, INVPCID, RDSEED, SMAP. */
  private static final int STRUCTURED_EBX =
      1 | 1 << 1 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 18 | 1 << 20;

  private static final int UMIP = 1 << 2;
  private static final int FAST_SHORT_REP_MOV = 1 << 4;

  private static final int APIC_BASE_MSR = 0x1B;

  /** In APIC_BASE: the controller is enabled. */
  private static final long APIC_BASE_ENABLE = 1 << 11;

  private static final String BRAND = "Anillo Virtual CPU v2";

  public CpuModel {
    if (processors < 1 || processors > 255) {
      throw new IllegalArgumentException(
          "A machine has 1 to 255 processors, not " + processors + ".");
    }
    withheld = Set.copyOf(withheld);
  }

  /** The model {@code anillo-v2}. */
  public static CpuModel anilloV2(int processors) {
    return new CpuModel("anillo-v2", processors, 0, TSC_HERTZ, Set.of());
  }

  /** The same with a paravirtual interface, or without. */
  public CpuModel withParavirtual(int features) {
    return new CpuModel(name, processors, features, tscHertz, withheld);
  }

  /** The same on hardware whose time stamp counter cannot be made to count nanoseconds. */
  public CpuModel withTscHertz(long hertz) {
    return new CpuModel(name, processors, paravirtualFeatures, hertz, withheld);
  }

  /** The same without some features, besides those that it lacks already. */
  public CpuModel without(Set<CpuFeature> features) {
    Set<CpuFeature> all = new HashSet<>(withheld);
    all.addAll(features);
    return new CpuModel(name, processors, paravirtualFeatures, tscHertz, all);
  }

  /**
   * CPUID with the bits that follow the state: OSXSAVE mirrors CR4, APIC mirrors IA32_APIC_BASE.
   *
   * @param result receives EAX, EBX, ECX and EDX
   */
  public void cpuid(
      int leaf, int subleaf, CpuState state, int apicId, boolean apicEnabled, int[] result) {
    cpuid(leaf, subleaf, apicId, result);
    if (leaf == 1) {
      if ((state.cr4 & CpuState.CR4_OSXSAVE) != 0) {
        result[ECX] |= OSXSAVE;
      }
      if (!apicEnabled) {
        result[EDX] &= ~APIC;
      }
    } else if (leaf == 0x8000_0001 && !apicEnabled) {
      result[EDX] &= ~APIC;
    }
  }

  /**
   * CPUID as {@link #cpuid(int, int, CpuState, int, boolean, int[])}, the APIC bit read from the
   * controller.
   */
  public void cpuid(
      int leaf, int subleaf, CpuState state, int apicId, LocalInterrupts interrupts, int[] result) {
    boolean enabled =
        (leaf & 0x7FFF_FFFF) != 1 || (interrupts.readMsr(APIC_BASE_MSR) & APIC_BASE_ENABLE) != 0;
    cpuid(leaf, subleaf, state, apicId, enabled, result);
  }

  /**
   * The answers that depend on nothing but the leaf and the processor's APIC id, APIC enabled and
   * OSXSAVE clear.
   */
  public void cpuid(int leaf, int subleaf, int apicId, int[] result) {
    result[EAX] = result[EBX] = result[ECX] = result[EDX] = 0;
    if (leaf >= 0) {
      basic(leaf, subleaf, apicId, result);
    } else {
      extended(leaf, subleaf, apicId, result);
    }
    if (!withheld.isEmpty() && (leaf != 7 || subleaf == 0)) {
      for (CpuFeature feature : withheld) {
        if (feature.leaf() == leaf) {
          feature.removeFrom(result);
        }
      }
    }
  }

  private void basic(int leaf, int subleaf, int apicId, int[] result) {
    switch (leaf) {
      case 0 -> {
        vendor(result);
        result[EAX] = HIGHEST_BASIC;
      }
      case 1 -> {
        result[EAX] = SIGNATURE;
        // CLFLUSH line in units of 8 bytes; number of logical processors, which counts only with
        // HTT.
        result[EBX] = apicId << 24 | (processors > 1 ? processors : 1) << 16 | 8 << 8;
        result[ECX] = FEATURES_ECX;
        result[EDX] = FEATURES_EDX | APIC | (processors > 1 ? HTT : 0);
      }
      case 6 -> result[EAX] = 1 << 2; // ARAT: the APIC timer never stops
      case 7 -> {
        if (subleaf == 0) {
          result[EBX] = STRUCTURED_EBX;
          result[ECX] = UMIP;
          result[EDX] = FAST_SHORT_REP_MOV;
        }
      }
      case 0xB -> topology(subleaf, apicId, result);
      case 0xD -> {
        if (subleaf == 0) {
          result[EAX] = (int) XCR0_SUPPORTED;
          result[EBX] = XSAVE_BYTES;
          result[ECX] = XSAVE_BYTES;
        }
      }
      case 0x15 -> {
        result[EAX] = 1;
        // The crystal's frequency has 32 bits; a faster one is given as a multiple.
        int multiple = (int) (tscHertz >>> 32) + 1;
        result[EBX] = multiple;
        result[ECX] = (int) (tscHertz / multiple);
      }
      case 0x16 -> {
        result[EAX] = (int) (tscHertz / 1_000_000);
        result[EBX] = (int) (tscHertz / 1_000_000);
        result[ECX] = 100;
      }
      case KvmInterface.SIGNATURE_LEAF -> {
        boolean aware = paravirtualFeatures != 0;
        result[EAX] = aware ? KvmInterface.FEATURES_LEAF : KvmInterface.SIGNATURE_LEAF;
        text(aware ? KvmInterface.SIGNATURE : OWN_SIGNATURE, 0, result, EBX, 3);
      }
      case KvmInterface.FEATURES_LEAF -> result[EAX] = paravirtualFeatures;
      case OWN_LEAF -> {
        if (paravirtualFeatures != 0) {
          result[EAX] = OWN_LEAF + 1;
          text(OWN_SIGNATURE, 0, result, EBX, 3);
        }
      }
      case OWN_LEAF + 1 -> {
        if (paravirtualFeatures != 0) {
          result[EAX] = OwnInterface.VERSION;
          result[EBX] = OwnInterface.PORT;
          // Whether VMCALL and VMMCALL come to us: where hardware runs the guest they go to KVM.
          result[ECX] = (paravirtualFeatures & KvmInterface.SEND_IPI) != 0 ? 1 : 0;
        }
      }
      default -> {}
    }
  }

  /** Leaf 0xB: level 0 has one thread in a core, level 1 has the cores of the socket. */
  private void topology(int level, int apicId, int[] result) {
    result[ECX] = level & 0xFF;
    result[EDX] = apicId;
    if (level == 0) {
      result[EBX] = 1;
      result[ECX] |= 1 << 8;
    } else if (level == 1) {
      result[EAX] = apicIdBits();
      result[EBX] = processors;
      result[ECX] |= 2 << 8;
    }
  }

  private void extended(int leaf, int subleaf, int apicId, int[] result) {
    switch (leaf) {
      case 0x8000_0000 -> {
        vendor(result);
        result[EAX] = HIGHEST_EXTENDED;
      }
      case 0x8000_0001 -> {
        result[EAX] = SIGNATURE;
        result[EBX] = 4 << 28; // package type: a socketed server part
        // LAHF in 64-bit mode, CMP_LEGACY with several cores, CR8 aside, misaligned SSE no,
        // TOPOEXT.
        result[ECX] = 1 | (processors > 1 ? 1 << 1 : 0) | 1 << 8 | 1 << 22;
        // The bits that repeat leaf 1, without SEP and HTT; SYSCALL, NX, MMX extensions, 1 GiB
        // pages, RDTSCP, long mode.
        result[EDX] =
            FEATURES_EDX & 0x0183_F7FF
                | APIC
                | 1 << 11
                | 1 << 20
                | 1 << 22
                | 1 << 26
                | 1 << 27
                | 1 << 29;
      }
      case 0x8000_0002, 0x8000_0003, 0x8000_0004 ->
          text(BRAND, (leaf - 0x8000_0002) * 16, result, EAX, 4);
      case 0x8000_0005 -> {
        result[EAX] = 0xFF40_FF40; // L1 TLB, 2 MiB pages: 64 entries each, fully associative
        result[EBX] = 0xFF40_FF40;
        result[ECX] = 32 << 24 | 8 << 16 | 1 << 8 | 64;
        result[EDX] = 32 << 24 | 8 << 16 | 1 << 8 | 64;
      }
      case 0x8000_0006 -> {
        result[EBX] = 0x6400_6400; // L2 TLB, 4 KiB pages: 1024 entries, 8 ways
        result[ECX] = 1024 << 16 | 6 << 12 | 1 << 8 | 64;
        result[EDX] = 32 << 18 | 9 << 12 | 1 << 8 | 64; // L3 in units of 512 KiB: 16 MiB
      }
      case 0x8000_0007 -> result[EDX] = 1 << 8; // invariant TSC
      case 0x8000_0008 -> {
        result[EAX] = LINEAR_ADDRESS_BITS << 8 | PHYSICAL_ADDRESS_BITS;
        // FXSAVE always saves the x87 error pointers; LMSLE is gone; speculative store bypass and
        // branch type confusion do not occur.
        result[EBX] = 1 << 2 | 1 << 20 | 1 << 26 | 1 << 29;
        result[ECX] = apicIdBits() << 12 | processors - 1;
      }
      case 0x8000_001A -> result[EAX] = 1 << 1; // MOVU: unaligned loads are as fast as aligned ones
      case 0x8000_001D -> cache(subleaf, result);
      case 0x8000_001E -> {
        result[EAX] = apicId;
        result[EBX] = apicId; // core id; one thread in a core
      }
      case 0x8000_0021 -> {
        // No nested data breakpoints, LFENCE serialises, a null selector clears the base, automatic
        // IBRS, and
        // the return predictor cannot be steered (SRSO_NO).
        result[EAX] = 1 | 1 << 2 | 1 << 6 | 1 << 8 | 1 << 29;
        result[ECX] =
            1 << 1 | 1 << 2; // not subject to transient scheduler attacks (TSA_SQ_NO, TSA_L1_NO)
      }
      default -> {}
    }
  }

  /** Leaf 0x8000001D: L1 data, L1 instruction, L2 for each core, L3 for the socket. */
  private void cache(int index, int[] result) {
    switch (index) {
      case 0 -> cache(result, 1, 1, 8, 64, 1);
      case 1 -> cache(result, 2, 1, 8, 64, 1);
      case 2 -> cache(result, 3, 2, 8, 2048, 1);
      case 3 -> cache(result, 3, 3, 16, 16384, processors);
      default -> {}
    }
  }

  private static void cache(int[] result, int type, int level, int ways, int sets, int sharing) {
    result[EAX] = sharing - 1 << 14 | 1 << 8 | level << 5 | type; // self-initialising
    result[EBX] = ways - 1 << 22 | 63;
    result[ECX] = sets - 1;
    result[EDX] = level == 3 ? 1 : level == 2 ? 2 : 0;
  }

  /** Bits of an APIC id that number the cores of the socket. */
  private int apicIdBits() {
    return 32 - Integer.numberOfLeadingZeros(processors - 1);
  }

  private static void vendor(int[] result) {
    result[EBX] = 0x6874_7541; // Auth
    result[EDX] = 0x6974_6E65; // enti
    result[ECX] = 0x444D_4163; // cAMD
  }

  /** Puts text into registers, four characters in each, zeros after its end. */
  private static void text(String text, int from, int[] result, int first, int registers) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    for (int i = 0; i < registers * 4; i++) {
      int at = from + i;
      int character = at < bytes.length ? bytes[at] & 0xFF : 0;
      result[first + (i >> 2)] |= character << ((i & 3) * 8);
    }
  }
}
