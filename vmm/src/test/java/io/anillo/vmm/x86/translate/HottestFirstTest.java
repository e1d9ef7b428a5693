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

  private record Place(int heat) implements HotCode.Site {
    @Override
    public boolean current() {
      return true;
    }

    @Override
    public void rearm() {
      throw new UnsupportedOperationException();
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
    public boolean compiled(long physical) {
      return false;
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

  private void add(int heat) {
    waiting.add(new HottestFirst.Request(new Place(heat), new Nowhere()));
  }

  @Test
  void everythingComesOutOnceTheHottestFirst() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    List<Integer> heats = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      heats.add(random.nextInt(500));
    }
    heats.forEach(this::add);
    List<Integer> taken = new ArrayList<>();
    for (var next = waiting.take(); next != null; next = waiting.take()) {
      taken.add(next.site().heat());
    }
    heats.sort((left, right) -> right - left);
    assertThat(taken).as("seed %d", seed).isEqualTo(heats);
    assertThat(waiting.isEmpty()).isTrue();
  }

  @Test
  void whatComesLaterWaitsForOneBatchAtMost() {
    for (int i = 0; i < 100; i++) {
      add(10);
    }
    assertThat(waiting.take()).isNotNull();
    add(1000);
    int others = 0;
    for (var next = waiting.take();
        next != null && next.site().heat() < 1000;
        next = waiting.take()) {
      others++;
    }
    assertThat(others).isLessThan(20);
  }
}
