package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** The optimizing compiler rests while code waits for the fast one, but not for ever. */
class OptimizerShareTest {
  private static final long STEP = OptimizerShare.CALM_NANOS / 4;

  private long now = 1;
  private boolean resting;

  private final OptimizerShare share =
      new OptimizerShare(() -> setResting(true), () -> setResting(false), () -> now);

  private void setResting(boolean next) {
    assertThat(resting).isNotEqualTo(next);
    resting = next;
  }

  private void pass(long nanos, boolean waiting) {
    for (long end = now + nanos; now < end; now += STEP) {
      share.update(waiting);
      assertThat(share.isResting()).isEqualTo(resting);
    }
  }

  @Test
  void restsWhileCodeWaitsAndALittleLonger() {
    pass(10 * STEP, false);
    assertThat(resting).isFalse();
    pass(10 * STEP, true);
    assertThat(resting).isTrue();
    pass(2 * STEP, false);
    assertThat(resting).as("more may follow at once").isTrue();
    pass(10 * STEP, false);
    assertThat(resting).isFalse();
    pass(STEP, true);
    assertThat(resting).isTrue();
  }

  @Test
  void getsHalfOfTheTimeWhateverWaits() {
    pass(OptimizerShare.MOST_NANOS + 2 * STEP, true);
    assertThat(resting).isFalse();
    pass(OptimizerShare.MOST_NANOS - 10 * STEP, true);
    assertThat(resting).isFalse();
    pass(20 * STEP, true);
    assertThat(resting).isTrue();
  }

  @Test
  void doesNotRestForEverWhenTheMachineIsGone() {
    pass(10 * STEP, true);
    assertThat(resting).isTrue();
    share.end();
    assertThat(resting).isFalse();
    share.end();
  }
}
