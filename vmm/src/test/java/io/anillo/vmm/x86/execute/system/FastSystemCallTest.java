package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.RCX;
import static io.anillo.vmm.cpu.CpuState.RDX;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.VM;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_OPCODE;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

class FastSystemCallTest {

  private static void prepare(Guest guest) {
    guest.state.efer |= CpuState.EFER_SCE;
    guest.state.star = 0x0018_0028_0000_7777L;
    guest.state.lstar = 0xFFFF_8000_0000_1000L;
    guest.state.cstar = 0xFFFF_8000_0000_2000L;
    guest.state.syscallMask = IF;
  }

  @Test
  void systemCallFrom64BitMode() {
    Guest guest = Guest.long64(3);
    prepare(guest);
    guest.state.setRflags(IF | RF | 1);
    FastSystemCall.syscall(guest.processor, 0x40_1002);
    assertThat(guest.state.rip).isEqualTo(guest.state.lstar);
    assertThat(guest.state.general[RCX]).isEqualTo(0x40_1002);
    assertThat(guest.state.general[11]).isEqualTo(IF | 3);
    assertThat(guest.state.rflags()).isEqualTo(3);
    assertThat(guest.state.privilege).isZero();
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(0x28);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(0x30);
    assertThat(guest.state.code64()).isTrue();
    assertThat(guest.state.general[RSP]).isEqualTo(Guest.STACK3);
    assertThat(guest.processor.told).contains("mode");
  }

  @Test
  void systemCallFromCompatibilityModeUsesCstar() {
    Guest guest = Guest.compatibility();
    prepare(guest);
    FastSystemCall.syscall(guest.processor, 0x1002);
    assertThat(guest.state.rip).isEqualTo(guest.state.cstar);
    assertThat(guest.state.code64()).isTrue();
  }

  @Test
  void systemCallInLegacyModeUsesTheLowerHalfOfStar() {
    Guest guest = Guest.protected32(3);
    prepare(guest);
    guest.state.setRflags(IF);
    FastSystemCall.syscall(guest.processor, 0x1002);
    assertThat(guest.state.rip).isEqualTo(0x7777);
    assertThat(guest.state.rflags()).isEqualTo(2);
    assertThat(guest.state.code64()).isFalse();
    FastSystemCall.sysret(guest.processor, 4);
    assertThat(guest.state.rip).isEqualTo(0x1002);
    assertThat(guest.state.rflags()).isEqualTo(IF | 2);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(0x1B);
  }

  @Test
  void returnsTo64BitModeAndToCompatibilityMode() {
    Guest guest = Guest.long64(0);
    prepare(guest);
    guest.state.general[RCX] = 0x1_0040_1002L;
    guest.state.general[11] = IF | RF | VM | 1;
    FastSystemCall.sysret(guest.processor, 8);
    assertThat(guest.state.rip).isEqualTo(0x1_0040_1002L);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(0x2B);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(0x23);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.code64()).isTrue();
    assertThat(guest.state.rflags()).isEqualTo(IF | 3);
    Guest other = Guest.long64(0);
    prepare(other);
    other.state.general[RCX] = 0x1_0040_1002L;
    FastSystemCall.sysret(other.processor, 4);
    assertThat(other.state.rip).isEqualTo(0x40_1002L);
    assertThat(other.state.segmentSelector[CS]).isEqualTo(0x1B);
    assertThat(other.state.code64()).isFalse();
  }

  @Test
  void returnToAnAddressThatIsNotCanonicalFaultsLaterInRingThree() {
    Guest guest = Guest.long64(0);
    prepare(guest);
    guest.state.general[RCX] = 0x8000_0000_0000L;
    FastSystemCall.sysret(guest.processor, 8);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.rip).isEqualTo(0x8000_0000_0000L);
  }

  @Test
  void systemCallErrors() {
    Guest off = Guest.long64(3);
    off.state.efer &= ~CpuState.EFER_SCE;
    off.assertFault(INVALID_OPCODE, 0, () -> FastSystemCall.syscall(off.processor, 0));
    off.assertFault(INVALID_OPCODE, 0, () -> FastSystemCall.sysret(off.processor, 8));
    Guest user = Guest.long64(3);
    user.assertFault(GENERAL_PROTECTION, 0, () -> FastSystemCall.sysret(user.processor, 8));
    Guest real = Guest.real();
    real.state.efer |= CpuState.EFER_SCE;
    real.assertFault(INVALID_OPCODE, 0, () -> FastSystemCall.syscall(real.processor, 0));
  }

  @Test
  void sysenterAndSysexitInLegacyMode() {
    Guest guest = Guest.protected32(3);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> FastSystemCall.sysenter(guest.processor));
    guest.state.sysenterCs = 8;
    guest.state.sysenterEip = 0x5555;
    guest.state.sysenterEsp = 0x6666;
    guest.state.setRflags(IF);
    FastSystemCall.sysenter(guest.processor);
    assertThat(guest.state.rip).isEqualTo(0x5555);
    assertThat(guest.state.general[RSP]).isEqualTo(0x6666);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(0x10);
    assertThat(guest.state.rflags()).isEqualTo(2);
    guest.state.general[RDX] = 0x7777;
    guest.state.general[RCX] = 0x8888;
    FastSystemCall.sysexit(guest.processor);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(0x1B);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(0x23);
    assertThat(guest.state.rip).isEqualTo(0x7777);
    assertThat(guest.state.general[RSP]).isEqualTo(0x8888);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> FastSystemCall.sysexit(guest.processor));
    Guest longMode = Guest.compatibility();
    longMode.state.sysenterCs = 8;
    longMode.assertFault(INVALID_OPCODE, 0, () -> FastSystemCall.sysenter(longMode.processor));
  }

  @Test
  void swapgsExchangesTheBases() {
    Guest guest = Guest.long64(0);
    guest.state.segmentBase[GS] = 1;
    guest.state.kernelGsBase = 2;
    FastSystemCall.swapgs(guest.processor);
    assertThat(guest.state.segmentBase[GS]).isEqualTo(2);
    assertThat(guest.state.kernelGsBase).isEqualTo(1);
    Guest user = Guest.long64(3);
    user.assertFault(GENERAL_PROTECTION, 0, () -> FastSystemCall.swapgs(user.processor));
    Guest compatibility = Guest.compatibility();
    compatibility.assertFault(
        INVALID_OPCODE, 0, () -> FastSystemCall.swapgs(compatibility.processor));
  }
}
