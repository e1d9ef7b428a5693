package io.anillo.vmm.x86.execute.fpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/**
 * The unit against vectors recorded from a real processor: numbers, status, tags, flags and memory.
 */
class X87VectorTest {
  @Test
  void doesWhatAProcessorWasRecordedToDo() throws IOException {
    try (X87Vectors vectors = new X87Vectors(false)) {
      vectors.replay("/vectors/x87-exact.bin.gz");
      assertThat(vectors.differences()).isEmpty();
      assertThat(vectors.cases()).isGreaterThan(40_000);
    }
  }

  @Test
  void transcendentalResultsAreWithinOneUnitInTheLastPlaceOfTheRecordedOnes() throws IOException {
    try (X87Vectors vectors = new X87Vectors(true)) {
      vectors.replay("/vectors/x87-transcendental.bin.gz");
      assertThat(vectors.differences()).isEmpty();
      assertThat(vectors.cases()).isGreaterThan(5_000);
      assertThat(vectors.inexact()).isLessThan(vectors.cases() / 10);
    }
  }
}
