package io.anillo.vmm.machine;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Arithmetic with denormal numbers, zeros, infinities and NaNs gives what a processor gives, in
 * code that leaves for them and in what is made when that happens too often; see unusual.s.
 */
class UnusualValuesTest {
  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void resultsAreTheProcessors(MachineConfig.Engine engine) throws Exception {
    FreestandingGuest.assertRight("unusual", engine);
  }
}
