package io.anillo.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

final class StatisticsTest {

  @Test
  void medianIsTheMiddleOrTheMeanOfTheTwoMiddleValues() {
    assertThat(Statistics.median(List.of(9.0, 1.0, 2.0))).isEqualTo(2.0);
    assertThat(Statistics.median(List.of(4.0, 1.0, 2.0, 9.0))).isEqualTo(3.0);
    assertThat(Statistics.median(List.of())).isNaN();
  }

  @Test
  void geometricMeanOfARatioAndItsInverseIsOne() {
    assertThat(Statistics.geometricMean(List.of(4.0, 0.25))).isCloseTo(1.0, within(1e-12));
  }
}
