package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What processors may rely on between each other holds; see litmus.s, which says by its exit value
 * what did not.
 */
class LitmusTest {
  private static final int RUNS = 3;

  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE"})
  @Timeout(value = 3, unit = TimeUnit.MINUTES)
  void fourProcessorsAgree(MachineConfig.Engine engine) throws Exception {
    for (int run = 0; run < RUNS; run++) {
      MachineConfig config = FreestandingGuest.config("litmus").withCpus(4).withEngine(engine);
      try (Machine machine = Machine.create(config)) {
        assertThat(machine.run()).as("run %d", run).isEqualTo(new MachineExit.DebugExit(0x21));
      }
    }
  }
}
