package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Whether IN, OUT, INS and OUTS may touch a port: IOPL, then the bitmap in the TSS (Intel SDM vol.
 * 1 §19.5).
 */
public final class PortPermission {
  private static final int BITMAP_BASE_OFFSET = 102;
  private static final int TSS32_TYPE_BIT = 8;

  private PortPermission() {}

  /** Raises #GP(0) when the access is not allowed. */
  public static void check(Processor processor, int port, int sizeBytes) {
    CpuState state = processor.state;
    if (!state.protectedMode()) {
      return;
    }
    int ioPrivilege = (state.systemFlags & CpuState.IOPL) >> 12;
    if (!state.virtual8086() && state.privilege <= ioPrivilege) {
      return;
    }
    long limit = state.segmentLimit[CpuState.TR];
    boolean wideTss = (state.segmentAccess[CpuState.TR] & TSS32_TYPE_BIT) != 0;
    if (!wideTss || limit < BITMAP_BASE_OFFSET + 1) {
      throw processor.generalProtection(0);
    }
    long base = state.segmentBase[CpuState.TR];
    long at = processor.loadSystem(base + BITMAP_BASE_OFFSET, 2) + (port >> 3);
    // Two bytes are read always, so that an access to several ports never needs a third.
    if (at + 1 > limit) {
      throw processor.generalProtection(0);
    }
    long bits = processor.loadSystem(base + at, 2) >>> (port & 7);
    if ((bits & (1L << sizeBytes) - 1) != 0) {
      throw processor.generalProtection(0);
    }
  }
}
