package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What runs most is optimized first; what does not run any more, not at all. */
class VeryHotCodeTest {
  private final List<VeryHotCode.Entry> sentAway = new ArrayList<>();
  private long now;
  private final VeryHotCode waiting = new VeryHotCode(sentAway::add, () -> now);

  /** Code that says what it ran when it left. */
  private final class Place {
    long ran;
    final VeryHotCode.Entry entry =
        new VeryHotCode.Entry(
            new HottestFirst.Request(new OneInstruction(0, 0), new Nowhere()),
            new NeverRun(),
            new long[16],
            () -> ran);

    Place() {
      waiting.add(entry);
    }
  }

  private VeryHotCode.Entry look() {
    now += VeryHotCode.LOOK_NANOS;
    return waiting.take();
  }

  @Test
  void takesWhatRunsMost() {
    Place slow = new Place();
    Place fast = new Place();
    slow.ran = 100;
    fast.ran = 1000;
    assertThat(look()).isSameAs(fast.entry);
    assertThat(look()).isSameAs(slow.entry);
    assertThat(waiting.isEmpty()).isTrue();
  }

  @Test
  void looksNoOftenerThanIsOfUse() {
    Place first = new Place();
    assertThat(look()).isSameAs(first.entry);
    new Place();
    now += VeryHotCode.LOOK_NANOS / 2;
    assertThat(waiting.take()).isNull();
    assertThat(waiting.isEmpty()).isFalse();
  }

  /** As a loop is that leaves only for the guest's timer: what it ran is not known meanwhile. */
  @Test
  void waitsForCodeThatIsInALoop() {
    Place busy = new Place();
    Place loop = new Place();
    for (int i = 1; i < VeryHotCode.PATIENCE; i++) {
      Place other = new Place();
      other.ran = 1_000_000;
      assertThat(look()).isSameAs(other.entry);
      busy.ran += 10;
    }
    loop.ran = 4_000_000;
    assertThat(look()).isSameAs(loop.entry);
    assertThat(sentAway).isEmpty();
  }

  @Test
  void sendsAwayWhatDoesNotRunAnyMore() {
    Place over = new Place();
    for (int i = 0; i < VeryHotCode.PATIENCE; i++) {
      Place other = new Place();
      other.ran = 1_000_000;
      assertThat(look()).isSameAs(other.entry);
    }
    assertThat(sentAway).containsExactly(over.entry);
    assertThat(waiting.isEmpty()).isTrue();
  }
}
