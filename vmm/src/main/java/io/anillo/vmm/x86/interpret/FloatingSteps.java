package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.simd.SseControl;

/** x87 escapes, FWAIT, and what saves and restores the floating-point state. */
final class FloatingSteps {
  private static final int LEGACY_BYTES = 512;
  private static final int ERROR_SUMMARY = 0x80;
  private static final int MXCSR_OFFSET = 24;
  private static final int XMM_OFFSET = 160;
  private static final int XSTATE_BV_OFFSET = 512;

  private FloatingSteps() {}

  static Step escape(Operands operands) {
    int opcode = operands.instruction().opcode();
    int modrm = operands.instruction().modrm();
    int start = operands.offset();
    boolean operand32 = operands.operandBytes() != 2;
    if (modrm >= 0xC0) {
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.x87.execute(
              opcode, modrm, 0, 0, 0, cpu.general[CpuState.BLOCK_RIP] + start, operand32);
        }
      };
    }
    Address address = operands.address();
    boolean code64 = operands.code64();
    int segment = operands.instruction().segment();
    int bytes = memoryBytes(opcode, modrm >> 3 & 7, operand32);
    boolean write = stores(opcode, modrm >> 3 & 7);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        if ((cpu.state.cr0 & (CpuState.CR0_EM | CpuState.CR0_TS)) != 0) {
          throw cpu.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
        }
        long offset = address.offset(cpu);
        long linear = bytes == 0 ? 0 : address.linear(cpu, bytes, write);
        probe(cpu, linear, bytes, write);
        int selector = code64 ? 0 : cpu.state.segmentSelector[segment];
        cpu.x87.execute(
            opcode,
            modrm,
            linear,
            offset,
            selector,
            cpu.general[CpuState.BLOCK_RIP] + start,
            operand32);
      }
    };
  }

  /**
   * Faults of memory come before what the operation itself may raise, but behind a pending
   * exception.
   */
  private static void probe(InterpretedCpu cpu, long linear, int bytes, boolean write) {
    if ((cpu.state.x87Status & ERROR_SUMMARY) != 0) {
      return;
    }
    if (write) {
      cpu.probeWrite(linear, bytes);
    } else if (bytes > 8) {
      cpu.load8(linear);
      if ((linear & 4095) + bytes > 4096) {
        cpu.load8((linear | 4095) + 1);
      }
    }
  }

  /** Width of an escape's memory operand; 0 for an undefined one. */
  private static int memoryBytes(int opcode, int extension, boolean operand32) {
    return switch (opcode << 4 | extension) {
      case 0xD94, 0xD96 -> operand32 ? 28 : 14;
      case 0xD95, 0xD97, 0xDD7, 0xDF0, 0xDF1, 0xDF2, 0xDF3 -> 2;
      case 0xDD4, 0xDD6 -> operand32 ? 108 : 94;
      case 0xDB5, 0xDB7, 0xDF4, 0xDF6 -> 10;
      case 0xDD0, 0xDD1, 0xDD2, 0xDD3, 0xDF5, 0xDF7 -> 8;
      case 0xD91, 0xDB4, 0xDB6, 0xDD5 -> 0;
      default -> opcode == 0xDC ? 8 : opcode == 0xDE ? 2 : 4;
    };
  }

  private static boolean stores(int opcode, int extension) {
    return switch (opcode) {
      case 0xD9 -> extension == 2 || extension == 3 || extension >= 6;
      case 0xDB -> extension >= 1 && extension <= 3 || extension == 7;
      case 0xDD -> extension >= 1 && extension <= 3 || extension >= 6;
      case 0xDF -> extension >= 1 && extension <= 3 || extension >= 6;
      default -> false;
    };
  }

  static Step waitForUnit() {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.x87.waitForUnit();
      }
    };
  }

  /** FXSAVE. */
  static Step save(Operands operands) {
    Address address = operands.address();
    boolean wide = operands.instruction().rexW();
    boolean code64 = operands.code64();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        checkUsable(cpu);
        long linear = aligned(cpu, address, LEGACY_BYTES, true, 16);
        cpu.probeWrite(linear + LEGACY_BYTES - 1, 1);
        cpu.probeWrite(linear, 1);
        cpu.x87.environment().extendedSave(linear, wide);
        saveMxcsr(cpu, linear);
        saveXmm(cpu, linear, code64);
      }
    };
  }

  /** FXRSTOR. */
  static Step restore(Operands operands) {
    Address address = operands.address();
    boolean wide = operands.instruction().rexW();
    boolean code64 = operands.code64();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        checkUsable(cpu);
        long linear = aligned(cpu, address, LEGACY_BYTES, false, 16);
        cpu.load8(linear + LEGACY_BYTES - 1);
        int mxcsr = checkedMxcsr(cpu, linear);
        cpu.x87.environment().extendedRestore(linear, wide);
        cpu.state.mxcsr = mxcsr;
        restoreXmm(cpu, linear, code64);
      }
    };
  }

  /** XSAVE, standard format (Intel SDM vol. 1 §13.7). */
  static Step extendedSave(Operands operands) {
    Address address = operands.address();
    boolean wide = operands.instruction().rexW();
    boolean code64 = operands.code64();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        checkExtended(cpu);
        long linear = aligned(cpu, address, LEGACY_BYTES + 64, true, 64);
        long requested = requested(cpu);
        cpu.probeWrite(linear, 1);
        cpu.probeWrite(linear + LEGACY_BYTES + 63, 1);
        if ((requested & 1) != 0) {
          cpu.x87.environment().extendedSave(linear, wide);
        }
        if ((requested & 2) != 0) {
          saveMxcsr(cpu, linear);
          saveXmm(cpu, linear, code64);
        }
        long present = cpu.load64(linear + XSTATE_BV_OFFSET);
        cpu.store64(linear + XSTATE_BV_OFFSET, present & ~requested | requested);
      }
    };
  }

  /** XRSTOR, standard format (Intel SDM vol. 1 §13.8). */
  static Step extendedRestore(Operands operands) {
    Address address = operands.address();
    boolean wide = operands.instruction().rexW();
    boolean code64 = operands.code64();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        checkExtended(cpu);
        long linear = aligned(cpu, address, LEGACY_BYTES + 64, false, 64);
        long requested = requested(cpu);
        long present = cpu.load64(linear + XSTATE_BV_OFFSET);
        boolean reserved = (present & ~cpu.state.xcr0) != 0;
        for (int at = 8; at < 24; at += 8) {
          reserved |= cpu.load64(linear + XSTATE_BV_OFFSET + at) != 0;
        }
        if (reserved) {
          throw cpu.generalProtection(0);
        }
        cpu.load8(linear);
        int mxcsr = (requested & 2) != 0 ? checkedMxcsr(cpu, linear) : cpu.state.mxcsr;
        if ((requested & 1) != 0) {
          if ((present & 1) != 0) {
            cpu.x87.environment().extendedRestore(linear, wide);
          } else {
            initializeX87(cpu);
          }
        }
        if ((requested & 2) != 0) {
          cpu.state.mxcsr = mxcsr;
          if ((present & 2) != 0) {
            restoreXmm(cpu, linear, code64);
          } else {
            java.util.Arrays.fill(cpu.state.xmm, 0, code64 ? 32 : 16, 0);
          }
        }
      }
    };
  }

  private static void initializeX87(InterpretedCpu cpu) {
    cpu.x87.unit().initialize();
    java.util.Arrays.fill(cpu.state.x87Significand, 0);
    java.util.Arrays.fill(cpu.state.x87SignExponent, 0);
  }

  static Step loadMxcsr(Operands operands) {
    Place source = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        checkSse(cpu);
        cpu.simd.loadMxcsr((int) source.get(cpu));
      }
    };
  }

  static Step storeMxcsr(Operands operands) {
    Place destination = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        checkSse(cpu);
        destination.set(cpu, cpu.state.mxcsr & 0xFFFF_FFFFL);
      }
    };
  }

  private static long requested(InterpretedCpu cpu) {
    long mask = cpu.general[CpuState.RAX] & 0xFFFF_FFFFL | cpu.general[CpuState.RDX] << 32;
    return mask & cpu.state.xcr0;
  }

  /**
   * The linear address; alignment is checked between the limit of the first byte and that of all.
   */
  private static long aligned(
      InterpretedCpu cpu, Address address, int bytes, boolean write, int alignment) {
    if ((address.linear(cpu, 1, write) & alignment - 1) != 0) {
      throw cpu.generalProtection(0);
    }
    return address.linear(cpu, bytes, write);
  }

  private static void checkUsable(InterpretedCpu cpu) {
    if ((cpu.state.cr0 & (CpuState.CR0_EM | CpuState.CR0_TS)) != 0) {
      throw cpu.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
  }

  private static void checkExtended(InterpretedCpu cpu) {
    if ((cpu.state.cr4 & CpuState.CR4_OSXSAVE) == 0) {
      throw cpu.invalidOpcode();
    }
    if ((cpu.state.cr0 & CpuState.CR0_TS) != 0) {
      throw cpu.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
  }

  private static void checkSse(InterpretedCpu cpu) {
    if ((cpu.state.cr0 & CpuState.CR0_EM) != 0 || (cpu.state.cr4 & CpuState.CR4_OSFXSR) == 0) {
      throw cpu.invalidOpcode();
    }
    if ((cpu.state.cr0 & CpuState.CR0_TS) != 0) {
      throw cpu.fault(GuestFault.DEVICE_NOT_AVAILABLE, 0);
    }
  }

  private static int checkedMxcsr(InterpretedCpu cpu, long linear) {
    int mxcsr = cpu.load32(linear + MXCSR_OFFSET);
    if ((mxcsr & ~SseControl.WRITABLE) != 0) {
      throw cpu.generalProtection(0);
    }
    return mxcsr;
  }

  private static void saveMxcsr(InterpretedCpu cpu, long linear) {
    cpu.store32(linear + MXCSR_OFFSET, cpu.state.mxcsr);
    cpu.store32(linear + MXCSR_OFFSET + 4, SseControl.WRITABLE);
  }

  private static void saveXmm(InterpretedCpu cpu, long linear, boolean code64) {
    for (int i = 0; i < (code64 ? 32 : 16); i++) {
      cpu.store64(linear + XMM_OFFSET + i * 8, cpu.state.xmm[i]);
    }
  }

  private static void restoreXmm(InterpretedCpu cpu, long linear, boolean code64) {
    for (int i = 0; i < (code64 ? 32 : 16); i++) {
      cpu.state.xmm[i] = cpu.load64(linear + XMM_OFFSET + i * 8);
    }
  }
}
