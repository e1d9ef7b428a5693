package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * System calls come back where the kernel says, in the state it says, whatever translated code
 * expects; see systemcalls.s, which says by its exit value what did not.
 */
class SystemCallTest {
  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void comesBackAsTheKernelSays(MachineConfig.Engine engine) throws Exception {
    MachineConfig config = FreestandingGuest.config("systemcalls").withEngine(engine);
    try (Machine machine = Machine.create(config)) {
      assertThat(machine.run()).isEqualTo(new MachineExit.DebugExit(0x21));
      assertThat(machine.translator().flatMap(translator -> translator.failure())).isEmpty();
    }
  }
}
