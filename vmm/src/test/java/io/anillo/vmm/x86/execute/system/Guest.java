package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.LDTR;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TR;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;

/** A small system: a GDT with the usual segments, an IDT, a TSS, and ways to enter each mode. */
final class Guest {
  /** Selectors in the GDT. */
  static final int CODE0 = 0x08,
      DATA0 = 0x10,
      CODE3 = 0x18 | 3,
      DATA3 = 0x20 | 3,
      CODE64_0 = 0x28,
      CODE64_3 = 0x30 | 3,
      TSS_SELECTOR = 0x40,
      CONFORMING0 = 0x50,
      CODE16_0 = 0x58,
      DATA16_0 = 0x60,
      CODE1 = 0x68 | 1,
      DATA1 = 0x70 | 1,
      LDT_SELECTOR = 0x78,
      READ_ONLY0 = 0x88,
      EXECUTE_ONLY0 = 0x90,
      EXPAND_DOWN0 = 0x98,
      CONFORMING64_0 = 0xA0,
      FREE = 0x100;

  /** Descriptor access words: type byte in the low byte, flags in bits 12 to 15. */
  static final int FLAT = 0xC000, FLAT64 = 0xA000;

  static final long STACK0 = 0x8000, STACK1 = 0x9000, STACK3 = 0xA000, HANDLER = 0x1234;

  final TestProcessor processor = new TestProcessor();
  final CpuState state = processor.state;

  Guest() {
    descriptor(CODE0, 0, 0xF_FFFF, FLAT | 0x9A);
    descriptor(DATA0, 0, 0xF_FFFF, FLAT | 0x92);
    descriptor(CODE3, 0, 0xF_FFFF, FLAT | 0xFA);
    descriptor(DATA3, 0, 0xF_FFFF, FLAT | 0xF2);
    descriptor(CODE64_0, 0, 0xF_FFFF, FLAT64 | 0x9A);
    descriptor(CODE64_3, 0, 0xF_FFFF, FLAT64 | 0xFA);
    descriptor(CONFORMING0, 0, 0xF_FFFF, FLAT | 0x9E);
    descriptor(CODE16_0, 0x10000, 0xFFFF, 0x9A);
    descriptor(DATA16_0, 0x20000, 0xFFFF, 0x92);
    descriptor(CODE1, 0, 0xF_FFFF, FLAT | 0xBA);
    descriptor(DATA1, 0, 0xF_FFFF, FLAT | 0xB2);
    descriptor(READ_ONLY0, 0, 0xF_FFFF, FLAT | 0x90);
    descriptor(EXECUTE_ONLY0, 0, 0xF_FFFF, FLAT | 0x98);
    descriptor(EXPAND_DOWN0, 0, 0xFFF, 0x4000 | 0x96);
    descriptor(CONFORMING64_0, 0, 0xF_FFFF, FLAT64 | 0x9E);
    descriptor(LDT_SELECTOR, TestProcessor.LDT, 0xFF, 0x82);
    write(TestProcessor.GDT + LDT_SELECTOR + 8, 8, 0);
    descriptor(TSS_SELECTOR, TestProcessor.TSS, 0x67, 0x89);
    write(TestProcessor.GDT + TSS_SELECTOR + 8, 8, 0);
  }

  static Guest real() {
    Guest guest = new Guest();
    for (int segment = 0; segment < 6; segment++) {
      SegmentLoader.loadReal(guest.state, segment, 0);
    }
    CodeSegment.loadReal(guest.state, 0x100);
    guest.state.idtBase = 0;
    guest.state.idtLimit = 0x3FF;
    guest.state.rip = 0x10;
    guest.state.general[RSP] = 0x8000;
    return guest;
  }

  /** 32-bit protected mode at a privilege level of 0, 1 or 3. */
  static Guest protected32(int privilege) {
    Guest guest = new Guest();
    guest.state.cr0 |= CpuState.CR0_PE;
    guest.write(TestProcessor.TSS + 4, 4, STACK0);
    guest.write(TestProcessor.TSS + 8, 4, DATA0);
    guest.write(TestProcessor.TSS + 12, 4, STACK1);
    guest.write(TestProcessor.TSS + 16, 4, DATA1);
    SegmentLoader.loadTaskRegister(guest.processor, TSS_SELECTOR);
    guest.enter(
        privilege,
        privilege == 0 ? CODE0 : privilege == 1 ? CODE1 : CODE3,
        privilege == 0 ? DATA0 : privilege == 1 ? DATA1 : DATA3);
    return guest;
  }

  /** 64-bit mode at privilege 0 or 3. */
  static Guest long64(int privilege) {
    Guest guest = longMode();
    guest.enter(privilege, privilege == 0 ? CODE64_0 : CODE64_3, privilege == 0 ? DATA0 : DATA3);
    return guest;
  }

  /** Compatibility mode, 32 bits, at privilege 3. */
  static Guest compatibility() {
    Guest guest = longMode();
    guest.enter(3, CODE3, DATA3);
    return guest;
  }

  private static Guest longMode() {
    Guest guest = new Guest();
    guest.state.cr4 = CpuState.CR4_PAE;
    guest.state.efer = CpuState.EFER_LME | CpuState.EFER_LMA | CpuState.EFER_SCE;
    guest.state.cr0 |= CpuState.CR0_PE | CpuState.CR0_PG;
    guest.write(TestProcessor.TSS + 4, 8, STACK0);
    guest.write(TestProcessor.TSS + 36, 8, 0xB000); // interrupt stack 1
    SegmentLoader.loadTaskRegister(guest.processor, TSS_SELECTOR);
    return guest;
  }

  private void enter(int privilege, int code, int data) {
    long codeDescriptor = read(TestProcessor.GDT + (code & ~7), 8);
    CodeSegment.enter(processor, code, codeDescriptor, privilege, 0x1000);
    SegmentLoader.load(processor, SS, data);
    SegmentLoader.load(processor, DS, data);
    SegmentLoader.load(processor, ES, data);
    state.general[RSP] = privilege == 0 ? STACK0 : privilege == 1 ? STACK1 : STACK3;
    processor.told.clear();
  }

  /**
   * Writes a descriptor to the GDT.
   *
   * @param limit 20 bits, as in the descriptor
   * @param access type byte, and flags in bits 12 to 15
   */
  void descriptor(int selector, long base, long limit, int access) {
    long value =
        limit & 0xFFFF
            | (base & 0xFF_FFFF) << 16
            | (long) (access & 0xF0FF) << 40
            | (limit & 0xF_0000) << 32
            | (base & 0xFF00_0000L) << 32;
    write(TestProcessor.GDT + (selector & ~7), 8, value);
  }

  /** The bytes of a gate: type byte 0x8E and the like, word count or stack index in {@code low}. */
  static long gate(int selector, long offset, int typeByte, int low) {
    return offset & 0xFFFF
        | (long) selector << 16
        | (long) low << 32
        | (long) typeByte << 40
        | (offset & 0xFFFF_0000L) << 32;
  }

  void gate32(int vector, int selector, long offset, int typeByte) {
    write(TestProcessor.IDT + vector * 8L, 8, gate(selector, offset, typeByte, 0));
  }

  void gate64(int vector, int selector, long offset, int typeByte, int stackIndex) {
    write(TestProcessor.IDT + vector * 16L, 8, gate(selector, offset, typeByte, stackIndex));
    write(TestProcessor.IDT + vector * 16L + 8, 8, offset >>> 32);
  }

  void write(long at, int sizeBytes, long value) {
    processor.storeSystem(at, sizeBytes, value);
  }

  long read(long at, int sizeBytes) {
    return processor.loadSystem(at, sizeBytes);
  }

  /** The values at the top of the stack, lowest address first. */
  long[] stack(int bytes, int count) {
    long base = state.code64() ? 0 : state.segmentBase[SS];
    long[] values = new long[count];
    for (int i = 0; i < count; i++) {
      values[i] = read(base + state.general[RSP] + (long) i * bytes, bytes);
    }
    return values;
  }

  void push(int bytes, long... values) {
    for (long value : values) {
      state.general[RSP] -= bytes;
      write((state.code64() ? 0 : state.segmentBase[SS]) + state.general[RSP], bytes, value);
    }
  }

  /** Asserts that an action raises an exception and changes no register. */
  void assertFault(int vector, int errorCode, Runnable action) {
    String before = registers();
    GuestFault fault = assertThrows(GuestFault.class, action::run);
    assertThat(fault.vector).as("vector").isEqualTo(vector);
    assertThat(fault.errorCode).as("error code").isEqualTo(errorCode);
    assertThat(registers()).as("registers").isEqualTo(before);
  }

  /** What a transfer can change, in words. */
  String registers() {
    StringBuilder text = new StringBuilder();
    text.append(Long.toHexString(state.rip)).append(' ').append(state.rflags());
    text.append(' ').append(state.privilege).append(' ').append(Long.toHexString(state.efer));
    for (int i = 0; i < 16; i++) {
      text.append(' ').append(Long.toHexString(state.general[i]));
    }
    for (int segment : new int[] {ES, CS, SS, DS, CpuState.FS, CpuState.GS, LDTR, TR}) {
      text.append(
          String.format(
              " %x:%x:%x:%x",
              state.segmentSelector[segment],
              state.segmentBase[segment],
              state.segmentLimit[segment],
              state.segmentAccess[segment]));
    }
    text.append(' ').append(state.cr0).append(' ').append(state.cr3).append(' ').append(state.cr4);
    return text.toString();
  }
}
