package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HottestFirstTest {
  private final HottestFirst waiting = new HottestFirst();

  private OneInstruction add(int newRuns, long expected) {
    OneInstruction place = new OneInstruction(newRuns, expected);
    waiting.add(new HottestFirst.Request(place, new Nowhere()), newRuns);
    return place;
  }

  @Test
  void whatRunsComesOutOnceTheHottestFirst() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    List<OneInstruction> places = new ArrayList<>();
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
    OneInstruction before = add(1000, 0);
    OneInstruction now = add(1000, 0);
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
    OneInstruction known = add(1000, 100_000_000);
    assertThat(waiting.take()).isNotNull().extracting(HottestFirst.Request::site).isSameAs(known);
  }

  @Test
  void whatDoesNotRunAnyMoreIsGivenUpAndOfferedAgain() {
    List<OneInstruction> places = new ArrayList<>();
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
