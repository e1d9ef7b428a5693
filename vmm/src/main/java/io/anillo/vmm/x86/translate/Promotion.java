package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.function.BooleanSupplier;

/**
 * The way of very hot code to HotSpot's optimizing compiler, which has to know which ways are
 * taken, or it takes each for as likely as any other. A second translation of the same place, a
 * wide one, is compiled with profiling and runs for a moment; the first one runs again while the
 * second is optimized; then the second one stays.
 */
final class Promotion {
  /** Guest instructions for which a region is profiled, about. */
  private static final long PROFILED_INSTRUCTIONS = 300_000;

  /** A region that is not entered any more is not profiled for ever. */
  private static final long PROFILED_NANOS = 60_000_000;

  /** For so long at most, HotSpot's optimizing compiler is left to other methods. */
  private static final long POLITE_NANOS = 10_000_000;

  /** How a promotion ended, if it has. */
  enum Progress {
    GOING_ON,
    /** The optimized translation runs. */
    DONE,
    /** The place is not run any more, or the second translation is no good: the first one stays. */
    COLD,
    /** HotSpot refused, or the guest overwrote the code. */
    GIVEN_UP
  }

  private enum Stage {
    WAITING_FOR_PROFILE,
    PROFILING,
    PROFILED,
    OPTIMIZING
  }

  private final HotSpotCompilers compilers;
  private final CompiledCode first;
  private final Translation second;
  private final BooleanSupplier install;
  private final HottestFirst.Request request;
  private Stage stage = Stage.WAITING_FOR_PROFILE;
  private long since;

  /**
   * @param first what runs at the place now
   * @param second made of the same place
   * @param install lets the second one run, if its code is still what it was
   */
  Promotion(
      HotSpotCompilers compilers,
      HottestFirst.Request request,
      CompiledCode first,
      Translation second,
      BooleanSupplier install) {
    this.compilers = compilers;
    this.request = request;
    this.first = first;
    this.second = second;
    this.install = install;
    compilers.request(second.method(), HotSpotCompilers.PROFILING);
  }

  HottestFirst.Request request() {
    return request;
  }

  CompiledCode first() {
    return first;
  }

  Translation second() {
    return second;
  }

  /** Takes the next step if it is time. */
  Progress advance() {
    if (!first.valid) {
      return Progress.GIVEN_UP;
    }
    if (stage != Stage.WAITING_FOR_PROFILE && !second.code().valid) {
      // It met unusual values, or the guest overwrote what only it was made of.
      request.site().use(first);
      return Progress.COLD;
    }
    if (stage == Stage.PROFILING) {
      return profile();
    }
    if (compilers.isQueued(second.method())) {
      return Progress.GOING_ON;
    }
    int level = compilers.level(second.method());
    switch (stage) {
      case WAITING_FOR_PROFILE -> {
        if (level == 0 || !install.getAsBoolean()) {
          return Progress.GIVEN_UP;
        }
        next(Stage.PROFILING);
      }
      case PROFILED -> {
        if (level == HotSpotCompilers.OPTIMIZING) {
          next(Stage.OPTIMIZING); // HotSpot saw by itself that it is hot
        } else if (compilers.isIdle(HotSpotCompilers.OPTIMIZING) || passed(POLITE_NANOS)) {
          // The processor's own methods go first: all code depends on them.
          compilers.request(second.method(), HotSpotCompilers.OPTIMIZING);
          next(Stage.OPTIMIZING);
        }
      }
      default -> {
        return level == HotSpotCompilers.OPTIMIZING && request.site().use(second.code())
            ? Progress.DONE
            : Progress.GIVEN_UP;
      }
    }
    return Progress.GOING_ON;
  }

  private Progress profile() {
    if (second.code().retired() > PROFILED_INSTRUCTIONS) {
      request.site().use(first);
      next(Stage.PROFILED);
    } else if (passed(PROFILED_NANOS)) {
      request.site().use(first);
      return Progress.COLD;
    }
    return Progress.GOING_ON;
  }

  private void next(Stage following) {
    stage = following;
    since = System.nanoTime();
  }

  private boolean passed(long nanos) {
    return System.nanoTime() - since > nanos;
  }
}
