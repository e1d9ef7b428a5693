package io.anillo.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.machine.MachineConfig.Engine;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** Which engine runs on hosts of several kinds, and the one line that says why. */
class EngineChoiceTest {
  private static final long CHECK_EXTENSION = 0xAE03, SET_MSRS = 0x4008_AE89;
  private static final long CAP_SPLIT_IRQCHIP = 121, CAP_X86_MSR_FILTER = 189;

  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  private Engine choose(MachinePlan.Engine wanted, Supplier<HostSystem> host) {
    said.reset();
    return new EngineChoice(new PrintStream(said, true, StandardCharsets.UTF_8), host).of(wanted);
  }

  private String said() {
    return said.toString(StandardCharsets.UTF_8);
  }

  /** A host whose device is somebody else's. */
  private static final class NotOurs extends HostSystem {
    @Override
    public int open(String path) {
      return -1;
    }

    @Override
    public int errno() {
      return EACCES;
    }
  }

  /** A host without the device. */
  private static final class NoDevice extends HostSystem {
    @Override
    public int open(String path) {
      return -1;
    }

    @Override
    public int errno() {
      return ENOENT;
    }
  }

  /** A host whose kernel lacks one capability. */
  private static final class Older extends HostSystem {
    private final long lacking;

    Older(long lacking) {
      this.lacking = lacking;
    }

    @Override
    public int ioctl(int descriptor, long request, long argument) {
      return request == CHECK_EXTENSION && argument == lacking
          ? 0
          : super.ioctl(descriptor, request, argument);
    }
  }

  /** A host that takes no model-specific register. */
  private static final class Refusing extends HostSystem {
    @Override
    public int ioctl(int descriptor, long request, long argument) {
      return request == SET_MSRS ? 0 : super.ioctl(descriptor, request, argument);
    }
  }

  private static void requireKvm() {
    KvmProbe.Result here = KvmProbe.measure();
    assumeTrue(here.instructionsPerSecond() > 0, "the hardware cannot be used: " + here.sentence());
  }

  @Test
  void withoutPermissionTheTranslatorRunsAndOneLineSaysSo() {
    assertThat(choose(MachinePlan.Engine.KVM, NotOurs::new)).isEqualTo(Engine.TRANSLATE);
    assertThat(said())
        .isEqualTo(
            "anillo: engine translate instead of kvm: you may not use /dev/kvm: join the group"
                + " that owns it.\n");
    assertThat(choose(MachinePlan.Engine.KVM_LOCAL_APICS, NotOurs::new))
        .isEqualTo(Engine.TRANSLATE);
    assertThat(said()).hasLineCount(1);
  }

  @Test
  void withoutTheDeviceTheTranslatorRunsAndOneLineSaysSo() {
    assertThat(choose(MachinePlan.Engine.AUTO, NoDevice::new)).isEqualTo(Engine.TRANSLATE);
    assertThat(said()).isEqualTo("anillo: engine translate: this host has no /dev/kvm.\n");
    assertThat(choose(MachinePlan.Engine.KVM, NoDevice::new)).isEqualTo(Engine.TRANSLATE);
    assertThat(said())
        .isEqualTo("anillo: engine translate instead of kvm: this host has no /dev/kvm.\n");
  }

  @Test
  void onAnOlderKernelTheTranslatorRunsAndOneLineSaysSo() {
    requireKvm();
    for (MachinePlan.Engine wanted :
        new MachinePlan.Engine[] {MachinePlan.Engine.KVM, MachinePlan.Engine.AUTO}) {
      assertThat(choose(wanted, () -> new Older(CAP_X86_MSR_FILTER))).isEqualTo(Engine.TRANSLATE);
      assertThat(said())
          .startsWith("anillo: engine translate")
          .endsWith("this host's KVM lacks KVM_CAP_X86_MSR_FILTER, which Linux has since 5.14.\n")
          .hasLineCount(1);
    }
  }

  @Test
  void aHostThatRefusesRegistersIsNotUsedAndOneLineSaysSo() {
    requireKvm();
    for (MachinePlan.Engine wanted :
        new MachinePlan.Engine[] {MachinePlan.Engine.KVM, MachinePlan.Engine.AUTO}) {
      assertThat(choose(wanted, Refusing::new)).isEqualTo(Engine.TRANSLATE);
      assertThat(said())
          .startsWith("anillo: engine translate")
          .contains("refuses model-specific register 0x")
          .hasLineCount(1);
    }
  }

  @Test
  void withoutLocalApicsInTheKernelTheBoardsAreUsed() {
    requireKvm();
    assertThat(choose(MachinePlan.Engine.KVM_LOCAL_APICS, () -> new Older(CAP_SPLIT_IRQCHIP)))
        .isEqualTo(Engine.KVM);
    assertThat(said())
        .contains(
            "anillo: local APICs of our own instead of the kernel's: this host's KVM has no local"
                + " APICs without the other controllers.\n");
  }
}
