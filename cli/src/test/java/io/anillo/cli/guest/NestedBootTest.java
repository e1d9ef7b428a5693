package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
  private static final String TOOL = "tools/nested-kvm";

  /** Typed at the guest's shell; the last line ends it. */
  private static final String COMMANDS =
      "uname -a; dmesg | grep -i kvm; grep -c ^processor /proc/cpuinfo; expr 12345 '*' 6789;"
          + " dd if=/dev/urandom of=/tmp/a bs=1M count=2; md5sum </tmp/a; poweroff -f";

  private static Path top() {
    Path top = Path.of("").toAbsolutePath();
    while (top.getParent() != null && !Files.exists(top.resolve(TOOL))) {
      top = top.getParent();
    }
    assumeTrue(Files.exists(top.resolve(TOOL)), TOOL + " is not in a directory above");
    return top;
  }

  private static String boot(String engine, int cpus) throws Exception {
    LinuxGuest.requireDefaultGuest();
    String java =
        String.join(
            " ",
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
            "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            "io.anillo.cli.Anillo run --engine " + engine + " --cpus " + cpus,
            "--append noxsave --timeout 10000s --stats /tmp/statistics");
    String script = "echo \"" + COMMANDS + "\" | " + java + "; s=$?; cat /tmp/statistics; exit $s";
    Process process =
        new ProcessBuilder(
                List.of(top().resolve(TOOL).toString(), "--timeout", "10000", "sh", "-c", script))
            .redirectErrorStream(true)
            .start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    System.out.println(said);
    assertThat(process.waitFor()).as(said).isZero();
    return said;
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
