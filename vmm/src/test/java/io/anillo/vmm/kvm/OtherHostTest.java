package io.anillo.vmm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.x86.interpret.SmallMachine;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a person is told on hosts whose kernel is older, or refuses something. */
@Timeout(value = 1, unit = TimeUnit.MINUTES)
class OtherHostTest {
  private static final int LSTAR = 0xC000_0082, TSC_DEADLINE = 0x6E0;
  private static final int GENERAL_PROTECTION = 13;

  private static String probed(OtherHost.Ways ways) {
    KvmProbe.Result result = KvmProbe.measure(() -> new OtherHost(ways));
    assertThat(result.fast()).isFalse();
    assertThat(result.instructionsPerSecond()).isZero();
    return result.sentence();
  }

  private static void requireKvm() {
    KvmProbe.Result here = KvmProbe.measure();
    assumeTrue(here.instructionsPerSecond() > 0, "the hardware cannot be used: " + here.sentence());
  }

  @Test
  void aDeviceThatIsMissingOrNotOursIsNamed() {
    assertThat(probed(OtherHost.Ways.AS_HERE.notOpened(HostSystem.ENOENT)))
        .isEqualTo("this host has no /dev/kvm");
    assertThat(probed(OtherHost.Ways.AS_HERE.notOpened(HostSystem.EACCES)))
        .isEqualTo("you may not use /dev/kvm: join the group that owns it");
    assertThat(probed(OtherHost.Ways.AS_HERE.notOpened(HostSystem.EBUSY)))
        .isEqualTo("/dev/kvm cannot be opened, error 16");
  }

  @Test
  void capabilitiesThatAnOlderKernelLacksAreNamed() {
    requireKvm();
    assertThat(probed(OtherHost.Ways.AS_HERE.lacking(KvmNumbers.CAP_SREGS2)))
        .isEqualTo("this host's KVM lacks KVM_CAP_SREGS2, which Linux has since 5.14");
    assertThat(
            probed(
                OtherHost.Ways.AS_HERE.lacking(
                    KvmNumbers.CAP_X86_MSR_FILTER, KvmNumbers.CAP_IMMEDIATE_EXIT)))
        .isEqualTo(
            "this host's KVM lacks KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_X86_MSR_FILTER, which Linux has"
                + " since 5.14");
  }

  @Test
  void refusalsAreOneSentenceEach() {
    requireKvm();
    OtherHost.Ways here = OtherHost.Ways.AS_HERE;
    assertThat(probed(here.failing(KvmNumbers.CREATE_VM, HostSystem.EINVAL)))
        .isEqualTo("KVM makes no virtual machine, error 22");
    assertThat(probed(here.failing(KvmNumbers.SET_MSR_FILTER, HostSystem.EINVAL)))
        .isEqualTo("KVM refuses the filter for model-specific registers");
    assertThat(probed(here.failing(KvmNumbers.SET_CPUID2, HostSystem.EINVAL)))
        .isEqualTo("KVM refuses the processor model, error 22");
    assertThat(probed(here.failing(KvmNumbers.CREATE_VCPU, HostSystem.EINVAL)))
        .isEqualTo("KVM makes no processor 0, error 22");
    assertThat(probed(here.failing(KvmNumbers.RUN, HostSystem.EINVAL)))
        .isEqualTo("KVM does not run guest code here: KVM cannot run the processor, error 22");
    assertThat(probed(here.refusing(LSTAR, 0)))
        .isEqualTo(
            "KVM does not run guest code here: the host's KVM refuses model-specific register"
                + " 0xc0000082 = 0x0");
  }

  private static Optional<String> lack(OtherHost.Ways ways) {
    return KvmProbe.whyNoLocalApics(() -> new OtherHost(ways));
  }

  @Test
  void whatLocalApicsInTheKernelNeedIsNamed() {
    requireKvm();
    assumeTrue(lack(OtherHost.Ways.AS_HERE).isEmpty(), "this kernel has no local APICs for us");
    assertThat(lack(OtherHost.Ways.AS_HERE.lacking(KvmNumbers.CAP_SPLIT_IRQCHIP)))
        .contains("this host's KVM has no local APICs without the other controllers");
    assertThat(lack(OtherHost.Ways.AS_HERE.lacking(KvmNumbers.CAP_IOEVENTFD_ANY_LENGTH)))
        .contains("this host's KVM hears no doorbells");
    assertThat(lack(OtherHost.Ways.AS_HERE.refusing(TSC_DEADLINE, 0)))
        .contains("the host's KVM refuses model-specific register 0x6e0 = 0x0");
    assertThat(lack(OtherHost.Ways.AS_HERE.lacking(KvmNumbers.CAP_IRQFD)))
        .as("messages go by calls then")
        .isEmpty();
  }

  @Test
  void aRegisterThatIsRefusedToAGuestIsItsFault() throws KvmException {
    requireKvm();
    try (SmallMachine small = new SmallMachine()) {
      small.longMode(true);
      // mov ecx, LSTAR; mov eax, 0x1000; xor edx, edx; wrmsr; mov eax, 0x2000; wrmsr
      small.code(SmallMachine.CODE, "b9820000c0 b800100000 31d2 0f30 b800200000 0f30");
      OtherHost.Ways ways = OtherHost.Ways.AS_HERE.refusing(LSTAR, 0x2000);
      try (HardwareMachine hardware = new HardwareMachine(small, () -> new OtherHost(ways))) {
        assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
        CpuState state = hardware.cpu.state();
        assertThat(state.lstar).isEqualTo(0x1000);
        HardwareMachine.move(state, small.state);
        small.assertFault(GENERAL_PROTECTION, SmallMachine.CODE + 19);
      }
    }
  }
}
