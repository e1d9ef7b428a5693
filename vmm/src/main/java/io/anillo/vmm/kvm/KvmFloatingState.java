package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuState;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * x87 and SSE state as XSAVE writes it in 64-bit mode (AMD APM vol. 2 §11.5.10). The selectors of
 * the last x87 instruction and operand are not in that format and stay what they are.
 */
final class KvmFloatingState {
  static final int BYTES = 4096;
  private static final int COMPONENTS = 512, REGISTERS = 32, XMM = 160;
  private static final int TOP_MASK = 0x3800;
  private static final long X87_AND_SSE = 3;

  private KvmFloatingState() {}

  static void write(CpuState state, MemorySegment area) {
    area.fill((byte) 0);
    area.set(ValueLayout.JAVA_SHORT, 0, (short) state.x87Control);
    area.set(ValueLayout.JAVA_SHORT, 2, (short) (state.x87Status & ~TOP_MASK | state.x87Top << 11));
    area.set(ValueLayout.JAVA_BYTE, 4, (byte) state.x87Valid);
    area.set(ValueLayout.JAVA_SHORT, 6, (short) state.x87Opcode);
    area.set(ValueLayout.JAVA_LONG, 8, state.x87InstructionPointer);
    area.set(ValueLayout.JAVA_LONG, 16, state.x87DataPointer);
    area.set(ValueLayout.JAVA_INT, 24, state.mxcsr);
    for (int i = 0; i < 8; i++) {
      int register = state.x87Top + i & 7;
      area.set(ValueLayout.JAVA_LONG, REGISTERS + 16L * i, state.x87Significand[register]);
      area.set(
          ValueLayout.JAVA_SHORT, REGISTERS + 8 + 16L * i, (short) state.x87SignExponent[register]);
    }
    for (int i = 0; i < state.xmm.length; i++) {
      area.set(ValueLayout.JAVA_LONG, XMM + 8L * i, state.xmm[i]);
    }
    area.set(ValueLayout.JAVA_LONG, COMPONENTS, X87_AND_SSE);
  }

  /** Components that XSAVE left out are in their initial state. */
  static void read(CpuState state, MemorySegment area) {
    long components = area.get(ValueLayout.JAVA_LONG, COMPONENTS);
    boolean x87 = (components & 1) != 0;
    int status = x87 ? area.get(ValueLayout.JAVA_SHORT, 2) & 0xFFFF : 0;
    state.x87Control = x87 ? area.get(ValueLayout.JAVA_SHORT, 0) & 0xFFFF : 0x37F;
    state.x87Status = status & ~TOP_MASK;
    state.x87Top = status >> 11 & 7;
    state.x87Valid = x87 ? area.get(ValueLayout.JAVA_BYTE, 4) & 0xFF : 0;
    state.x87Opcode = x87 ? area.get(ValueLayout.JAVA_SHORT, 6) & 0xFFFF : 0;
    state.x87InstructionPointer = x87 ? area.get(ValueLayout.JAVA_LONG, 8) : 0;
    state.x87DataPointer = x87 ? area.get(ValueLayout.JAVA_LONG, 16) : 0;
    for (int i = 0; i < 8; i++) {
      int register = state.x87Top + i & 7;
      state.x87Significand[register] =
          x87 ? area.get(ValueLayout.JAVA_LONG, REGISTERS + 16L * i) : 0;
      state.x87SignExponent[register] =
          x87 ? area.get(ValueLayout.JAVA_SHORT, REGISTERS + 8 + 16L * i) & 0xFFFF : 0;
    }
    // MXCSR is written with either of SSE and AVX, and always by KVM.
    state.mxcsr = area.get(ValueLayout.JAVA_INT, 24);
    boolean sse = (components & 2) != 0;
    for (int i = 0; i < state.xmm.length; i++) {
      state.xmm[i] = sse ? area.get(ValueLayout.JAVA_LONG, XMM + 8L * i) : 0;
    }
  }
}
