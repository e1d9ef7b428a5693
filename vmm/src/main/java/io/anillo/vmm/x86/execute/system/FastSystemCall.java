package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.RCX;
import static io.anillo.vmm.cpu.CpuState.RDX;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.VM;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/**
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT and SWAPGS by AMD's rules (APM vol. 2 §6.1, vol. 3).
 *
 * <p>Where the vendors differ: SYSCALL and SYSRET work outside 64-bit mode too (#UD on Intel);
 * SYSENTER and SYSEXIT are #UD in long mode (valid on Intel); SYSRET loads a RIP that is not
 * canonical and the fetch in ring 3 faults (#GP in ring 0 on Intel). One thing is as on Intel:
 * SYSRET loads SS with the flat attributes, where AMD keeps those that are there; no system can
 * rely on those, and Linux takes care not to.
 */
public final class FastSystemCall {
  private static final int R11 = 11;

  /** Present, S, code, readable, accessed, with G and L or D. */
  private static final int CODE64 = 0xA09B, CODE32 = 0xC09B;

  /** Present, S, data, writable, accessed, with G and B. */
  private static final int DATA32 = 0xC093;

  private static final int RING3 = 3 << CpuState.ACCESS_DPL_SHIFT;

  /** Flags that SYSRET takes from R11: all but RF, VM and the reserved ones. */
  private static final int RETURNED_FLAGS = 0x3C_7FD7;

  private FastSystemCall() {}

  /**
   * SYSCALL.
   *
   * @param nextRip offset of the next instruction
   */
  public static void syscall(Processor processor, long nextRip) {
    CpuState state = processor.state;
    requireEnabled(processor);
    int selector = (int) (state.star >>> 32) & 0xFFFC;
    if (state.longMode()) {
      boolean from64 = state.code64();
      int flags = state.rflags() & ~RF;
      state.general[RCX] = nextRip;
      state.general[R11] = flags;
      state.setRflags(flags & ~(int) state.syscallMask);
      enter(state, selector, CODE64, selector + 8, 0);
      state.rip = from64 ? state.lstar : state.cstar;
    } else {
      state.general[RCX] = nextRip & 0xFFFF_FFFFL;
      state.systemFlags &= ~(IF | RF | VM);
      enter(state, selector, CODE32, selector + 8, 0);
      state.rip = state.star & 0xFFFF_FFFFL;
    }
    processor.modeChanged();
  }

  /**
   * SYSRET.
   *
   * @param operandBytes 8 to return to 64-bit mode, which only 64-bit mode can; else 4
   */
  public static void sysret(Processor processor, int operandBytes) {
    CpuState state = processor.state;
    requireEnabled(processor);
    SegmentLoader.requireRing0(processor);
    int base = (int) (state.star >>> 48) & 0xFFFC;
    if (state.code64()) {
      state.setRflags((int) state.general[R11] & RETURNED_FLAGS);
      if (operandBytes == 8) {
        state.rip = state.general[RCX];
        enter(state, base + 16 | 3, CODE64 | RING3, base + 8 | 3, 3);
      } else {
        state.rip = state.general[RCX] & 0xFFFF_FFFFL;
        enter(state, base | 3, CODE32 | RING3, base + 8 | 3, 3);
      }
    } else {
      state.systemFlags = (state.systemFlags | IF) & ~(RF | VM);
      state.rip = state.general[RCX] & 0xFFFF_FFFFL;
      enter(state, base | 3, CODE32 | RING3, base + 8 | 3, 3);
    }
    processor.modeChanged();
  }

  /** SYSENTER. */
  public static void sysenter(Processor processor) {
    CpuState state = processor.state;
    requireLegacy(processor);
    int selector = (int) state.sysenterCs & 0xFFFC;
    state.systemFlags &= ~(IF | RF | VM);
    enter(state, selector, CODE32, selector + 8, 0);
    state.rip = state.sysenterEip & 0xFFFF_FFFFL;
    state.general[RSP] = state.sysenterEsp & 0xFFFF_FFFFL;
    processor.modeChanged();
  }

  /** SYSEXIT. */
  public static void sysexit(Processor processor) {
    CpuState state = processor.state;
    requireLegacy(processor);
    SegmentLoader.requireRing0(processor);
    int selector = (int) state.sysenterCs & 0xFFFC;
    enter(state, selector + 16 | 3, CODE32 | RING3, selector + 24 | 3, 3);
    state.rip = state.general[RDX] & 0xFFFF_FFFFL;
    state.general[RSP] = state.general[RCX] & 0xFFFF_FFFFL;
    processor.modeChanged();
  }

  /** SWAPGS. */
  public static void swapgs(Processor processor) {
    CpuState state = processor.state;
    if (!state.code64()) {
      throw processor.invalidOpcode();
    }
    SegmentLoader.requireRing0(processor);
    long base = state.segmentBase[GS];
    state.segmentBase[GS] = state.kernelGsBase;
    state.kernelGsBase = base;
  }

  private static void requireEnabled(Processor processor) {
    CpuState state = processor.state;
    if ((state.efer & CpuState.EFER_SCE) == 0 || !state.protectedMode() || state.virtual8086()) {
      throw processor.invalidOpcode();
    }
  }

  private static void requireLegacy(Processor processor) {
    CpuState state = processor.state;
    if (state.longMode()) {
      throw processor.invalidOpcode();
    }
    if (!state.protectedMode() || (state.sysenterCs & 0xFFFC) == 0) {
      throw processor.generalProtection(0);
    }
  }

  private static void enter(
      CpuState state, int codeSelector, int codeAccess, int stackSelector, int privilege) {
    state.segmentSelector[CS] = codeSelector & 0xFFFF;
    state.segmentBase[CS] = 0;
    state.segmentLimit[CS] = 0xFFFF_FFFFL;
    state.segmentAccess[CS] = codeAccess;
    state.segmentSelector[SS] = stackSelector & 0xFFFF;
    state.segmentBase[SS] = 0;
    state.segmentLimit[SS] = 0xFFFF_FFFFL;
    state.segmentAccess[SS] = DATA32 | privilege << CpuState.ACCESS_DPL_SHIFT;
    state.privilege = privilege;
  }
}
