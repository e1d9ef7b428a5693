package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TF;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_TSS;
import static io.anillo.vmm.x86.execute.GuestFault.PAGE_FAULT;
import static io.anillo.vmm.x86.execute.GuestFault.SEGMENT_NOT_PRESENT;
import static io.anillo.vmm.x86.execute.GuestFault.STACK_FAULT;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.execute.GuestFault;
import org.junit.jupiter.api.Test;

class LongModeInterruptTest {
  private static final long HANDLER = 0xFFFF_8000_1234_5678L;

  @Test
  void interruptFromUserModeSwitchesToTheStackOfTheTss() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x40, Guest.CODE64_0, HANDLER, 0x8E, 0);
    guest.state.setRflags(IF | TF | 0x202 | 1);
    guest.state.rip = 0x40_1000;
    guest.state.general[RSP] = 0x7FFF_1234L;
    assertThat(InterruptDelivery.interrupt(guest.processor, 0x40)).isTrue();
    assertThat(guest.state.rip).isEqualTo(HANDLER);
    assertThat(guest.state.privilege).isZero();
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(Guest.CODE64_0);
    assertThat(guest.state.segmentSelector[SS]).isZero();
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK0 - 40);
    assertThat(guest.stack(8, 5))
        .containsExactly(0x40_1000, Guest.CODE64_3, 0x303, 0x7FFF_1234L, Guest.DATA3);
    assertThat(guest.state.rflags() & (IF | TF)).isZero();
    assertThat(guest.processor.told).contains("mode");
  }

  @Test
  void trapGateLeavesInterruptsOn() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x40, Guest.CODE64_0, HANDLER, 0x8F, 0);
    guest.state.setRflags(IF);
    InterruptDelivery.interrupt(guest.processor, 0x40);
    assertThat(guest.state.rflags() & IF).isEqualTo(IF);
  }

  @Test
  void exceptionAtTheSameLevelAlignsTheStackAndPushesItsErrorCode() {
    Guest guest = Guest.long64(0);
    guest.gate64(13, Guest.CODE64_0, HANDLER, 0x8E, 0);
    guest.state.general[RSP] = 0x8009;
    guest.state.rip = 0x1111;
    assertThat(InterruptDelivery.exception(guest.processor, GENERAL_PROTECTION, 0x18)).isTrue();
    assertThat(guest.state.general[RSP]).isEqualTo(0x8000 - 48);
    assertThat(guest.stack(8, 6))
        .containsExactly(0x18, 0x1111, Guest.CODE64_0, 2 | RF, 0x8009, Guest.DATA0);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(Guest.DATA0);
  }

  @Test
  void interruptStackIsTakenAtEveryLevel() {
    Guest guest = Guest.long64(0);
    guest.gate64(2, Guest.CODE64_0, HANDLER, 0x8E, 1);
    assertThat(InterruptDelivery.nonMaskable(guest.processor)).isTrue();
    assertThat(guest.state.general[RSP]).isEqualTo(0xB000 - 40);
    assertThat(guest.state.nmiBlocked).isTrue();
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(Guest.DATA0);
  }

  @Test
  void compatibilityModeEntersThroughThe64BitGate() {
    Guest guest = Guest.compatibility();
    guest.gate64(0x80, Guest.CODE64_0, HANDLER, 0xEE, 0);
    InterruptDelivery.software(guest.processor, 0x80, 0x1002);
    assertThat(guest.state.code64()).isTrue();
    assertThat(guest.stack(8, 5))
        .containsExactly(0x1002, Guest.CODE3, 2, Guest.STACK3, Guest.DATA3);
  }

  @Test
  void softwareInterruptNeedsThePrivilegeOfTheGate() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x21, Guest.CODE64_0, HANDLER, 0x8E, 0);
    guest.assertFault(
        GENERAL_PROTECTION,
        0x21 * 8 + 2,
        () -> InterruptDelivery.software(guest.processor, 0x21, 0x1002));
  }

  @Test
  void softwareInterruptFaultsCarryNoExternalBit() {
    Guest guest = Guest.long64(0);
    guest.gate64(0x21, Guest.CODE64_0, HANDLER, 0x0E, 0);
    guest.assertFault(
        SEGMENT_NOT_PRESENT,
        0x21 * 8 + 2,
        () -> InterruptDelivery.software(guest.processor, 0x21, 2));
    guest.gate64(0x21, 0, HANDLER, 0x8E, 0);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> InterruptDelivery.software(guest.processor, 0x21, 2));
    guest.gate64(0x21, Guest.CODE0, HANDLER, 0x8E, 0);
    guest.assertFault(
        GENERAL_PROTECTION,
        Guest.CODE0,
        () -> InterruptDelivery.software(guest.processor, 0x21, 2));
    guest.gate64(0x21, Guest.CODE64_0, HANDLER, 0x8C, 0);
    guest.assertFault(
        GENERAL_PROTECTION,
        0x21 * 8 + 2,
        () -> InterruptDelivery.software(guest.processor, 0x21, 2));
    guest.state.idtLimit = 0x21 * 16 + 14;
    guest.assertFault(
        GENERAL_PROTECTION,
        0x21 * 8 + 2,
        () -> InterruptDelivery.software(guest.processor, 0x21, 2));
  }

  @Test
  void handlerAddressAndStackHaveToBeCanonical() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x21, Guest.CODE64_0, 0x8000_0000_0000L, 0xEE, 0);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> InterruptDelivery.software(guest.processor, 0x21, 2));
    guest.gate64(0x21, Guest.CODE64_0, HANDLER, 0xEE, 0);
    guest.write(TestProcessor.TSS + 4, 8, 0x8000_0000_0000_0000L);
    guest.assertFault(STACK_FAULT, 0, () -> InterruptDelivery.software(guest.processor, 0x21, 2));
    guest.state.segmentLimit[io.anillo.vmm.cpu.CpuState.TR] = 10;
    guest.assertFault(
        INVALID_TSS,
        Guest.TSS_SELECTOR,
        () -> InterruptDelivery.software(guest.processor, 0x21, 2));
  }

  @Test
  void faultInDeliveryChangesNothingAndIsDeliveredInstead() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x40, Guest.CODE64_0, HANDLER, 0x8E, 1);
    guest.gate64(14, Guest.CODE64_0, HANDLER + 14, 0x8E, 0);
    guest.processor.absentPages.add(0xAL);
    guest.state.general[RSP] = 0x7000;
    guest.state.rip = 0x4000;
    assertThat(InterruptDelivery.interrupt(guest.processor, 0x40)).isTrue();
    assertThat(guest.state.rip).isEqualTo(HANDLER + 14);
    assertThat(guest.state.cr2).isEqualTo(0xB000 - 8);
    assertThat(guest.stack(8, 6))
        .containsExactly(2, 0x4000, Guest.CODE64_3, 2 | RF, 0x7000, Guest.DATA3);
  }

  @Test
  void contributoryPairsBecomeDoubleFaults() {
    int[] contributory = {0, 10, 11, 12, 13};
    for (int first : contributory) {
      for (int second : contributory) {
        assertThat(InterruptDelivery.combine(first, second)).isEqualTo(8);
      }
      assertThat(InterruptDelivery.combine(first, 14)).isEqualTo(14);
      assertThat(InterruptDelivery.combine(14, first)).isEqualTo(8);
      assertThat(InterruptDelivery.combine(1, first)).isEqualTo(first);
      assertThat(InterruptDelivery.combine(first, 17)).isEqualTo(17);
    }
    assertThat(InterruptDelivery.combine(14, 14)).isEqualTo(8);
    assertThat(InterruptDelivery.combine(6, 14)).isEqualTo(14);
  }

  @Test
  void pageFaultInPageFaultDeliveryIsADoubleFaultWithCodeZero() {
    Guest guest = Guest.long64(3);
    guest.gate64(14, Guest.CODE64_0, HANDLER, 0x8E, 0);
    guest.gate64(8, Guest.CODE64_0, HANDLER + 8, 0x8E, 1);
    guest.processor.absentPages.add(7L);
    assertThat(InterruptDelivery.exception(guest.processor, PAGE_FAULT, 6)).isTrue();
    assertThat(guest.state.rip).isEqualTo(HANDLER + 8);
    assertThat(guest.stack(8, 1)).containsExactly(0);
  }

  @Test
  void faultInDoubleFaultDeliveryIsATripleFault() {
    Guest guest = Guest.long64(3);
    guest.state.idtLimit = 0;
    String before = guest.registers();
    assertThat(InterruptDelivery.exception(guest.processor, GuestFault.INVALID_OPCODE, 0))
        .isFalse();
    assertThat(guest.registers()).isEqualTo(before);
  }

  @Test
  void deliveryEndsHaltAndShadows() {
    Guest guest = Guest.long64(0);
    guest.gate64(0x40, Guest.CODE64_0, HANDLER, 0x8E, 0);
    guest.state.halted = true;
    guest.state.interruptShadow = true;
    guest.state.stackShadow = true;
    InterruptDelivery.interrupt(guest.processor, 0x40);
    assertThat(guest.state.halted || guest.state.interruptShadow || guest.state.stackShadow)
        .isFalse();
  }

  @Test
  void debugExceptionClearsGeneralDetectAndKeepsResumeFlagClear() {
    Guest guest = Guest.long64(0);
    guest.gate64(1, Guest.CODE64_0, HANDLER, 0x8E, 0);
    guest.state.debug[7] = 0x400 | DebugRegisters.GENERAL_DETECT | 1;
    assertThat(InterruptDelivery.debugInterrupt(guest.processor, 0x1001)).isTrue();
    assertThat(guest.state.debug[7]).isEqualTo(0x401);
    assertThat(guest.stack(8, 3)).containsExactly(0x1001, Guest.CODE64_0, 2);
  }

  @Test
  void conformingHandlerStaysInUserMode() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x40, Guest.CONFORMING64_0, 0x5000, 0x8E, 0);
    InterruptDelivery.interrupt(guest.processor, 0x40);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(Guest.CONFORMING64_0 | 3);
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK3 - 40);
  }

  @Test
  void conformingHandlerPushesAsUserMode() {
    Guest guest = Guest.long64(3);
    guest.gate64(0x41, Guest.CONFORMING64_0, 0x5000, 0xEE, 0);
    guest.processor.supervisorPages.add(9L);
    guest.assertFault(
        PAGE_FAULT, 7, () -> InterruptDelivery.software(guest.processor, 0x41, 0x1002));
  }
}
