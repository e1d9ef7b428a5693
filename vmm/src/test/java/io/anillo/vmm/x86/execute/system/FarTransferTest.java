package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_TSS;
import static io.anillo.vmm.x86.execute.GuestFault.PAGE_FAULT;
import static io.anillo.vmm.x86.execute.GuestFault.SEGMENT_NOT_PRESENT;
import static io.anillo.vmm.x86.execute.GuestFault.STACK_FAULT;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

class FarTransferTest {

  private static void jump(Guest guest, int selector, long offset) {
    FarTransfer.jump(guest.processor, selector, offset, 0x1007);
  }

  private static void call(Guest guest, int selector) {
    FarTransfer.call(guest.processor, selector, 0x2000, 4, 0x1007);
  }

  private static void callGate(Guest guest, int selector, int parameters, int typeByte) {
    guest.write(
        TestProcessor.GDT + Guest.FREE, 8, Guest.gate(selector, 0x3000, typeByte, parameters));
    guest.write(TestProcessor.GDT + Guest.FREE + 8, 8, 0);
  }

  @Test
  void jumpsFromRealModeToProtectedModeAndOnToLongMode() {
    Guest guest = Guest.real();
    guest.state.gdtBase = TestProcessor.GDT;
    ControlRegisters.write(guest.processor, 0, CpuState.CR0_PE);
    jump(guest, Guest.CODE0, 0x2_0000);
    assertThat(guest.state.segmentLimit[CS]).isEqualTo(0xFFFF_FFFFL);
    assertThat(guest.state.rip).isEqualTo(0x2_0000);
    ControlRegisters.write(guest.processor, 4, CpuState.CR4_PAE);
    ModelSpecificRegisters.write(guest.processor, 0xC000_0080, CpuState.EFER_LME);
    ControlRegisters.write(guest.processor, 0, CpuState.CR0_PE | CpuState.CR0_PG);
    assertThat(guest.state.longMode()).isTrue();
    assertThat(guest.state.code64()).isFalse();
    jump(guest, Guest.CODE64_0, 0x4000);
    assertThat(guest.state.code64()).isTrue();
    // The accessed bit is in the table now.
    assertThat(guest.read(TestProcessor.GDT + Guest.CODE64_0 + 5, 1)).isEqualTo(0x9B);
  }

  @Test
  void jumpErrors() {
    Guest guest = Guest.protected32(3);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> jump(guest, 3, 0));
    guest.assertFault(GENERAL_PROTECTION, 0x1F00, () -> jump(guest, 0x1F03, 0));
    guest.assertFault(GENERAL_PROTECTION, Guest.CODE0, () -> jump(guest, Guest.CODE0, 0));
    guest.assertFault(GENERAL_PROTECTION, Guest.DATA3 & ~3, () -> jump(guest, Guest.DATA3, 0));
    guest.assertFault(
        GENERAL_PROTECTION, Guest.TSS_SELECTOR, () -> jump(guest, Guest.TSS_SELECTOR, 0));
    guest.descriptor(Guest.FREE, 0, 0xFFF, 0x407A);
    guest.assertFault(SEGMENT_NOT_PRESENT, Guest.FREE, () -> jump(guest, Guest.FREE | 3, 0));
    guest.descriptor(Guest.FREE, 0, 0xFFF, 0x40FA);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> jump(guest, Guest.FREE | 3, 0x1000));
  }

  @Test
  void conformingCodeKeepsThePrivilege() {
    Guest guest = Guest.protected32(3);
    jump(guest, Guest.CONFORMING0, 0x5000);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(Guest.CONFORMING0 | 3);
  }

  @Test
  void longModeRefusesCodeThatIsBothLongAndBigAndTargetsThatAreNotCanonical() {
    Guest guest = Guest.long64(0);
    guest.descriptor(Guest.FREE, 0, 0xFFFFF, 0xE09A);
    guest.assertFault(GENERAL_PROTECTION, Guest.FREE, () -> jump(guest, Guest.FREE, 0));
    guest.assertFault(GENERAL_PROTECTION, 0, () -> jump(guest, Guest.CODE64_0, 0x8000_0000_0000L));
    guest.write(TestProcessor.GDT + Guest.FREE, 8, Guest.gate(Guest.TSS_SELECTOR, 0, 0x85, 0));
    guest.assertFault(GENERAL_PROTECTION, Guest.FREE, () -> jump(guest, Guest.FREE, 0));
  }

  @Test
  void directCallPushesTheReturnAddress() {
    Guest guest = Guest.protected32(0);
    call(guest, Guest.CODE0);
    assertThat(guest.stack(4, 2)).containsExactly(0x1007, Guest.CODE0);
    assertThat(guest.state.rip).isEqualTo(0x2000);
    FarReturn.ret(guest.processor, 4, 0);
    assertThat(guest.state.rip).isEqualTo(0x1007);
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK0);
  }

  @Test
  void realModeCallAndReturn() {
    Guest guest = Guest.real();
    FarTransfer.call(guest.processor, 0x2000, 0x30, 2, 0x15);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0x20000);
    assertThat(guest.stack(2, 2)).containsExactly(0x15, 0x100);
    FarReturn.ret(guest.processor, 2, 2);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0x1000);
    assertThat(guest.state.general[RSP]).isEqualTo(0x8002);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> FarTransfer.call(guest.processor, 0x2000, 0x1_0000, 4, 0x15));
  }

  @Test
  void callGateCopiesParametersToTheInnerStack() {
    Guest guest = Guest.protected32(3);
    callGate(guest, Guest.CODE0, 2, 0xEC);
    guest.push(4, 0xAAAA, 0xBBBB);
    long pointer = guest.state.general[RSP];
    call(guest, Guest.FREE | 3);
    assertThat(guest.state.privilege).isZero();
    assertThat(guest.state.rip).isEqualTo(0x3000);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(Guest.DATA0);
    assertThat(guest.stack(4, 6))
        .containsExactly(0x1007, Guest.CODE3, 0xBBBB, 0xAAAA, pointer, Guest.DATA3);
    FarReturn.ret(guest.processor, 4, 8);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.general[RSP]).isEqualTo(pointer + 8);
  }

  @Test
  void callGateToRingOne() {
    Guest guest = Guest.protected32(3);
    callGate(guest, Guest.CODE1, 0, 0xEC);
    call(guest, Guest.FREE);
    assertThat(guest.state.privilege).isEqualTo(1);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(Guest.CODE1);
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK1 - 16);
  }

  @Test
  void sixteenBitCallGateAtTheSameLevel() {
    Guest guest = Guest.protected32(0);
    callGate(guest, Guest.CODE16_0, 0, 0x84);
    call(guest, Guest.FREE);
    assertThat(guest.stack(2, 2)).containsExactly(0x1007, Guest.CODE0);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0x10000);
  }

  @Test
  void callGateErrors() {
    Guest guest = Guest.protected32(3);
    callGate(guest, Guest.CODE0, 0, 0x8C);
    guest.assertFault(GENERAL_PROTECTION, Guest.FREE, () -> call(guest, Guest.FREE | 3));
    callGate(guest, Guest.CODE0, 0, 0x6C);
    guest.assertFault(SEGMENT_NOT_PRESENT, Guest.FREE, () -> call(guest, Guest.FREE | 3));
    callGate(guest, 0, 0, 0xEC);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> call(guest, Guest.FREE | 3));
    callGate(guest, Guest.DATA0, 0, 0xEC);
    guest.assertFault(GENERAL_PROTECTION, Guest.DATA0, () -> call(guest, Guest.FREE | 3));
    callGate(guest, Guest.CODE0, 0, 0xEC);
    guest.assertFault(GENERAL_PROTECTION, Guest.CODE0, () -> jump(guest, Guest.FREE | 3, 0));
    guest.write(TestProcessor.TSS + 8, 4, Guest.DATA3);
    guest.assertFault(INVALID_TSS, Guest.DATA3 & ~3, () -> call(guest, Guest.FREE | 3));
    guest.write(TestProcessor.TSS + 8, 4, Guest.DATA0);
    guest.processor.absentPages.add(7L);
    guest.assertFault(PAGE_FAULT, 2, () -> call(guest, Guest.FREE | 3));
  }

  @Test
  void parametersThatCannotBeReadFaultBeforeTheInnerStackIsWritten() {
    Guest guest = Guest.protected32(3);
    callGate(guest, Guest.CODE0, 4, 0xEC);
    guest.processor.absentPages.add(Guest.STACK3 >> 12);
    guest.assertFault(PAGE_FAULT, 4, () -> call(guest, Guest.FREE | 3));
    assertThat(guest.read(Guest.STACK0 - 4, 4)).isZero();
  }

  @Test
  void longModeCallGateSwitchesStacksWithoutParameters() {
    Guest guest = Guest.long64(3);
    callGate(guest, Guest.CODE64_0, 0, 0xEC);
    guest.write(TestProcessor.GDT + Guest.FREE + 8, 8, 0xFFFF_8000L);
    FarTransfer.call(guest.processor, Guest.FREE | 3, 0, 8, 0x1007);
    assertThat(guest.state.rip).isEqualTo(0xFFFF_8000_0000_3000L);
    assertThat(guest.stack(8, 4))
        .containsExactly(0x1007, Guest.CODE64_3, Guest.STACK3, Guest.DATA3);
    assertThat(guest.state.segmentSelector[SS]).isZero();
  }

  @Test
  void longModeCallGateNeedsA64BitTargetAndACanonicalStack() {
    Guest guest = Guest.long64(3);
    callGate(guest, Guest.CODE0, 0, 0xEC);
    guest.assertFault(GENERAL_PROTECTION, Guest.CODE0, () -> call(guest, Guest.FREE | 3));
    callGate(guest, Guest.CODE64_0, 0, 0xEC);
    guest.write(TestProcessor.GDT + Guest.FREE + 8, 8, 0x0C00_0000_0000L);
    guest.assertFault(GENERAL_PROTECTION, Guest.FREE, () -> call(guest, Guest.FREE | 3));
    callGate(guest, Guest.CODE64_0, 0, 0xEC);
    guest.write(TestProcessor.TSS + 4, 8, 1L << 47);
    guest.assertFault(STACK_FAULT, 0, () -> call(guest, Guest.FREE | 3));
    callGate(guest, Guest.CODE64_0, 0, 0xE4);
    guest.assertFault(GENERAL_PROTECTION, Guest.FREE, () -> call(guest, Guest.FREE | 3));
  }
}
