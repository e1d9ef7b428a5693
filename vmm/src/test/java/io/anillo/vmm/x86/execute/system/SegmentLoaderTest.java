package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.LDTR;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TR;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_OPCODE;
import static io.anillo.vmm.x86.execute.GuestFault.PAGE_FAULT;
import static io.anillo.vmm.x86.execute.GuestFault.SEGMENT_NOT_PRESENT;
import static io.anillo.vmm.x86.execute.GuestFault.STACK_FAULT;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

class SegmentLoaderTest {

  private static void load(Guest guest, int segment, int selector) {
    SegmentLoader.load(guest.processor, segment, selector);
  }

  @Test
  void realModeKeepsTheLimit() {
    Guest guest = Guest.real();
    guest.state.segmentLimit[DS] = 0xFFFF_FFFFL;
    load(guest, DS, 0x1234);
    assertThat(guest.state.segmentBase[DS]).isEqualTo(0x12340);
    assertThat(guest.state.segmentLimit[DS]).isEqualTo(0xFFFF_FFFFL);
  }

  @Test
  void dataSegmentIsMarkedAccessedOnce() {
    Guest guest = Guest.protected32(0);
    guest.descriptor(Guest.FREE, 0x12345678, 0x123, 0x4092);
    load(guest, FS, Guest.FREE);
    assertThat(guest.state.segmentBase[FS]).isEqualTo(0x12345678);
    assertThat(guest.state.segmentLimit[FS]).isEqualTo(0x123);
    assertThat(guest.state.segmentAccess[FS]).isEqualTo(0x4093);
    assertThat(guest.read(TestProcessor.GDT + Guest.FREE + 5, 1)).isEqualTo(0x93);
    guest.processor.readOnlyPages.add(TestProcessor.GDT >> 12);
    load(guest, GS, Guest.FREE);
    guest.processor.readOnlyPages.clear();
    guest.descriptor(Guest.FREE, 0, 0, 0x4092);
    guest.processor.readOnlyPages.add(TestProcessor.GDT >> 12);
    guest.assertFault(PAGE_FAULT, 3, () -> load(guest, ES, Guest.FREE));
  }

  @Test
  void dataSegmentErrors() {
    Guest guest = Guest.protected32(3);
    guest.assertFault(GENERAL_PROTECTION, Guest.DATA0, () -> load(guest, DS, Guest.DATA0));
    guest.assertFault(GENERAL_PROTECTION, 0x10, () -> load(guest, DS, Guest.DATA0 | 3));
    guest.assertFault(
        GENERAL_PROTECTION, Guest.EXECUTE_ONLY0, () -> load(guest, DS, Guest.EXECUTE_ONLY0));
    guest.assertFault(GENERAL_PROTECTION, 0x40, () -> load(guest, DS, Guest.TSS_SELECTOR));
    guest.assertFault(GENERAL_PROTECTION, 0x1000, () -> load(guest, DS, 0x1003));
    guest.assertFault(GENERAL_PROTECTION, 0x0C, () -> load(guest, DS, 0x0F));
    guest.descriptor(Guest.FREE, 0, 0, 0x72);
    guest.assertFault(SEGMENT_NOT_PRESENT, Guest.FREE, () -> load(guest, DS, Guest.FREE | 3));
    load(guest, DS, Guest.CONFORMING0);
    assertThat(guest.state.segmentSelector[DS]).isEqualTo(Guest.CONFORMING0);
  }

  @Test
  void requestedPrivilegeCountsInRingZero() {
    Guest guest = Guest.protected32(0);
    guest.assertFault(GENERAL_PROTECTION, 0x10, () -> load(guest, DS, Guest.DATA0 | 3));
  }

  @Test
  void nullSelectorsMakeSegmentsUnusableAndClearTheBase() {
    Guest guest = Guest.long64(0);
    guest.state.segmentBase[GS] = 0x1234;
    load(guest, GS, 3);
    assertThat(guest.state.segmentBase[GS]).isZero();
    assertThat(guest.state.segmentSelector[GS]).isEqualTo(3);
    assertThat(guest.state.segmentAccess[GS]).isEqualTo(CpuState.ACCESS_UNUSABLE);
  }

  @Test
  void stackSegmentErrors() {
    Guest guest = Guest.protected32(0);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> load(guest, SS, 0));
    guest.assertFault(GENERAL_PROTECTION, 0x10, () -> load(guest, SS, Guest.DATA0 | 1));
    guest.assertFault(GENERAL_PROTECTION, 0x20, () -> load(guest, SS, Guest.DATA3));
    guest.assertFault(
        GENERAL_PROTECTION, Guest.READ_ONLY0, () -> load(guest, SS, Guest.READ_ONLY0));
    guest.assertFault(GENERAL_PROTECTION, Guest.CODE0, () -> load(guest, SS, Guest.CODE0));
    guest.descriptor(Guest.FREE, 0, 0, 0x12);
    guest.assertFault(STACK_FAULT, Guest.FREE, () -> load(guest, SS, Guest.FREE));
  }

  @Test
  void nullStackIsForRingsBelowThreeOf64BitMode() {
    Guest kernel = Guest.long64(0);
    load(kernel, SS, 0);
    assertThat(kernel.state.segmentAccess[SS]).isEqualTo(CpuState.ACCESS_UNUSABLE);
    kernel.assertFault(GENERAL_PROTECTION, 0, () -> load(kernel, SS, 1));
    Guest user = Guest.long64(3);
    user.assertFault(GENERAL_PROTECTION, 0, () -> load(user, SS, 3));
  }

  @Test
  void localDescriptorTable() {
    Guest guest = Guest.protected32(0);
    SegmentLoader.loadLocalDescriptorTable(guest.processor, Guest.LDT_SELECTOR);
    assertThat(guest.state.segmentBase[LDTR]).isEqualTo(TestProcessor.LDT);
    guest.write(TestProcessor.LDT + 8, 8, guest.read(TestProcessor.GDT + Guest.DATA0, 8));
    load(guest, DS, 0x0C);
    assertThat(guest.state.segmentSelector[DS]).isEqualTo(0x0C);
    guest.assertFault(
        GENERAL_PROTECTION,
        Guest.DATA0,
        () -> SegmentLoader.loadLocalDescriptorTable(guest.processor, Guest.DATA0));
    guest.assertFault(
        GENERAL_PROTECTION,
        0x7C,
        () -> SegmentLoader.loadLocalDescriptorTable(guest.processor, 0x7C));
    SegmentLoader.loadLocalDescriptorTable(guest.processor, 0);
    guest.assertFault(GENERAL_PROTECTION, 0x0C, () -> load(guest, DS, 0x0C));
    Guest real = Guest.real();
    real.assertFault(
        INVALID_OPCODE, 0, () -> SegmentLoader.loadLocalDescriptorTable(real.processor, 0));
    Guest user = Guest.protected32(3);
    user.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentLoader.loadTaskRegister(user.processor, 0x40));
  }

  @Test
  void taskRegisterIsMarkedBusyAndCannotBeLoadedTwice() {
    Guest guest = Guest.long64(0);
    assertThat(guest.read(TestProcessor.GDT + Guest.TSS_SELECTOR + 5, 1)).isEqualTo(0x8B);
    assertThat(guest.state.segmentAccess[TR] & 0xF).isEqualTo(11);
    guest.assertFault(
        GENERAL_PROTECTION,
        0x40,
        () -> SegmentLoader.loadTaskRegister(guest.processor, Guest.TSS_SELECTOR));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentLoader.loadTaskRegister(guest.processor, 0));
    guest.descriptor(Guest.FREE, 0, 0x67, 0x89);
    guest.write(TestProcessor.GDT + Guest.FREE + 8, 8, 0xFFFF_8000L);
    SegmentLoader.loadTaskRegister(guest.processor, Guest.FREE);
    assertThat(guest.state.segmentBase[TR]).isEqualTo(0xFFFF_8000_0000_0000L);
    guest.descriptor(Guest.FREE, 0, 0x67, 0x89);
    guest.write(TestProcessor.GDT + Guest.FREE + 8, 8, 0x0000_8000L);
    guest.assertFault(
        GENERAL_PROTECTION,
        Guest.FREE,
        () -> SegmentLoader.loadTaskRegister(guest.processor, Guest.FREE));
  }

  @Test
  void tableRegistersNeedRingZeroAndCanonicalBases() {
    Guest guest = Guest.long64(0);
    SegmentLoader.loadInterruptDescriptorTable(guest.processor, 0x1FFF, 0xFFFF_FE00_0000_0000L);
    assertThat(guest.state.idtLimit).isEqualTo(0x1FFF);
    guest.assertFault(
        GENERAL_PROTECTION,
        0,
        () -> SegmentLoader.loadGlobalDescriptorTable(guest.processor, 0, 1L << 47));
    Guest user = Guest.long64(3);
    user.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentLoader.loadGlobalDescriptorTable(user.processor, 0, 0));
    user.state.cr4 |= CpuState.CR4_UMIP;
    user.assertFault(
        GENERAL_PROTECTION,
        0,
        () -> SegmentLoader.checkUserModeInstructionPrevention(user.processor));
  }

  @Test
  void accessesAreCheckedAgainstLimitAndType() {
    Guest guest = Guest.protected32(0);
    guest.descriptor(Guest.FREE, 0x5000, 0xFF, 0x4092);
    load(guest, DS, Guest.FREE);
    assertThat(SegmentAccess.linear(guest.processor, DS, 0xFC, 4, true)).isEqualTo(0x50FC);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentAccess.check(guest.processor, DS, 0xFD, 4, false));
    guest.assertFault(
        GENERAL_PROTECTION,
        0,
        () -> SegmentAccess.check(guest.processor, DS, 0xFFFF_FFFFL, 4, false));
    load(guest, SS, Guest.FREE);
    guest.assertFault(
        STACK_FAULT, 0, () -> SegmentAccess.check(guest.processor, SS, 0x100, 1, false));
    load(guest, DS, Guest.READ_ONLY0);
    SegmentAccess.check(guest.processor, DS, 0, 4, false);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentAccess.check(guest.processor, DS, 0, 4, true));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentAccess.check(guest.processor, CS, 0, 4, true));
    SegmentAccess.check(guest.processor, CS, 0, 4, false);
    load(guest, DS, 0);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentAccess.check(guest.processor, DS, 0, 1, false));
  }

  @Test
  void expandDownSegmentsEndAboveTheirLimit() {
    Guest guest = Guest.protected32(0);
    load(guest, ES, Guest.EXPAND_DOWN0);
    SegmentAccess.check(guest.processor, ES, 0x1000, 4, true);
    SegmentAccess.check(guest.processor, ES, 0xFFFF_FFFCL, 4, true);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> SegmentAccess.check(guest.processor, ES, 0xFFF, 4, true));
    guest.assertFault(
        GENERAL_PROTECTION,
        0,
        () -> SegmentAccess.check(guest.processor, ES, 0xFFFF_FFFDL, 4, true));
    assertThat(SegmentAccess.isFlat(guest.state, ES)).isFalse();
    load(guest, ES, Guest.DATA0);
    assertThat(SegmentAccess.isFlat(guest.state, ES)).isTrue();
  }

  @Test
  void queriesAnswerWithoutFaults() {
    Guest guest = Guest.protected32(3);
    long hidden = SegmentQueries.NOT_VISIBLE;
    assertThat(SegmentQueries.accessRights(guest.processor, Guest.DATA3)).isEqualTo(0xCFF300);
    assertThat(SegmentQueries.limit(guest.processor, Guest.DATA3)).isEqualTo(0xFFFF_FFFFL);
    assertThat(SegmentQueries.limit(guest.processor, Guest.DATA0)).isEqualTo(hidden);
    assertThat(SegmentQueries.limit(guest.processor, 0)).isEqualTo(hidden);
    assertThat(SegmentQueries.accessRights(guest.processor, 0x1F00)).isEqualTo(hidden);
    assertThat(SegmentQueries.isReadable(guest.processor, Guest.CODE3)).isTrue();
    assertThat(SegmentQueries.isWritable(guest.processor, Guest.CODE3)).isFalse();
    assertThat(SegmentQueries.isWritable(guest.processor, Guest.DATA3)).isTrue();
    assertThat(SegmentQueries.isReadable(guest.processor, Guest.CONFORMING0)).isTrue();
    Guest kernel = Guest.protected32(0);
    assertThat(SegmentQueries.limit(kernel.processor, Guest.TSS_SELECTOR)).isEqualTo(0x67);
    assertThat(SegmentQueries.isReadable(kernel.processor, Guest.TSS_SELECTOR)).isFalse();
    kernel.write(TestProcessor.GDT + Guest.FREE, 8, Guest.gate(8, 0, 0x8C, 0));
    assertThat(SegmentQueries.limit(kernel.processor, Guest.FREE)).isEqualTo(hidden);
    assertThat(SegmentQueries.accessRights(kernel.processor, Guest.FREE)).isEqualTo(0x8C00);
    Guest real = Guest.real();
    real.assertFault(INVALID_OPCODE, 0, () -> SegmentQueries.accessRights(real.processor, 8));
  }
}
