package io.anillo.vmm.machine;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Code that was linked to other code goes where it leads now; see linked.s, which says by its exit
 * value what did not.
 */
class LinkedCodeTest {
  @ParameterizedTest
  @EnumSource(
      value = MachineConfig.Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  @Timeout(value = 2, unit = TimeUnit.MINUTES)
  void goesWhereTheCodeLeads(MachineConfig.Engine engine) throws Exception {
    FreestandingGuest.assertRight("linked", engine);
  }
}
