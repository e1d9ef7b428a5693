package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.machine.MachineConfig.Engine;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * A full Linux that moves from an engine in software on this host to the hardware of a machine with
 * nested AMD-V, and there from engine to engine, in the middle of its work ({@link MovedLinux}).
 */
@EnabledIfSystemProperty(
    named = "anillo.long",
    matches = "true",
    disabledReason = "takes minutes; -Danillo.long=true runs it (docs/testing.md)")
@Timeout(value = 3, unit = TimeUnit.HOURS)
class NestedMoveTest {
  @TempDir private Path directory;

  private void move(int cpus, Engine first, Engine... way) throws Exception {
    LinuxGuest.requireDefaultGuest();
    new MovedLinux(directory, cpus).begin(first);
    String engines = Arrays.stream(way).map(Engine::name).collect(Collectors.joining(" "));
    String said =
        NestedMachine.run(
            "4G",
            String.join(" ", NestedMachine.java())
                + " "
                + String.join(" ", MovedLinux.class.getName(), "" + directory, "" + cpus, engines));
    for (Engine engine : way) {
      assertThat(said).contains("moved to " + engine);
    }
    assertThat(said).contains("ended as PoweredOff");
  }

  @Test
  void oneProcessor() throws Exception {
    move(1, Engine.INTERPRET, Engine.KVM, Engine.TRANSLATE, Engine.KVM);
  }

  /** Calls between processors need local APICs in the kernel. */
  @Test
  void localApicsInTheKernel() throws Exception {
    move(1, Engine.INTERPRET, Engine.KVM, Engine.KVM_LOCAL_APICS, Engine.TRANSLATE);
    move(2, Engine.TRANSLATE, Engine.KVM_LOCAL_APICS, Engine.TRANSLATE, Engine.KVM_LOCAL_APICS);
  }
}
