package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;

/**
 * The way of very hot code to HotSpot's optimizing compiler, which has to know which ways are
 * taken, or it takes each for as likely as any other. A second translation of the same place, a
 * wide one, runs for a moment in HotSpot's interpreter, which counts; the first one runs again
 * while the second is optimized; then the second one stays.
 */
final class Promotion {
  /** Guest instructions for which a region is profiled, about. */
  private static final long PROFILED_INSTRUCTIONS = 30_000;

  /** A region is not profiled for longer, as it is slow meanwhile. */
  private static final long PROFILED_NANOS = 40_000_000;

  /** For so long at least, HotSpot's optimizing compiler is left to other methods. */
  private static final long POLITE_NANOS = 10_000_000;

  /**
   * Instructions that run in that time, as far as known, if the code is most of what runs: urgent.
   */
  private static final long URGENT_INSTRUCTIONS = 300_000;

  /** For so long at most, the optimizing compiler is left to other methods. */
  private static final long PATIENT_NANOS = 300_000_000;

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
    MADE,
    PROFILING,
    PROFILED,
    OPTIMIZING
  }

  private final HotSpotCompilers compilers;
  private final CompiledCode first;
  private final Translation second;
  private final BooleanSupplier install;
  private final HottestFirst.Request request;
  private Stage stage = Stage.MADE;
  private long since;

  /** What the first translation had run when the second was profiled. */
  private long ranBefore;

  private Future<Boolean> optimized = CompletableFuture.completedFuture(false);

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
    compilers.profile(second.method());
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
    if (stage != Stage.MADE && !second.code().valid) {
      // It met unusual values, or the guest overwrote what only it was made of.
      request.site().use(first);
      return Progress.COLD;
    }
    switch (stage) {
      case MADE -> {
        if (!install.getAsBoolean()) {
          return Progress.GIVEN_UP;
        }
        next(Stage.PROFILING);
      }
      case PROFILING -> {
        if (second.code().retired() > PROFILED_INSTRUCTIONS) {
          request.site().use(first);
          ranBefore = first.retired();
          next(Stage.PROFILED);
        } else if (passed(PROFILED_NANOS)) {
          request.site().use(first);
          return Progress.COLD;
        }
      }
      case PROFILED -> {
        // The processor's own methods go first: all code depends on them.
        if (compilers.isIdle(HotSpotCompilers.OPTIMIZING)
            || passed(POLITE_NANOS) && isUrgent()
            || passed(PATIENT_NANOS)) {
          optimized = compilers.optimize(second.method());
          next(Stage.OPTIMIZING);
        }
      }
      case OPTIMIZING -> {
        if (!optimized.isDone() || compilers.isQueued(second.method())) {
          return Progress.GOING_ON;
        }
        if (optimized.state() == Future.State.FAILED) {
          throw new IllegalStateException("a request to HotSpot failed", optimized.exceptionNow());
        }
        return compilers.level(second.method()) == HotSpotCompilers.OPTIMIZING
                && request.site().use(second.code())
            ? Progress.DONE
            : Progress.GIVEN_UP;
      }
    }
    return Progress.GOING_ON;
  }

  private boolean isUrgent() {
    long ran = first.retired() - ranBefore;
    return ran > URGENT_INSTRUCTIONS * (System.nanoTime() - since) / POLITE_NANOS;
  }

  private void next(Stage following) {
    stage = following;
    since = System.nanoTime();
  }

  private boolean passed(long nanos) {
    return System.nanoTime() - since > nanos;
  }
}
