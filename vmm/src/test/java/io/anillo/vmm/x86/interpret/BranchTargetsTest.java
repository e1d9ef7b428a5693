package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class BranchTargetsTest {
  private static final long PLACE = 0xFFFF_FFFF_8100_0123L;
  private final BranchTargets targets = new BranchTargets();

  @Test
  void knowsTheLastThreeTheLatestFirst() {
    assertThat(targets.of(PLACE)).isEmpty();
    targets.note(PLACE, 0x1000);
    assertThat(targets.of(PLACE)).containsExactly(0x1000);
    targets.note(PLACE, 0x2000);
    targets.note(PLACE, 0x3000);
    targets.note(PLACE, 0x4000);
    assertThat(targets.of(PLACE)).containsExactly(0x4000, 0x3000, 0x2000);
  }

  @Test
  void oneThatComesAgainMovesToTheFront() {
    for (long target : new long[] {0x1000, 0x2000, 0x3000, 0x1000, 0x1000}) {
      targets.note(PLACE, target);
    }
    assertThat(targets.of(PLACE)).containsExactly(0x1000, 0x3000, 0x2000);
  }

  @Test
  void anotherPlaceInTheSameEntryPushesItOut() {
    targets.note(PLACE, 0x1000);
    long other = PLACE + 0x40_0000_0000L;
    targets.note(other, 0x2000);
    assertThat(targets.of(other)).containsExactly(0x2000);
    assertThat(targets.of(PLACE)).isNotEqualTo(new long[] {0x2000});
  }
}
