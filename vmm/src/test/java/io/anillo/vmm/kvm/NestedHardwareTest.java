package io.anillo.vmm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * The small guests on hardware that behaves as AMD's manual says: inside a machine of QEMU's
 * translator with nested AMD-V. Long, since all in there is slow.
 */
@EnabledIfSystemProperty(
    named = "anillo.long",
    matches = "true",
    disabledReason = "takes minutes; -Danillo.long=true runs it (docs/testing.md)")
@Timeout(value = 3, unit = TimeUnit.HOURS)
class NestedHardwareTest {
  private static final String TOOL = "tools/nested-kvm";

  private static String inside(String... names) throws IOException, InterruptedException {
    Path top = Path.of("").toAbsolutePath();
    while (top.getParent() != null && !Files.exists(top.resolve(TOOL))) {
      top = top.getParent();
    }
    assumeTrue(Files.exists(top.resolve(TOOL)), TOOL + " is not in a directory above");
    List<String> command =
        new ArrayList<>(
            List.of(
                top.resolve(TOOL).toString(),
                "--timeout",
                "10000",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                "--enable-native-access=ALL-UNNAMED",
                "-Danillo.nested=true",
                "-Djunit.jupiter.execution.timeout.mode=disabled",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                HardwareSuite.class.getName()));
    command.addAll(List.of(names));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    System.out.println(said);
    int status = process.waitFor();
    assertThat(status).as(said).isZero();
    return said;
  }

  @Test
  void smallGuestsRunOnRealHardwaresRules() throws Exception {
    String said =
        inside(
            "io.anillo.vmm.kvm.KvmCpuTest",
            "io.anillo.vmm.machine.EngineMoveTest",
            "io.anillo.vmm.machine.AwareGuestTest",
            "io.anillo.vmm.machine.InterprocessorCallsTest");
    assertThat(said)
        .contains("succeeded: protectedAndLongModeInBothRings()")
        .contains("succeeded: pagingOutsideLongModeInBothRings()")
        .contains("succeeded: aMachineMovesFromEngineToEngineAndBack()")
        .contains("succeeded: severalProcessorsRunOnHardware(Engine)")
        .contains("succeeded: theSameWhereTheHostsKernelHasTheLocalApics()");
  }
}
