package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Code that has run long and waits for the optimizing compiler. What runs most just now goes first;
 * what does not run any more, as after the phase of a boot that it belongs to, is sent away.
 */
final class VeryHotCode {
  /** Between two looks at what has run since. */
  private static final long LOOK_NANOS = 4_000_000;

  private final List<Entry> waiting = new ArrayList<>();
  private final Consumer<Entry> sendAway;
  private long lookedAt;

  /** A compiled place, with a sample of the general registers when it was found to be very hot. */
  static final class Entry {
    final HottestFirst.Request request;
    final CompiledCode code;
    final long[] registers;

    /** Instructions that it had run when it was last looked at, and between the last two looks. */
    private long seen;

    private long recent;

    Entry(HottestFirst.Request request, CompiledCode code, long[] registers) {
      this.request = request;
      this.code = code;
      this.registers = registers;
      this.seen = code.retired();
    }
  }

  /**
   * @param sendAway told of code that does not run any more
   */
  VeryHotCode(Consumer<Entry> sendAway) {
    this.sendAway = sendAway;
  }

  boolean isEmpty() {
    return waiting.isEmpty();
  }

  void add(Entry entry) {
    waiting.add(entry);
  }

  /** Takes what runs most; null when it is too early to tell, or nothing runs. */
  @Nullable Entry take() {
    long now = System.nanoTime();
    if (now - lookedAt < LOOK_NANOS) {
      return null;
    }
    lookedAt = now;
    Entry most = null;
    for (Entry entry : waiting) {
      long retired = entry.code.retired();
      entry.recent = retired - entry.seen;
      entry.seen = retired;
      if (most == null || entry.recent > most.recent) {
        most = entry;
      }
    }
    Entry taken = most != null && most.recent > 0 ? most : null;
    waiting.removeIf(entry -> {
      if (entry == taken) {
        return true;
      }
      if (entry.recent > 0) {
        return false;
      }
      sendAway.accept(entry);
      return true;
    });
    return taken;
  }
}
