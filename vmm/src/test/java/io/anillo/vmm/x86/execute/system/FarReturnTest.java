package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.AC;
import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.ID;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.IOPL;
import static io.anillo.vmm.cpu.CpuState.NT;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.VM;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.SEGMENT_NOT_PRESENT;
import static io.anillo.vmm.x86.execute.GuestFault.STACK_FAULT;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

class FarReturnTest {

  private static void iret(Guest guest, int bytes) {
    FarReturn.interruptReturn(guest.processor, bytes, 0x1002);
  }

  @Test
  void returnsFrom64BitKernelTo64BitUser() {
    Guest guest = Guest.long64(0);
    guest.state.nmiBlocked = true;
    guest.push(8, Guest.DATA3, 0x7FFF_0000L, IF | RF | IOPL | 0x202, Guest.CODE64_3, 0x40_0000);
    iret(guest, 8);
    assertThat(guest.state.rip).isEqualTo(0x40_0000);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.general[RSP]).isEqualTo(0x7FFF_0000L);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(Guest.DATA3);
    assertThat(guest.state.rflags()).isEqualTo(IF | RF | IOPL | 2);
    assertThat(guest.state.nmiBlocked).isFalse();
    // DPL 0 data segments are dropped.
    assertThat(guest.state.segmentSelector[DS]).isZero();
    assertThat(guest.state.segmentAccess[ES]).isEqualTo(CpuState.ACCESS_UNUSABLE);
  }

  @Test
  void returnsFrom64BitKernelToCompatibilityMode() {
    Guest guest = Guest.long64(0);
    guest.push(8, Guest.DATA3, 0xFFFF_D000L, IF, Guest.CODE3, 0x804_8000);
    iret(guest, 8);
    assertThat(guest.state.code64()).isFalse();
    assertThat(guest.state.rip).isEqualTo(0x804_8000);
    assertThat(guest.state.general[RSP]).isEqualTo(0xFFFF_D000L);
  }

  @Test
  void sameLevelReturnIn64BitModeLoadsTheStackToo() {
    Guest guest = Guest.long64(0);
    guest.push(8, 0, 0x6000, 2, Guest.CODE64_0, 0x1234);
    iret(guest, 8);
    assertThat(guest.state.general[RSP]).isEqualTo(0x6000);
    assertThat(guest.state.segmentSelector[SS]).isZero();
    assertThat(guest.state.segmentAccess[SS] & CpuState.ACCESS_UNUSABLE).isNotZero();
    assertThat(guest.state.segmentSelector[DS]).isEqualTo(Guest.DATA0);
  }

  @Test
  void nullStackIsRefusedForUserModeAndForCompatibilityMode() {
    Guest guest = Guest.long64(0);
    guest.push(8, 3, 0x6000, 2, Guest.CODE64_3, 0x1234);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> iret(guest, 8));
    Guest other = Guest.long64(0);
    other.push(8, 0, 0x6000, 2, Guest.CODE0, 0x1234);
    other.assertFault(GENERAL_PROTECTION, 0, () -> iret(other, 8));
  }

  @Test
  void addressThatIsNotCanonicalFaultsBeforeAnythingChanges() {
    Guest guest = Guest.long64(0);
    guest.push(8, Guest.DATA3, 0x6000, 2, Guest.CODE64_3, 0x8000_0000_0000L);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> iret(guest, 8));
  }

  @Test
  void nestedTaskInLongModeIsAGeneralProtectionFault() {
    Guest guest = Guest.long64(0);
    guest.state.systemFlags |= NT;
    guest.assertFault(GENERAL_PROTECTION, 0, () -> iret(guest, 8));
  }

  @Test
  void codeSegmentChecksComeInOrder() {
    Guest guest = Guest.protected32(3);
    guest.push(4, 2, 0, 0x1000);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> iret(guest, 4));
    Guest inner = Guest.protected32(3);
    inner.push(4, 2, Guest.CODE0, 0x1000);
    inner.assertFault(GENERAL_PROTECTION, Guest.CODE0, () -> iret(inner, 4));
    Guest data = Guest.protected32(0);
    data.push(4, 2, Guest.DATA0, 0x1000);
    data.assertFault(GENERAL_PROTECTION, Guest.DATA0, () -> iret(data, 4));
    Guest beyond = Guest.protected32(0);
    beyond.push(4, 2, 0x1FF8, 0x1000);
    beyond.assertFault(GENERAL_PROTECTION, 0x1FF8, () -> iret(beyond, 4));
    Guest absent = Guest.protected32(0);
    absent.descriptor(Guest.FREE, 0, 0xFFFFF, Guest.FLAT | 0x1A);
    absent.push(4, 2, Guest.FREE, 0x1000);
    absent.assertFault(SEGMENT_NOT_PRESENT, Guest.FREE, () -> iret(absent, 4));
    Guest limited = Guest.protected32(0);
    limited.descriptor(Guest.FREE, 0, 0xFFF, 0x409A);
    limited.push(4, 2, Guest.FREE, 0x1000);
    limited.assertFault(GENERAL_PROTECTION, 0, () -> iret(limited, 4));
  }

  @Test
  void outerStackChecksComeInOrder() {
    Guest wrongLevel = Guest.protected32(0);
    wrongLevel.push(4, Guest.DATA0, 0x6000, 2, Guest.CODE3, 0x1000);
    wrongLevel.assertFault(GENERAL_PROTECTION, Guest.DATA0, () -> iret(wrongLevel, 4));
    Guest code = Guest.protected32(0);
    code.push(4, Guest.CODE3, 0x6000, 2, Guest.CODE3, 0x1000);
    code.assertFault(GENERAL_PROTECTION, Guest.CODE3 & ~3, () -> iret(code, 4));
    Guest absent = Guest.protected32(0);
    absent.descriptor(Guest.FREE, 0, 0xFFFFF, Guest.FLAT | 0x72);
    absent.push(4, Guest.FREE | 3, 0x6000, 2, Guest.CODE3, 0x1000);
    absent.assertFault(STACK_FAULT, Guest.FREE, () -> iret(absent, 4));
  }

  @Test
  void userModeCannotChangeItsPrivilegeFlags() {
    Guest guest = Guest.protected32(3);
    guest.state.setRflags(0);
    guest.push(4, IF | IOPL | AC | ID | 1, Guest.CODE3, 0x2000);
    iret(guest, 4);
    assertThat(guest.state.rflags()).isEqualTo(AC | ID | 1 | 2);
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK3);
  }

  @Test
  void sixteenBitReturnKeepsTheUpperFlags() {
    Guest guest = Guest.protected32(0);
    guest.state.setRflags(AC | ID);
    guest.push(2, IF | 1, Guest.CODE0, 0x2000);
    iret(guest, 2);
    assertThat(guest.state.rflags()).isEqualTo(AC | ID | IF | 1 | 2);
  }

  @Test
  void returnToASixteenBitStackKeepsTheUpperHalfOfTheStackPointer() {
    Guest guest = Guest.protected32(0);
    guest.descriptor(Guest.FREE, 0, 0xFFFF, 0xF2);
    guest.state.general[RSP] = 0x3_8000L;
    guest.push(4, Guest.FREE | 3, 0x1234_5678L, 2, Guest.CODE3, 0x1000);
    iret(guest, 4);
    assertThat(guest.state.general[RSP]).isEqualTo(0x3_5678L);
  }

  @Test
  void entersVirtual8086ModeAndComesBackByAnInterrupt() {
    Guest guest = Guest.protected32(0);
    guest.push(4, 0x55, 0x44, 0x33, 0x22, 0x1111, 0xFFF0, VM | IOPL | IF | 2, 0xF000, 0x0100);
    iret(guest, 4);
    assertThat(guest.state.virtual8086()).isTrue();
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.rip).isEqualTo(0x100);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0xF0000);
    assertThat(guest.state.segmentBase[SS]).isEqualTo(0x11110);
    assertThat(guest.state.segmentBase[ES]).isEqualTo(0x220);
    assertThat(guest.state.segmentBase[DS]).isEqualTo(0x330);
    assertThat(guest.state.segmentBase[FS]).isEqualTo(0x440);
    assertThat(guest.state.segmentLimit[DS]).isEqualTo(0xFFFF);

    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0x8E);
    assertThat(InterruptDelivery.interrupt(guest.processor, 0x40)).isTrue();
    assertThat(guest.state.virtual8086()).isFalse();
    assertThat(guest.state.privilege).isZero();
    assertThat(guest.stack(4, 9))
        .containsExactly(0x100, 0xF000, VM | IOPL | IF | 2, 0xFFF0, 0x1111, 0x22, 0x33, 0x44, 0x55);
    assertThat(guest.state.segmentAccess[DS]).isEqualTo(CpuState.ACCESS_UNUSABLE);
    iret(guest, 4);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0xF0000);
    assertThat(guest.state.general[RSP]).isEqualTo(0xFFF0);
  }

  @Test
  void virtual8086ModeNeedsIoPrivilegeForIretAndInt() {
    Guest guest = Guest.protected32(0);
    guest.push(4, 0, 0, 0, 0, 0x1111, 0xFF00, VM | 2, 0xF000, 0x0100);
    iret(guest, 4);
    guest.gate32(0x40, Guest.CODE0, Guest.HANDLER, 0xEE);
    guest.gate32(3, Guest.CODE0, Guest.HANDLER, 0xEE);
    guest.gate32(0x41, Guest.CONFORMING0, Guest.HANDLER, 0xEE);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> iret(guest, 2));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> InterruptDelivery.software(guest.processor, 0x40, 0x102));
    InterruptDelivery.softwareException(guest.processor, 3, 0x101);
    assertThat(guest.state.privilege).isZero();
  }

  @Test
  void virtual8086ModeRefusesConformingHandlers() {
    Guest guest = Guest.protected32(0);
    guest.push(4, 0, 0, 0, 0, 0x1111, 0xFF00, VM | IOPL | 2, 0xF000, 0x0100);
    iret(guest, 4);
    guest.gate32(0x41, Guest.CONFORMING0, Guest.HANDLER, 0xEE);
    guest.assertFault(
        GENERAL_PROTECTION,
        Guest.CONFORMING0,
        () -> InterruptDelivery.software(guest.processor, 0x41, 0x102));
  }

  @Test
  void farReturnToAnOuterLevelDropsParametersFromBothStacks() {
    Guest guest = Guest.protected32(0);
    guest.push(4, Guest.DATA3, 0x6000, 0xAAAA, 0xBBBB, Guest.CODE3, 0x1000);
    FarReturn.ret(guest.processor, 4, 8);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.general[RSP]).isEqualTo(0x6008);
    assertThat(guest.state.segmentSelector[DS]).isZero();
  }

  @Test
  void farReturnAtTheSameLevel() {
    Guest guest = Guest.long64(0);
    guest.push(8, 1, 2, Guest.CODE64_0, 0xFFFF_8000_0000_1000L);
    FarReturn.ret(guest.processor, 8, 16);
    assertThat(guest.state.rip).isEqualTo(0xFFFF_8000_0000_1000L);
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK0);
  }

  @Test
  void realModeReturnTakesSixteenBitFlags() {
    Guest guest = Guest.real();
    guest.push(2, IF | 1, 0x200, 0x55);
    iret(guest, 2);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0x2000);
    assertThat(guest.state.rip).isEqualTo(0x55);
    assertThat(guest.state.rflags()).isEqualTo(IF | 3);
    assertThat(guest.state.general[RSP]).isEqualTo(0x8000);
  }
}
