package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.HotCode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Code that was offered to be compiled; what runs longest gains most. That is told by what has run
 * lately, and by what is known from earlier runs of the machine. Most code is hot for a moment
 * only: what does not run any more waits for a while, and then has to become hot once more.
 */
final class HottestFirst {
  /** Requests that are taken from one look at all of them. */
  private static final int BATCH = 6;

  /** Of the instructions known from earlier runs, how many count as if they had just run. */
  private static final int EXPECTED_SHARE = 64;

  /** Instructions that have to have run lately. */
  private static final long LEAST = 200;

  /** Looks after which what does not run is given up, to be offered again. */
  private static final int PATIENCE = 200;

  private final List<Waiting> waiting = new ArrayList<>();
  private final ArrayDeque<Waiting> next = new ArrayDeque<>();

  /** Code to be compiled, and where the result goes. */
  record Request(HotCode.Site site, CodeHints hints) {}

  private static final class Waiting {
    final Request request;
    private int seen;

    /** Instructions that ran lately, those of each earlier look for half as many. */
    private long recent;

    private long worth;
    private int idleLooks;

    Waiting(Request request, int newRuns) {
      this.request = request;
      this.seen = request.site.heat() - newRuns;
    }

    /** Returns whether it is still waited for. */
    boolean look() {
      int heat = request.site.heat();
      recent = recent / 2 + (long) (heat - seen) * request.site.instructions();
      seen = heat;
      if (recent >= LEAST) {
        worth = recent + request.site.expected() / EXPECTED_SHARE;
        idleLooks = 0;
        return true;
      }
      worth = 0;
      if (++idleLooks < PATIENCE && request.site.current()) {
        return true;
      }
      request.site.rearm();
      return false;
    }
  }

  boolean isEmpty() {
    return waiting.isEmpty() && next.isEmpty();
  }

  /**
   * @param newRuns how many of the runs that the code has had count as recent
   */
  void add(Request request, int newRuns) {
    waiting.add(new Waiting(request, newRuns));
  }

  /** Takes the request whose code is the hottest, or nearly; null when none runs. */
  @Nullable Request take() {
    if (next.isEmpty()) {
      select();
    }
    Waiting taken = next.poll();
    return taken == null ? null : taken.request;
  }

  /** Moves the hottest to {@link #next}. */
  private void select() {
    waiting.removeIf(each -> !each.look());
    waiting.stream()
        .filter(each -> each.worth > 0)
        .sorted(Comparator.comparingLong((Waiting each) -> -each.worth))
        .limit(BATCH)
        .forEach(next::add);
    waiting.removeAll(next);
  }
}
