package io.anillo.vmm.machine;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Accesses that share a lookup fault and succeed each for itself; see stretches.s, which says by
 * its exit value what did not.
 */
class StretchTest {
  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void everyAccessIsItsOwn(MachineConfig.Engine engine) throws Exception {
    FreestandingGuest.assertRight("stretches", engine);
  }
}
