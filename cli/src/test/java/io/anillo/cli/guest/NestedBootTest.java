package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * The default guest, a full Linux, on the engine {@code kvm} inside a machine with nested AMD-V.
 * Long: QEMU's translator runs a kernel, which runs our virtual machine, which runs Linux.
 *
 * <p>{@code noxsave}, since XRSTOR from a signal's frame fails in QEMU's nested guests that have no
 * AVX (7.2; in those of QEMU's own {@code -accel kvm} as well).
 */
@EnabledIfSystemProperty(
    named = "anillo.long",
    matches = "true",
    disabledReason = "takes minutes; -Danillo.long=true runs it (docs/testing.md)")
@Timeout(value = 3, unit = TimeUnit.HOURS)
class NestedBootTest {
  /** Typed at the guest's shell; the last line ends it. */
  private static final String COMMANDS =
      "uname -a; dmesg | grep -i kvm; grep -c ^processor /proc/cpuinfo; expr 12345 '*' 6789;"
          + " dd if=/dev/urandom of=/tmp/a bs=1M count=2; md5sum </tmp/a; poweroff -f";

  private static String boot(String engine, int cpus) throws Exception {
    LinuxGuest.requireDefaultGuest();
    String command =
        String.join(" ", NestedMachine.java())
            + " io.anillo.cli.Anillo run --engine "
            + engine
            + " --cpus "
            + cpus
            + " --append noxsave --timeout 10000s --stats /tmp/statistics";
    return NestedMachine.run(
        "3G", "echo \"" + COMMANDS + "\" | " + command + "; s=$?; cat /tmp/statistics; exit $s");
  }

  @Test
  void linuxBootsWorksAndPowersOffOnOneProcessor() throws Exception {
    assertThat(boot("kvm", 1))
        .contains("Hypervisor detected: KVM")
        .contains("83810205")
        .contains("\"engine\": \"kvm\"");
  }

  @Test
  void linuxBootsWorksAndPowersOffOnTwoProcessors() throws Exception {
    assertThat(boot("kvm", 2)).containsPattern("(?m)^2$").contains("83810205");
  }

  @Test
  void linuxBootsWorksAndPowersOffWithLocalApicsInTheKernel() throws Exception {
    assertThat(boot("kvm,apic=kernel", 2))
        .containsPattern("(?m)^2$")
        .contains("83810205")
        .contains("\"engine\": \"kvm_local_apics\"");
  }
}
