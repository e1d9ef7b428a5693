package io.anillo.vmm.machine;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Loops whose accesses need no lookup as long as they stay in a page, where they do not; see
 * pages.s, which says by its exit value what went wrong.
 */
class KeptPagesTest {
  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void everyAccessIsItsOwn(MachineConfig.Engine engine) throws Exception {
    FreestandingGuest.assertRight("pages", engine);
  }
}
