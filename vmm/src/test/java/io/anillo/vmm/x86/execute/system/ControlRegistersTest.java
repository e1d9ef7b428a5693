package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CR0_CD;
import static io.anillo.vmm.cpu.CpuState.CR0_ET;
import static io.anillo.vmm.cpu.CpuState.CR0_NW;
import static io.anillo.vmm.cpu.CpuState.CR0_PE;
import static io.anillo.vmm.cpu.CpuState.CR0_PG;
import static io.anillo.vmm.cpu.CpuState.CR0_TS;
import static io.anillo.vmm.cpu.CpuState.CR0_WP;
import static io.anillo.vmm.cpu.CpuState.CR4_PAE;
import static io.anillo.vmm.cpu.CpuState.CR4_PCIDE;
import static io.anillo.vmm.x86.execute.GuestFault.DEBUG;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_OPCODE;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

class ControlRegistersTest {

  private static void write(Guest guest, int register, long value) {
    ControlRegisters.write(guest.processor, register, value);
  }

  private static void assertRefused(Guest guest, int register, long value) {
    guest.assertFault(GENERAL_PROTECTION, 0, () -> write(guest, register, value));
  }

  @Test
  void userModeMayNotTouchControlRegisters() {
    Guest guest = Guest.long64(3);
    assertRefused(guest, 0, guest.state.cr0);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> ControlRegisters.read(guest.processor, 3));
    guest.assertFault(INVALID_OPCODE, 0, () -> ControlRegisters.read(guest.processor, 5));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> ControlRegisters.clearTaskSwitched(guest.processor));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> ControlRegisters.invalidatePage(guest.processor, 0));
  }

  @Test
  void controlRegisterZeroRefusesImpossibleCombinations() {
    Guest guest = Guest.protected32(0);
    assertRefused(guest, 0, CR0_PG);
    assertRefused(guest, 0, CR0_PE | CR0_NW);
    assertRefused(guest, 0, CR0_PE | 1L << 32);
    write(guest, 0, CR0_PE | CR0_NW | CR0_CD | 1 << 10);
    assertThat(guest.state.cr0).isEqualTo(CR0_PE | CR0_NW | CR0_CD | CR0_ET);
  }

  @Test
  void longModeNeedsPaeAndACodeSegmentThatIsNotLong() {
    Guest guest = Guest.protected32(0);
    guest.state.efer = CpuState.EFER_LME;
    assertRefused(guest, 0, CR0_PE | CR0_PG);
    guest.state.cr4 = CR4_PAE;
    guest.state.segmentAccess[CpuState.CS] |= CpuState.ACCESS_LONG;
    assertRefused(guest, 0, CR0_PE | CR0_PG);
    guest.state.segmentAccess[CpuState.CS] &= ~CpuState.ACCESS_LONG;
    write(guest, 0, CR0_PE | CR0_PG);
    assertThat(guest.state.efer).isEqualTo(CpuState.EFER_LME | CpuState.EFER_LMA);
    assertThat(guest.processor.told).contains("flush all", "mode");
    write(guest, 0, CR0_PE);
    assertThat(guest.state.efer).isEqualTo(CpuState.EFER_LME);
  }

  @Test
  void pagingCannotBeSwitchedOffIn64BitMode() {
    Guest guest = Guest.long64(0);
    assertRefused(guest, 0, CR0_PE);
    assertRefused(guest, 4, 0);
  }

  @Test
  void writeProtectFlushesAndTaskSwitchedDoesNot() {
    Guest guest = Guest.long64(0);
    write(guest, 0, guest.state.cr0 | CR0_TS);
    assertThat(guest.processor.told).doesNotContain("flush all");
    ControlRegisters.clearTaskSwitched(guest.processor);
    assertThat(guest.state.cr0 & CR0_TS).isZero();
    write(guest, 0, guest.state.cr0 | CR0_WP);
    assertThat(guest.processor.told).contains("flush all");
  }

  @Test
  void machineStatusWordSetsButDoesNotClearProtection() {
    Guest guest = Guest.protected32(0);
    ControlRegisters.loadMachineStatus(guest.processor, 8);
    assertThat(guest.state.cr0).isEqualTo(CR0_PE | CR0_TS | CR0_ET);
    assertThat(ControlRegisters.storeMachineStatus(guest.processor)).isEqualTo(guest.state.cr0);
  }

  @Test
  void addressSpaceSwitchWithProcessContextIdentifiers() {
    Guest guest = Guest.long64(0);
    assertRefused(guest, 3, 1L << 63 | 0x5000);
    assertRefused(guest, 3, 1L << 40);
    guest.state.cr3 = 1;
    assertRefused(guest, 4, CR4_PAE | CR4_PCIDE);
    guest.state.cr3 = 0x5000;
    write(guest, 4, CR4_PAE | CR4_PCIDE);
    write(guest, 3, 1L << 63 | 0x6001);
    assertThat(guest.state.cr3).isEqualTo(0x6001);
    write(guest, 3, 0x7002);
    assertThat(guest.processor.told)
        .containsSubsequence("address space kept", "address space flushed");
    Guest legacy = Guest.protected32(0);
    assertRefused(legacy, 4, CR4_PCIDE);
  }

  @Test
  void controlRegisterFourRefusesWhatTheModelLacks() {
    Guest guest = Guest.long64(0);
    for (long bit : new long[] {1, 2, 1 << 12, 1 << 13, 1 << 14, 1 << 22, 1 << 23, 1L << 32}) {
      assertRefused(guest, 4, CR4_PAE | bit);
    }
    write(guest, 4, CR4_PAE | CpuState.CR4_SMEP | CpuState.CR4_SMAP | CpuState.CR4_UMIP);
    assertThat(guest.processor.told).contains("flush all");
  }

  @Test
  void directoryPointersAreLoadedAndChecked() {
    Guest guest = Guest.protected32(0);
    guest.write(0xD000, 8, 0x1E001);
    guest.write(0xD018, 8, 0x1F001);
    guest.state.cr3 = 0xD000;
    guest.state.cr4 = CR4_PAE;
    write(guest, 0, CR0_PE | CR0_PG);
    assertThat(guest.state.pdptes).containsExactly(0x1E001, 0, 0, 0x1F001);
    guest.write(0xD008, 8, 0x1F003);
    assertRefused(guest, 3, 0xD000);
    assertThat(guest.state.pdptes).containsExactly(0x1E001, 0, 0, 0x1F001);
    guest.write(0xD008, 8, 1L << 63 | 1);
    assertRefused(guest, 3, 0xD000);
    guest.write(0xD008, 8, 2);
    write(guest, 3, 0xD000);
    assertThat(guest.state.pdptes[1]).isEqualTo(2);
  }

  @Test
  void taskPriority() {
    Guest guest = Guest.long64(0);
    write(guest, 8, 0xF);
    assertThat(ControlRegisters.read(guest.processor, 8)).isEqualTo(0xF);
    assertRefused(guest, 8, 0x10);
  }

  @Test
  void invalidations() {
    Guest guest = Guest.long64(0);
    ControlRegisters.invalidatePage(guest.processor, 0x5123);
    ControlRegisters.invalidatePage(guest.processor, 1L << 47);
    ControlRegisters.invalidatePcid(guest.processor, 0, 0, 0x6000);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> ControlRegisters.invalidatePcid(guest.processor, 1, 5, 0));
    guest.state.cr4 |= CR4_PCIDE;
    ControlRegisters.invalidatePcid(guest.processor, 1, 5, 0);
    for (long[] bad : new long[][] {{4, 0, 0}, {0, 0x1000, 0}, {0, 0, 1L << 47}}) {
      guest.assertFault(
          GENERAL_PROTECTION,
          0,
          () -> ControlRegisters.invalidatePcid(guest.processor, bad[0], bad[1], bad[2]));
    }
    assertThat(guest.processor.told)
        .containsExactly("page 0x5123", "pcid 0 0 0x6000", "pcid 1 5 0x0");
  }

  @Test
  void extendedControlRegister() {
    Guest guest = Guest.long64(3);
    guest.assertFault(INVALID_OPCODE, 0, () -> ControlRegisters.readExtended(guest.processor, 0));
    guest.state.cr4 |= CpuState.CR4_OSXSAVE;
    assertThat(ControlRegisters.readExtended(guest.processor, 0)).isEqualTo(1);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> ControlRegisters.readExtended(guest.processor, 1));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> ControlRegisters.writeExtended(guest.processor, 0, 3));
    Guest kernel = Guest.long64(0);
    kernel.state.cr4 |= CpuState.CR4_OSXSAVE;
    ControlRegisters.writeExtended(kernel.processor, 0, 3);
    assertThat(kernel.state.xcr0).isEqualTo(3);
    for (long bad : new long[] {0, 2, 7}) {
      kernel.assertFault(
          GENERAL_PROTECTION, 0, () -> ControlRegisters.writeExtended(kernel.processor, 0, bad));
    }
  }

  @Test
  void debugRegisterAccess() {
    Guest guest = Guest.long64(0);
    DebugRegisters.write(guest.processor, 6, 0);
    assertThat(DebugRegisters.read(guest.processor, 4)).isEqualTo(DebugRegisters.STATUS_RESET);
    DebugRegisters.write(guest.processor, 5, 0xFFFF_FFFFL & ~DebugRegisters.GENERAL_DETECT);
    assertThat(guest.state.debug[7]).isEqualTo(0xFFFF_07FFL);
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> DebugRegisters.write(guest.processor, 7, 1L << 32));
    guest.assertFault(
        GENERAL_PROTECTION, 0, () -> DebugRegisters.write(guest.processor, 0, 1L << 47));
    guest.state.cr4 |= CpuState.CR4_DE;
    guest.assertFault(INVALID_OPCODE, 0, () -> DebugRegisters.read(guest.processor, 4));
    guest.state.debug[7] |= DebugRegisters.GENERAL_DETECT;
    guest.assertFault(DEBUG, 0, () -> DebugRegisters.read(guest.processor, 0));
    assertThat(guest.state.debug[6] & DebugRegisters.ACCESS_DETECTED).isNotZero();
    Guest user = Guest.long64(3);
    user.assertFault(GENERAL_PROTECTION, 0, () -> DebugRegisters.read(user.processor, 7));
  }

  @Test
  void breakpointsMatchByKindAndLength() {
    Guest guest = Guest.long64(0);
    CpuState state = guest.state;
    state.debug[0] = 0x1000;
    state.debug[1] = 0x2002;
    state.debug[2] = 0x3004;
    state.debug[3] = 0x60;
    // 0: code; 1: write, 2 bytes; 2: read or write, 8 bytes; 3: port, 4 bytes
    state.debug[7] =
        0x400 | 0xAA | 0x1L << 20 | 0x1L << 22 | 0x3L << 24 | 0x2L << 26 | 0x2L << 28 | 0x3L << 30;
    assertThat(DebugRegisters.anyEnabled(state)).isTrue();
    assertThat(DebugRegisters.matchCode(state, 0x1000)).isEqualTo(1);
    assertThat(DebugRegisters.matchCode(state, 0x1001)).isZero();
    assertThat(DebugRegisters.matchData(state, 0x2000, 4, true)).isEqualTo(2);
    assertThat(DebugRegisters.matchData(state, 0x2000, 4, false)).isZero();
    assertThat(DebugRegisters.matchData(state, 0x2004, 4, true)).isZero();
    assertThat(DebugRegisters.matchData(state, 0x2FFE, 4, false)).isEqualTo(4);
    assertThat(DebugRegisters.matchData(state, 0x3007, 1, true)).isEqualTo(4);
    assertThat(DebugRegisters.matchData(state, 0x3008, 1, true)).isZero();
    assertThat(DebugRegisters.matchPort(state, 0x62, 1)).isZero();
    state.cr4 |= CpuState.CR4_DE;
    assertThat(DebugRegisters.matchPort(state, 0x62, 1)).isEqualTo(8);
    DebugRegisters.raise(state, DebugRegisters.SINGLE_STEP | 1);
    assertThat(state.debug[6]).isEqualTo(0xFFFF_4FF1L);
  }
}
