package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.translate.Translator;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Code that is overwritten while it is hot does what it says now; see rewrite.s, which says by its
 * exit value what did not.
 */
class RewrittenCodeTest {
  private static final MachineExit RIGHT = new MachineExit.DebugExit(0x21);

  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void runsAsItWasWrittenLast(MachineConfig.Engine engine) throws Exception {
    assertThat(run(FreestandingGuest.config("rewrite").withEngine(engine))).isEqualTo(RIGHT);
  }

  @Test
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void codeWithoutEndStaysWithinItsLimit() throws Exception {
    long limit = 100_000;
    MachineConfig config =
        FreestandingGuest.config("rewrite").withEngine(MachineConfig.Engine.TRANSLATE_EVERYTHING);
    try (Machine machine = Machine.create(config)) {
      Translator translator = machine.translator().orElseThrow();
      translator.limitCode(limit);
      assertThat(machine.run()).isEqualTo(RIGHT);
      assertThat(translator.metrics().evictions()).isPositive();
      assertThat(translator.metrics().keptBytes()).isLessThanOrEqualTo(limit);
    }
  }

  private static MachineExit run(MachineConfig config) throws Exception {
    try (Machine machine = Machine.create(config)) {
      MachineExit exit = machine.run();
      assertThat(machine.translator().flatMap(translator -> translator.failure())).isEmpty();
      return exit;
    }
  }
}
