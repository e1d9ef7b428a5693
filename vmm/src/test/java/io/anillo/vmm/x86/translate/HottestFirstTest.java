package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HottestFirstTest {
  private final HottestFirst waiting = new HottestFirst();

  /** A block of one instruction. */
  private static final class Place implements HotCode.Site {
    private final long expected;
    private int heat;
    private boolean rearmed;

    Place(int heat, long expected) {
      this.heat = heat;
      this.expected = expected;
    }

    @Override
    public boolean current() {
      return true;
    }

    @Override
    public int heat() {
      return heat;
    }

    @Override
    public int instructions() {
      return 1;
    }

    @Override
    public long expected() {
      return expected;
    }

    @Override
    public void rearm() {
      rearmed = true;
    }

    @Override
    public boolean use(CompiledCode code) {
      throw new UnsupportedOperationException();
    }

    @Override
    public HotCode.Snapshot snapshot(List<Long> physicalPages) {
      throw new UnsupportedOperationException();
    }
  }

  /** Nobody asks for the surroundings here. */
  private record Nowhere() implements CodeHints {
    @Override
    public long linear() {
      return 0;
    }

    @Override
    public long physical() {
      return 0;
    }

    @Override
    public long physicalPage(long linearPage) {
      return -1;
    }

    @Override
    public int heat(long physical) {
      return 0;
    }

    @Override
    public long key(long physical) {
      return 0;
    }

    @Override
    public int compiled(long physical) {
      return 0;
    }

    @Override
    public long[] registers() {
      return new long[16];
    }

    @Override
    public long[] targets(long linear) {
      return new long[0];
    }
  }

  private Place add(int newRuns, long expected) {
    Place place = new Place(newRuns, expected);
    waiting.add(new HottestFirst.Request(place, new Nowhere()), newRuns);
    return place;
  }

  @Test
  void whatRunsComesOutOnceTheHottestFirst() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    List<Place> places = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      places.add(add(1000 + random.nextInt(500), 0));
    }
    List<Integer> taken = new ArrayList<>();
    for (var next = waiting.take(); next != null; next = waiting.take()) {
      taken.add(next.site().heat());
      places.forEach(each -> each.heat += 500);
    }
    assertThat(taken).as("seed %d", seed).hasSize(200);
    assertThat(waiting.isEmpty()).isTrue();
  }

  @Test
  void whatRunsMostNowGoesFirst() {
    Place before = add(1000, 0);
    Place now = add(1000, 0);
    for (int i = 0; i < 20; i++) {
      add(5000, 0);
    }
    for (int i = 0; i < 6; i++) {
      assertThat(waiting.take()).isNotNull();
    }
    now.heat += 10_000;
    assertThat(waiting.take()).isNotNull().extracting(HottestFirst.Request::site).isSameAs(now);
    assertThat(before.rearmed).isFalse();
  }

  @Test
  void whatIsKnownToRunLongGoesFirst() {
    add(1000, 0);
    Place known = add(1000, 100_000_000);
    assertThat(waiting.take()).isNotNull().extracting(HottestFirst.Request::site).isSameAs(known);
  }

  @Test
  void whatDoesNotRunAnyMoreIsGivenUpAndOfferedAgain() {
    List<Place> places = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      places.add(add(1000, 0));
    }
    int taken = 0;
    for (int i = 0; i < 1000; i++) {
      taken += waiting.take() == null ? 0 : 1;
    }
    assertThat(taken).isBetween(1, 50);
    assertThat(waiting.isEmpty()).isTrue();
    assertThat(places.stream().filter(each -> each.rearmed)).hasSize(100 - taken);
  }
}
