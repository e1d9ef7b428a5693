package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * Debug registers: MOV to and from them, and which breakpoints match (Intel SDM vol. 3B §17.2).
 *
 * <p>The processor's loop keeps out of here while {@link #anyEnabled} is false.
 */
public final class DebugRegisters {
  /** DR6 bits: a debug register access under DR7.GD, single-step, task switch. */
  public static final long ACCESS_DETECTED = 1 << 13, SINGLE_STEP = 1 << 14, TASK_SWITCH = 1 << 15;

  /** DR7.GD. */
  public static final long GENERAL_DETECT = 1 << 13;

  /** DR6 after reset; its reserved bits read as one. */
  public static final long STATUS_RESET = 0xFFFF_0FF0L;

  /** DR7 after reset. */
  public static final long CONTROL_RESET = 0x400;

  private static final long STATUS_WRITABLE = 0xE00F;
  private static final long CONTROL_WRITABLE = 0xFFFF_23FFL;
  private static final int EXECUTE = 0, WRITE = 1, PORT = 2;

  private DebugRegisters() {}

  /** MOV from a debug register. */
  public static long read(Processor processor, int register) {
    return processor.state.debug[check(processor, register)];
  }

  /** MOV to a debug register; 32 bits outside 64-bit mode, zero-extended by the caller. */
  public static void write(Processor processor, int register, long value) {
    int index = check(processor, register);
    CpuState state = processor.state;
    if (index >= 6) {
      if (value >>> 32 != 0) {
        throw processor.generalProtection(0);
      }
      state.debug[index] =
          index == 6
              ? value & STATUS_WRITABLE | STATUS_RESET
              : value & CONTROL_WRITABLE | CONTROL_RESET;
      processor.modeChanged();
      return;
    }
    if (state.code64() && !DescriptorTables.isCanonical(value)) {
      throw processor.generalProtection(0);
    }
    state.debug[index] = value;
    processor.modeChanged();
  }

  /** The register's index after aliasing DR4 and DR5; raises what MOV raises. */
  private static int check(Processor processor, int register) {
    CpuState state = processor.state;
    if (register > 7 || (register == 4 || register == 5) && (state.cr4 & CpuState.CR4_DE) != 0) {
      throw processor.invalidOpcode();
    }
    SegmentLoader.requireRing0(processor);
    if ((state.debug[7] & GENERAL_DETECT) != 0) {
      state.debug[6] |= ACCESS_DETECTED;
      throw processor.fault(GuestFault.DEBUG, 0);
    }
    return register == 4 || register == 5 ? register + 2 : register;
  }

  /** Whether any breakpoint is enabled, globally or locally. */
  public static boolean anyEnabled(CpuState state) {
    return (state.debug[7] & 0xFF) != 0;
  }

  /** Adds conditions to DR6; breakpoint bits of a new event replace those of the last. */
  public static void raise(CpuState state, long conditions) {
    state.debug[6] = (state.debug[6] & ~0xFL | STATUS_RESET) | conditions;
  }

  /** DR6 bits of the code breakpoints at a linear address; call only while RFLAGS.RF is clear. */
  public static long matchCode(CpuState state, long linear) {
    return match(state, linear, 1, true, false, false);
  }

  /** DR6 bits of the data breakpoints that an access touches. */
  public static long matchData(CpuState state, long linear, int sizeBytes, boolean write) {
    return match(state, linear, sizeBytes, false, write, false);
  }

  /** DR6 bits of the port breakpoints that an IN or OUT touches; none unless CR4.DE is set. */
  public static long matchPort(CpuState state, int port, int sizeBytes) {
    if ((state.cr4 & CpuState.CR4_DE) == 0) {
      return 0;
    }
    return match(state, port, sizeBytes, false, false, true);
  }

  private static long match(
      CpuState state, long address, int sizeBytes, boolean code, boolean write, boolean port) {
    long control = state.debug[7];
    long conditions = 0;
    for (int i = 0; i < 4; i++) {
      if ((control >>> (2 * i) & 3) == 0) {
        continue;
      }
      int kind = (int) (control >>> (16 + 4 * i)) & 3;
      boolean wanted =
          switch (kind) {
            case EXECUTE -> code;
            case WRITE -> write;
            case PORT -> port;
            default -> !code && !port;
          };
      if (wanted) {
        // Lengths 1, 2, 8 and 4 bytes; the address is taken as aligned to the length.
        int encoded = (int) (control >>> (18 + 4 * i)) & 3;
        int length = code ? 1 : encoded == 2 ? 8 : encoded + 1;
        long start = state.debug[i] & -(long) length;
        if (address < start + length && start < address + sizeBytes) {
          conditions |= 1L << i;
        }
      }
    }
    return conditions;
  }
}
