package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.HotCode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Code that was offered to be compiled; what runs longest gains most, so what has run most since
 * goes first. Most of it never becomes hot enough to get its turn.
 */
final class HottestFirst {
  /** Requests that are taken from one look at all of them. */
  private static final int BATCH = 12;

  private final List<Request> waiting = new ArrayList<>();
  private final ArrayDeque<Request> next = new ArrayDeque<>();
  private final int[] heats = new int[BATCH];
  private final int[] places = new int[BATCH];

  /** Code to be compiled, and where the result goes. */
  record Request(HotCode.Site site, CodeHints hints) {}

  boolean isEmpty() {
    return waiting.isEmpty() && next.isEmpty();
  }

  void add(Request request) {
    waiting.add(request);
  }

  /** Takes the request whose code is the hottest, or nearly; null when there is none. */
  @Nullable Request take() {
    if (next.isEmpty()) {
      select();
    }
    return next.poll();
  }

  /** Moves the hottest to {@link #next}. */
  private void select() {
    int found = 0;
    for (int i = 0; i < waiting.size(); i++) {
      int heat = waiting.get(i).site.heat();
      if (found == BATCH && heat <= heats[BATCH - 1]) {
        continue;
      }
      int at = found < BATCH ? found++ : BATCH - 1;
      while (at > 0 && heats[at - 1] < heat) {
        heats[at] = heats[at - 1];
        places[at] = places[at - 1];
        at--;
      }
      heats[at] = heat;
      places[at] = i;
    }
    List<Integer> taken = new ArrayList<>();
    for (int i = 0; i < found; i++) {
      next.add(waiting.get(places[i]));
      taken.add(places[i]);
    }
    taken.sort((left, right) -> right - left);
    for (int place : taken) {
      waiting.set(place, waiting.getLast());
      waiting.removeLast();
    }
  }
}
