package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.system.DebugRegisters;
import java.util.Arrays;

/** What RESET, INIT and a start-up IPI make of the state (Intel SDM vol. 3A §9.1, table 9-1). */
public final class CpuReset {
  private static final int DATA = CpuState.ACCESS_PRESENT | CpuState.ACCESS_S | 3;

  private CpuReset() {}

  public static void reset(CpuState state, boolean bootProcessor) {
    init(state, bootProcessor);
    state.cr0 = CpuState.CR0_CD | CpuState.CR0_NW | CpuState.CR0_ET;
    state.mxcsr = 0x1F80;
    Arrays.fill(state.xmm, 0);
    Arrays.fill(state.x87Significand, 0);
    Arrays.fill(state.x87SignExponent, 0);
    state.x87Control = 0x40;
    state.x87Status = 0;
    state.x87Top = 0;
    state.x87Valid = 0xFF;
    state.xcr0 = 1;
    state.tscOffset = 0;
    state.tscAdjust = 0;
    state.tscAux = 0;
    state.star = 0;
    state.lstar = 0;
    state.cstar = 0;
    state.syscallMask = 0;
    state.kernelGsBase = 0;
    state.sysenterCs = 0;
    state.sysenterEsp = 0;
    state.sysenterEip = 0;
    state.pat = 0x0007040600070406L;
    state.miscEnable = 1;
    Arrays.fill(state.mtrr, 0);
    state.instructions = 0;
    state.paravirtual.reset();
  }

  /** INIT leaves the floating-point state and the MSRs alone. */
  public static void init(CpuState state, boolean bootProcessor) {
    Arrays.fill(state.general, 0);
    state.general[CpuState.RDX] = 0x00A1_0F11;
    state.setRflags(2);
    state.rip = 0xFFF0;
    for (int segment = CpuState.ES; segment <= CpuState.TR; segment++) {
      state.segmentSelector[segment] = 0;
      state.segmentBase[segment] = 0;
      state.segmentLimit[segment] = 0xFFFF;
      state.segmentAccess[segment] = DATA;
    }
    state.segmentSelector[CpuState.CS] = 0xF000;
    state.segmentBase[CpuState.CS] = 0xFFFF_0000L;
    state.segmentAccess[CpuState.CS] = DATA | 8;
    state.segmentAccess[CpuState.LDTR] = CpuState.ACCESS_PRESENT | 2;
    state.segmentAccess[CpuState.TR] = CpuState.ACCESS_PRESENT | 11;
    state.privilege = 0;
    state.gdtBase = 0;
    state.gdtLimit = 0xFFFF;
    state.idtBase = 0;
    state.idtLimit = 0xFFFF;
    state.cr0 = state.cr0 & (CpuState.CR0_CD | CpuState.CR0_NW) | CpuState.CR0_ET;
    state.cr2 = 0;
    state.cr3 = 0;
    state.cr4 = 0;
    state.efer = 0;
    Arrays.fill(state.debug, 0);
    state.debug[6] = DebugRegisters.STATUS_RESET;
    state.debug[7] = DebugRegisters.CONTROL_RESET;
    Arrays.fill(state.pdptes, 0);
    state.interruptShadow = false;
    state.stackShadow = false;
    state.nmiBlocked = false;
    state.nmiPending = false;
    state.pendingDebug = 0;
    state.halted = false;
    // The interface's pages belong to what ran before.
    state.paravirtual.reset();
    state.waitingForStartup = !bootProcessor;
  }

  /** A start-up IPI: execution begins in real mode at {@code vector << 12}. */
  public static void startup(CpuState state, int vector) {
    state.waitingForStartup = false;
    state.segmentSelector[CpuState.CS] = vector << 8;
    state.segmentBase[CpuState.CS] = (long) vector << 12;
    state.rip = 0;
  }
}
