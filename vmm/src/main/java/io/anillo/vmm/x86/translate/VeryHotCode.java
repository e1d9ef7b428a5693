package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Code that has run long and waits for the optimizing compiler. What runs most just now goes first;
 * what does not run any more, as after the phase of a boot that it belongs to, is sent away.
 */
final class VeryHotCode {
  /** Between two looks at what has run since. */
  static final long LOOK_NANOS = 4_000_000;

  /**
   * Looks after which code that has not run is sent away. What code ran is known when it leaves, as
   * for the guest's timer: that may be some looks later.
   */
  static final int PATIENCE = 12;

  private final List<Entry> waiting = new ArrayList<>();
  private final Consumer<Entry> sendAway;
  private final LongSupplier clock;
  private long lookedAt;

  /** A compiled place, with a sample of the general registers when it was found to be very hot. */
  static final class Entry {
    final HottestFirst.Request request;
    final CompiledCode code;
    final long[] registers;
    private final LongSupplier retired;

    /** Instructions that it had run when it was last looked at. */
    private long seen;

    /** Instructions that ran lately, those of each earlier look for half as many; some at first. */
    private long recent = 2;

    private int idleLooks;

    Entry(HottestFirst.Request request, CompiledCode code, long[] registers) {
      this(request, code, registers, code::retired);
    }

    /**
     * @param retired what counts the instructions that the code ran
     */
    Entry(HottestFirst.Request request, CompiledCode code, long[] registers, LongSupplier retired) {
      this.request = request;
      this.code = code;
      this.registers = registers;
      this.retired = retired;
      this.seen = retired.getAsLong();
    }

    private void look() {
      long now = retired.getAsLong();
      recent = recent / 2 + now - seen;
      idleLooks = now == seen ? idleLooks + 1 : 0;
      seen = now;
    }
  }

  /**
   * @param sendAway told of code that does not run any more
   * @param clock nanoseconds
   */
  VeryHotCode(Consumer<Entry> sendAway, LongSupplier clock) {
    this.sendAway = sendAway;
    this.clock = clock;
    lookedAt = clock.getAsLong() - LOOK_NANOS;
  }

  boolean isEmpty() {
    return waiting.isEmpty();
  }

  void add(Entry entry) {
    waiting.add(entry);
  }

  /** Takes what runs most; null when it is too early to tell, or nothing runs. */
  @Nullable Entry take() {
    long now = clock.getAsLong();
    if (now - lookedAt < LOOK_NANOS) {
      return null;
    }
    lookedAt = now;
    Entry most = null;
    for (Entry entry : waiting) {
      entry.look();
      if (most == null || entry.recent > most.recent) {
        most = entry;
      }
    }
    Entry taken = most != null && most.recent > 0 ? most : null;
    waiting.removeIf(entry -> {
      if (entry == taken) {
        return true;
      }
      if (entry.idleLooks < PATIENCE) {
        return false;
      }
      sendAway.accept(entry);
      return true;
    });
    return taken;
  }
}
