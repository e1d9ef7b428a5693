package io.anillo.vmm.x86.execute.simd;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.memory.GuestMemory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Every instruction does what a real processor was recorded to do, flags and exceptions included.
 */
class SimdVectorTest {
  @Test
  void everyRecordedInstructionGivesTheSameResultFlagsAndExceptions() {
    List<String> differences = new ArrayList<>();
    int cases = 0;
    try (GuestMemory memory = new GuestMemory(GuestMemory.PAGE_BYTES)) {
      SimdVectors vectors = new SimdVectors(memory);
      for (SimdVectors.Group group : vectors.groups()) {
        cases += group.cases();
        List<String> found = vectors.replay(group);
        differences.addAll(found.subList(0, Math.min(found.size(), 3)));
      }
    }
    assertThat(differences).isEmpty();
    assertThat(cases).isGreaterThan(80_000);
  }
}
