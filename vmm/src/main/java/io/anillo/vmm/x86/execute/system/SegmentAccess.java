package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.ACCESS_BIG;
import static io.anillo.vmm.cpu.CpuState.ACCESS_UNUSABLE;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.SS;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Limit and type checks of data accesses outside 64-bit mode (Intel SDM vol. 3A §5.3, §5.5).
 *
 * <p>Hot in 16-bit and 32-bit guests; {@link #isFlat} tells when the checks cannot fail.
 */
public final class SegmentAccess {
  private static final int CODE = 8, EXPAND_DOWN = 4, WRITABLE_OR_READABLE = 2;

  private SegmentAccess() {}

  /**
   * Checks an access in real, virtual-8086, protected or compatibility mode.
   *
   * @return its linear address
   */
  public static long linear(
      Processor processor, int segment, long offset, int sizeBytes, boolean write) {
    check(processor, segment, offset, sizeBytes, write);
    return processor.state.segmentBase[segment] + offset & 0xFFFF_FFFFL;
  }

  /** Raises #SS(0) for SS and #GP(0) for other segments where an access is not allowed. */
  public static void check(
      Processor processor, int segment, long offset, int sizeBytes, boolean write) {
    CpuState state = processor.state;
    int access = state.segmentAccess[segment];
    long limit = state.segmentLimit[segment];
    long last = offset + sizeBytes - 1;
    boolean allowed;
    if (!state.protectedMode()) {
      // Segments of real mode may be left from protected mode with another limit, not another type.
      allowed = last <= limit;
    } else if ((access & ACCESS_UNUSABLE) != 0) {
      allowed = false;
    } else if ((access & CODE) != 0) {
      // In virtual-8086 mode CS is a writable data segment and does not come here.
      allowed = !write && (access & WRITABLE_OR_READABLE) != 0 && last <= limit;
    } else if (write && (access & WRITABLE_OR_READABLE) == 0) {
      allowed = false;
    } else if ((access & EXPAND_DOWN) != 0) {
      allowed = offset > limit && last <= ((access & ACCESS_BIG) != 0 ? 0xFFFF_FFFFL : 0xFFFF);
    } else {
      allowed = last <= limit;
    }
    if (!allowed) {
      throw segment == SS ? processor.stackFault(0) : processor.generalProtection(0);
    }
  }

  /**
   * Raises #GP(0) when an instruction of {@code sizeBytes} at RIP reaches beyond the limit of CS.
   */
  public static void checkFetch(Processor processor, long offset, int sizeBytes) {
    if (offset + sizeBytes - 1 > processor.state.segmentLimit[CS]) {
      throw processor.generalProtection(0);
    }
  }

  /** Whether a segment is writable data with base 0 over all 4 GiB, so that no check can fail. */
  public static boolean isFlat(CpuState state, int segment) {
    return state.segmentBase[segment] == 0
        && state.segmentLimit[segment] == 0xFFFF_FFFFL
        && (state.segmentAccess[segment]
                & (ACCESS_UNUSABLE | CODE | EXPAND_DOWN | WRITABLE_OR_READABLE))
            == WRITABLE_OR_READABLE;
  }
}
