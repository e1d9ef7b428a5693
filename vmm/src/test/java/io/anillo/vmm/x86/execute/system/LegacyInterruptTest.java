package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.AC;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TF;
import static io.anillo.vmm.cpu.CpuState.TR;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_TSS;
import static io.anillo.vmm.x86.execute.GuestFault.PAGE_FAULT;
import static io.anillo.vmm.x86.execute.GuestFault.SEGMENT_NOT_PRESENT;
import static io.anillo.vmm.x86.execute.GuestFault.STACK_FAULT;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.execute.GuestFault;
import org.junit.jupiter.api.Test;

class LegacyInterruptTest {

  private static void interrupt(Guest guest) {
    InterruptDelivery.software(guest.processor, 0x40, 0x1002);
  }

  @Test
  void interruptGateFromUserMode() {
    Guest guest = Guest.protected32(3);
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0xEE);
    guest.state.setRflags(IF | TF);
    interrupt(guest);
    assertThat(guest.state.rip).isEqualTo(Guest.HANDLER);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(Guest.CODE0);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(Guest.DATA0);
    assertThat(guest.stack(4, 5))
        .containsExactly(0x1002, Guest.CODE3, IF | TF | 2, Guest.STACK3, Guest.DATA3);
    assertThat(guest.state.rflags()).isEqualTo(2);
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK0 - 20);
  }

  @Test
  void sixteenBitTrapGateAtTheSameLevel() {
    Guest guest = Guest.protected32(0);
    guest.gate32(0x40, Guest.CODE0, 0x9999_1234L, 0x87);
    guest.state.setRflags(IF);
    interrupt(guest);
    assertThat(guest.state.rip).isEqualTo(0x1234);
    assertThat(guest.stack(2, 3)).containsExactly(0x1002, Guest.CODE0, IF | 2);
    assertThat(guest.state.rflags()).isEqualTo(IF | 2);
  }

  @Test
  void exceptionPushesItsErrorCodeAndResumeFlag() {
    Guest guest = Guest.protected32(3);
    guest.gate32(13, Guest.CODE0, Guest.HANDLER, 0x8E);
    guest.state.rip = 0x5555;
    assertThat(InterruptDelivery.exception(guest.processor, GENERAL_PROTECTION, 0x1234)).isTrue();
    assertThat(guest.stack(4, 4)).containsExactly(0x1234, 0x5555, Guest.CODE3, RF | 2);
  }

  @Test
  void externalInterruptThirteenPushesNoErrorCode() {
    Guest guest = Guest.protected32(0);
    guest.gate32(13, Guest.CODE0, Guest.HANDLER, 0x8E);
    assertThat(InterruptDelivery.interrupt(guest.processor, 13)).isTrue();
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK0 - 12);
  }

  @Test
  void gateErrors() {
    Guest guest = Guest.protected32(3);
    int error = 0x40 * 8 + 2;
    guest.assertFault(GENERAL_PROTECTION, error, () -> interrupt(guest));
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0x8E);
    guest.assertFault(GENERAL_PROTECTION, error, () -> interrupt(guest));
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0x6E);
    guest.assertFault(SEGMENT_NOT_PRESENT, error, () -> interrupt(guest));
    guest.gate32(0x40, Guest.DATA0, Guest.HANDLER, 0xEE);
    guest.assertFault(GENERAL_PROTECTION, Guest.DATA0, () -> interrupt(guest));
    guest.gate32(0x40, 3, Guest.HANDLER, 0xEE);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> interrupt(guest));
    guest.gate32(0x40, 0x1008, Guest.HANDLER, 0xEE);
    guest.assertFault(GENERAL_PROTECTION, 0x1008, () -> interrupt(guest));
    guest.descriptor(Guest.FREE, 0, 0xFFFFF, Guest.FLAT | 0x1A);
    guest.gate32(0x40, Guest.FREE, Guest.HANDLER, 0xEE);
    guest.assertFault(SEGMENT_NOT_PRESENT, Guest.FREE, () -> interrupt(guest));
    guest.descriptor(Guest.FREE, 0, 0xFFF, 0x409A);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> interrupt(guest));
  }

  @Test
  void handlerOfAnOuterLevelIsRefused() {
    Guest guest = Guest.protected32(0);
    guest.gate32(0x40, Guest.CODE3, Guest.HANDLER, 0xEE);
    guest.assertFault(GENERAL_PROTECTION, Guest.CODE3 & ~3, () -> interrupt(guest));
  }

  @Test
  void innerStackErrors() {
    Guest guest = Guest.protected32(3);
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0xEE);
    guest.write(TestProcessor.TSS + 8, 4, 0);
    guest.assertFault(INVALID_TSS, 0, () -> interrupt(guest));
    guest.write(TestProcessor.TSS + 8, 4, Guest.DATA3);
    guest.assertFault(INVALID_TSS, Guest.DATA3 & ~3, () -> interrupt(guest));
    guest.write(TestProcessor.TSS + 8, 4, Guest.READ_ONLY0);
    guest.assertFault(INVALID_TSS, Guest.READ_ONLY0, () -> interrupt(guest));
    guest.descriptor(Guest.FREE, 0, 0xFFFFF, Guest.FLAT | 0x12);
    guest.write(TestProcessor.TSS + 8, 4, Guest.FREE);
    guest.assertFault(STACK_FAULT, Guest.FREE, () -> interrupt(guest));
    guest.descriptor(Guest.FREE, 0, 0x7FF0, 0x4092);
    guest.assertFault(STACK_FAULT, Guest.FREE, () -> interrupt(guest));
    guest.state.segmentLimit[TR] = 8;
    guest.assertFault(INVALID_TSS, Guest.TSS_SELECTOR, () -> interrupt(guest));
  }

  @Test
  void faultsWhileDeliveringAnExternalInterruptHaveTheExternalBit() {
    Guest guest = Guest.protected32(3);
    guest.gate32(13, Guest.CODE0, Guest.HANDLER, 0x8E);
    assertThat(InterruptDelivery.interrupt(guest.processor, 0x50)).isTrue();
    assertThat(guest.stack(4, 1)).containsExactly(0x50 * 8 + 3);
  }

  @Test
  void noRoomOnTheCurrentStack() {
    Guest guest = Guest.protected32(0);
    guest.descriptor(Guest.FREE, 0, 0x7FFF, 0x4092);
    SegmentLoader.load(guest.processor, SS, Guest.FREE);
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0x8E);
    guest.state.general[RSP] = 8;
    guest.assertFault(STACK_FAULT, 0, () -> interrupt(guest));
  }

  @Test
  void stackPageThatIsReadOnlyFaultsBeforeAnyWrite() {
    Guest guest = Guest.protected32(0);
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0x8E);
    guest.state.general[RSP] = 0x8008;
    guest.write(0x8004, 4, 0x7777);
    guest.processor.readOnlyPages.add(7L);
    guest.assertFault(PAGE_FAULT, 3, () -> interrupt(guest));
    assertThat(guest.read(0x8004, 4)).isEqualTo(0x7777);
  }

  @Test
  void generalProtectionWithoutHandlerIsADoubleFaultThenATripleFault() {
    Guest guest = Guest.protected32(0);
    guest.gate32(8, Guest.CODE0, Guest.HANDLER, 0x8E);
    assertThat(InterruptDelivery.exception(guest.processor, GENERAL_PROTECTION, 0x10)).isTrue();
    assertThat(guest.state.rip).isEqualTo(Guest.HANDLER);
    assertThat(guest.stack(4, 1)).containsExactly(0);
    Guest hopeless = Guest.protected32(0);
    assertThat(InterruptDelivery.exception(hopeless.processor, GENERAL_PROTECTION, 0)).isFalse();
  }

  @Test
  void realModeUsesTheVectorTable() {
    Guest guest = Guest.real();
    guest.write(0x21 * 4, 4, 0xF000_1234L);
    guest.state.setRflags(IF | TF | AC | 1);
    InterruptDelivery.software(guest.processor, 0x21, 0x12);
    assertThat(guest.state.rip).isEqualTo(0x1234);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0xF0000);
    assertThat(guest.stack(2, 3)).containsExactly(0x12, 0x100, IF | TF | 3);
    assertThat(guest.state.rflags()).isEqualTo(3);
  }

  @Test
  void realModeExceptionPushesNoErrorCode() {
    Guest guest = Guest.real();
    guest.write(13 * 4, 4, 0x0200_0055L);
    assertThat(InterruptDelivery.exception(guest.processor, GENERAL_PROTECTION, 0)).isTrue();
    assertThat(guest.state.general[RSP]).isEqualTo(0x8000 - 6);
    guest.state.idtLimit = 8 * 4 + 3;
    guest.write(8 * 4, 4, 0x0300_0066L);
    assertThat(InterruptDelivery.exception(guest.processor, GENERAL_PROTECTION, 0)).isTrue();
    assertThat(guest.state.rip).isEqualTo(0x66);
    guest.state.idtLimit = 3;
    assertThat(InterruptDelivery.exception(guest.processor, GuestFault.INVALID_OPCODE, 0))
        .isFalse();
  }

  @Test
  void realModeStackWrapsWithinItsSegment() {
    Guest guest = Guest.real();
    guest.state.general[RSP] = 2;
    guest.write(0x21 * 4, 4, 0x1234);
    InterruptDelivery.software(guest.processor, 0x21, 0x12);
    assertThat(guest.state.general[RSP]).isEqualTo(0xFFFC);
    assertThat(guest.read(0xFFFC, 2)).isEqualTo(0x12);
    guest.state.general[RSP] = 1;
    guest.assertFault(
        STACK_FAULT, 0, () -> InterruptDelivery.software(guest.processor, 0x21, 0x12));
  }
}
