package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.EFER_LMA;
import static io.anillo.vmm.cpu.CpuState.EFER_LME;
import static io.anillo.vmm.cpu.CpuState.EFER_NXE;
import static io.anillo.vmm.cpu.CpuState.EFER_SCE;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.GS;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.x86.execute.Processor;

/**
 * RDMSR and WRMSR (Intel SDM vol. 4; AMD APM vol. 2 appendix A). An index that is not listed here,
 * or a value that a register cannot take, raises #GP(0).
 *
 * <p>AMD's registers that describe silicon we do not have are there because kernels read them on
 * any AuthenticAMD processor without asking CPUID. They read as constants and ignore writes:
 *
 * <ul>
 *   <li>HWCR reads with TscFreqSel, so that Linux believes in the constant TSC;
 *   <li>DE_CFG reads with LFENCE-serialising set, which Linux would otherwise try to set;
 *   <li>SYSCFG, NB_CFG, LS_CFG, IC_CFG, DC_CFG, BU_CFG2, TOP_MEM, TOP_MEM2, INT_PENDING,
 *       MMIO_CONF_BASE, OSVW length and status read as zero: nothing enabled, no errata.
 * </ul>
 *
 * SPEC_CTRL, PRED_CMD, VIRT_SPEC_CTRL, TSC_RATIO, SVM, performance counters and SMM registers do
 * not exist, as CPUID says.
 */
public final class ModelSpecificRegisters {
  private static final int TSC = 0x10;
  private static final int APIC_BASE = 0x1B;
  private static final int TSC_ADJUST = 0x3B;
  private static final int MICROCODE_REVISION = 0x8B;
  private static final int MTRR_CAPABILITIES = 0xFE;
  private static final int SYSENTER_CS = 0x174, SYSENTER_ESP = 0x175, SYSENTER_EIP = 0x176;
  private static final int MCG_CAPABILITIES = 0x179, MCG_STATUS = 0x17A;
  private static final int MISC_ENABLE = 0x1A0;
  private static final int DEBUG_CONTROL = 0x1D9;
  private static final int MTRR_VARIABLE_FIRST = 0x200, MTRR_VARIABLE_LAST = 0x20F;
  private static final int MTRR_FIXED_64K = 0x250, MTRR_FIXED_16K = 0x258;
  private static final int MTRR_FIXED_4K_FIRST = 0x268, MTRR_FIXED_4K_LAST = 0x26F;
  private static final int PAT = 0x277;
  private static final int MTRR_DEFAULT_TYPE = 0x2FF;
  private static final int TSC_DEADLINE = 0x6E0;
  private static final int X2APIC_FIRST = 0x800, X2APIC_LAST = 0x8FF;

  private static final int EFER = 0xC000_0080;
  private static final int STAR = 0xC000_0081, LSTAR = 0xC000_0082, CSTAR = 0xC000_0083;
  private static final int SYSCALL_MASK = 0xC000_0084;
  private static final int FS_BASE = 0xC000_0100, GS_BASE = 0xC000_0101;
  private static final int KERNEL_GS_BASE = 0xC000_0102, TSC_AUX = 0xC000_0103;
  private static final int SYSCFG = 0xC001_0010, HWCR = 0xC001_0015;
  private static final int TOP_MEM = 0xC001_001A, TOP_MEM2 = 0xC001_001D, NB_CFG = 0xC001_001F;
  private static final int PATCH_LOADER = 0xC001_0020;
  private static final int INT_PENDING = 0xC001_0055, MMIO_CONF_BASE = 0xC001_0058;
  private static final int OSVW_LENGTH = 0xC001_0140, OSVW_STATUS = 0xC001_0141;
  private static final int LS_CFG = 0xC001_1020, IC_CFG = 0xC001_1021, DC_CFG = 0xC001_1022;
  private static final int DE_CFG = 0xC001_1029, BU_CFG2 = 0xC001_102A;

  /** Eight variable ranges, fixed ranges, write combining. */
  private static final long MTRR_CAPABILITIES_VALUE = 8 | 1 << 8 | 1 << 10;

  private static final long HWCR_TSC_FREQUENCY_SELECT = 1 << 24;
  private static final long DE_CFG_LFENCE_SERIALIZES = 2;

  /** EFER.AIBRSE: automatic IBRS, kept and without effect since nothing here speculates. */
  private static final long EFER_AUTOMATIC_IBRS = 1 << 21;

  private static final long EFER_WRITABLE = EFER_SCE | EFER_LME | EFER_NXE | EFER_AUTOMATIC_IBRS;

  /** Fast strings. */
  private static final long MISC_ENABLE_WRITABLE = 1;

  private ModelSpecificRegisters() {}

  /** RDMSR. */
  public static long read(Processor processor, int index) {
    SegmentLoader.requireRing0(processor);
    CpuState state = processor.state;
    if (index >= MTRR_VARIABLE_FIRST && index <= MTRR_DEFAULT_TYPE && index != PAT) {
      return state.mtrr[mtrrSlot(processor, index)];
    }
    if (isLocalInterrupts(index)) {
      try {
        return processor.localInterrupts().readMsr(index);
      } catch (LocalInterrupts.UnknownMsrException unknown) {
        throw processor.generalProtection(0);
      }
    }
    ParavirtualProcessor paravirtual = processor.paravirtual;
    if (paravirtual != null && ParavirtualProcessor.knows(index)) {
      return paravirtual.read(index);
    }
    return switch (index) {
      case TSC -> processor.timeStampCounter();
      case TSC_ADJUST -> state.tscAdjust;
      case MICROCODE_REVISION -> CpuModel.MICROCODE_REVISION;
      case MTRR_CAPABILITIES -> MTRR_CAPABILITIES_VALUE;
      case SYSENTER_CS -> state.sysenterCs;
      case SYSENTER_ESP -> state.sysenterEsp;
      case SYSENTER_EIP -> state.sysenterEip;
      case MISC_ENABLE -> state.miscEnable;
      case PAT -> state.pat;
      case EFER -> state.efer;
      case STAR -> state.star;
      case LSTAR -> state.lstar;
      case CSTAR -> state.cstar;
      case SYSCALL_MASK -> state.syscallMask;
      case FS_BASE -> state.segmentBase[FS];
      case GS_BASE -> state.segmentBase[GS];
      case KERNEL_GS_BASE -> state.kernelGsBase;
      case TSC_AUX -> state.tscAux;
      case HWCR -> HWCR_TSC_FREQUENCY_SELECT;
      case DE_CFG -> DE_CFG_LFENCE_SERIALIZES;
      case MCG_CAPABILITIES,
          MCG_STATUS,
          DEBUG_CONTROL,
          SYSCFG,
          TOP_MEM,
          TOP_MEM2,
          NB_CFG,
          INT_PENDING,
          MMIO_CONF_BASE,
          OSVW_LENGTH,
          OSVW_STATUS,
          LS_CFG,
          IC_CFG,
          DC_CFG,
          BU_CFG2 ->
          0;
      default -> throw processor.generalProtection(0);
    };
  }

  /** WRMSR. */
  public static void write(Processor processor, int index, long value) {
    SegmentLoader.requireRing0(processor);
    CpuState state = processor.state;
    if (index >= MTRR_VARIABLE_FIRST && index <= MTRR_DEFAULT_TYPE && index != PAT) {
      writeMtrr(processor, index, value);
      return;
    }
    if (isLocalInterrupts(index)) {
      try {
        processor.localInterrupts().writeMsr(index, value);
      } catch (LocalInterrupts.UnknownMsrException unknown) {
        throw processor.generalProtection(0);
      }
      return;
    }
    ParavirtualProcessor paravirtual = processor.paravirtual;
    if (paravirtual != null && ParavirtualProcessor.knows(index)) {
      try {
        paravirtual.write(index, value);
      } catch (LocalInterrupts.UnknownMsrException refused) {
        throw processor.generalProtection(0);
      }
      return;
    }
    switch (index) {
      case TSC -> {
        long change = value - processor.timeStampCounter();
        state.tscOffset += change;
        state.tscAdjust += change;
        timeStampChanged(processor);
      }
      case TSC_ADJUST -> {
        state.tscOffset += value - state.tscAdjust;
        state.tscAdjust = value;
        timeStampChanged(processor);
      }
      case SYSENTER_CS -> state.sysenterCs = value & 0xFFFF_FFFFL;
      case SYSENTER_ESP -> state.sysenterEsp = canonical(processor, value);
      case SYSENTER_EIP -> state.sysenterEip = canonical(processor, value);
      case MISC_ENABLE ->
          state.miscEnable =
              state.miscEnable & ~MISC_ENABLE_WRITABLE | value & MISC_ENABLE_WRITABLE;
      case PAT -> {
        if (!validTypes(value, true)) {
          throw processor.generalProtection(0);
        }
        state.pat = value;
      }
      case EFER -> writeEfer(processor, value);
      case STAR -> state.star = value;
      case LSTAR -> state.lstar = canonical(processor, value);
      case CSTAR -> state.cstar = canonical(processor, value);
      case SYSCALL_MASK -> state.syscallMask = value & 0xFFFF_FFFFL;
      case FS_BASE -> state.segmentBase[FS] = canonical(processor, value);
      case GS_BASE -> state.segmentBase[GS] = canonical(processor, value);
      case KERNEL_GS_BASE -> state.kernelGsBase = canonical(processor, value);
      case TSC_AUX -> state.tscAux = value & 0xFFFF_FFFFL;
      case MCG_STATUS -> {
        if (value != 0) {
          throw processor.generalProtection(0);
        }
      }
      case MICROCODE_REVISION,
          DEBUG_CONTROL,
          SYSCFG,
          HWCR,
          TOP_MEM,
          TOP_MEM2,
          NB_CFG,
          PATCH_LOADER,
          INT_PENDING,
          MMIO_CONF_BASE,
          OSVW_LENGTH,
          OSVW_STATUS,
          LS_CFG,
          IC_CFG,
          DC_CFG,
          DE_CFG,
          BU_CFG2 -> {
        // Ignored, see above.
      }
      default -> throw processor.generalProtection(0);
    }
  }

  private static void timeStampChanged(Processor processor) {
    ParavirtualProcessor paravirtual = processor.paravirtual;
    if (paravirtual != null) {
      paravirtual.timeStampChanged();
    }
  }

  /** Whether the local interrupt controller has this register. */
  public static boolean isLocalInterrupts(int index) {
    return index == APIC_BASE
        || index == TSC_DEADLINE
        || index >= X2APIC_FIRST && index <= X2APIC_LAST;
  }

  private static long canonical(Processor processor, long value) {
    if (!DescriptorTables.isCanonical(value)) {
      throw processor.generalProtection(0);
    }
    return value;
  }

  private static void writeEfer(Processor processor, long value) {
    CpuState state = processor.state;
    if ((value & ~(EFER_WRITABLE | EFER_LMA)) != 0) {
      throw processor.generalProtection(0);
    }
    // LMA follows LME and CR0.PG; what is written to it does not count.
    long next = value & EFER_WRITABLE | state.efer & EFER_LMA;
    long changed = next ^ state.efer;
    if ((changed & EFER_LME) != 0 && (state.cr0 & CpuState.CR0_PG) != 0) {
      throw processor.generalProtection(0);
    }
    state.efer = next;
    if ((changed & EFER_NXE) != 0) {
      processor.flushTlb(true);
    }
    processor.modeChanged();
  }

  /** Index into {@link CpuState#mtrr}. */
  private static int mtrrSlot(Processor processor, int index) {
    if (index == MTRR_DEFAULT_TYPE) {
      return 0;
    }
    if (index == MTRR_FIXED_64K) {
      return 1;
    }
    if (index == MTRR_FIXED_16K || index == MTRR_FIXED_16K + 1) {
      return 2 + index - MTRR_FIXED_16K;
    }
    if (index >= MTRR_FIXED_4K_FIRST && index <= MTRR_FIXED_4K_LAST) {
      return 4 + index - MTRR_FIXED_4K_FIRST;
    }
    if (index <= MTRR_VARIABLE_LAST) {
      return 12 + index - MTRR_VARIABLE_FIRST;
    }
    throw processor.generalProtection(0);
  }

  private static void writeMtrr(Processor processor, int index, long value) {
    int slot = mtrrSlot(processor, index);
    boolean valid;
    if (slot == 0) {
      valid = (value & ~0xCFFL) == 0 && validType((int) value & 0xFF, false);
    } else if (slot < 12) {
      valid = validTypes(value, false);
    } else if ((index & 1) == 0) {
      valid =
          (value & ~(CpuModel.PHYSICAL_ADDRESS_MASK & ~0xF00L)) == 0
              && validType((int) value & 0xFF, false);
    } else {
      valid = (value & ~(CpuModel.PHYSICAL_ADDRESS_MASK & ~0x7FFL)) == 0;
    }
    if (!valid) {
      throw processor.generalProtection(0);
    }
    processor.state.mtrr[slot] = value;
  }

  /** Whether each of eight bytes is a memory type. */
  private static boolean validTypes(long types, boolean pat) {
    for (int i = 0; i < 64; i += 8) {
      if (!validType((int) (types >>> i) & 0xFF, pat)) {
        return false;
      }
    }
    return true;
  }

  /** UC, WC, WT, WP, WB; the page attribute table has UC- too. */
  private static boolean validType(int type, boolean pat) {
    return type == 0 || type == 1 || type >= 4 && type <= 6 || pat && type == 7;
  }
}
