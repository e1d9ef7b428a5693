package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;

/**
 * The way of one very hot region from HotSpot's fast compiler to its optimizing one, which has to
 * know which ways are taken, or it takes each for as likely as any other: profiled for a moment;
 * then compiled fast again, since profiling is slow and optimizing takes its time; then optimized.
 */
final class Promotion {
  /** Guest instructions for which a region is profiled, about. */
  private static final long PROFILED_INSTRUCTIONS = 200_000;

  /** A region that is not entered any more is not profiled for ever. */
  private static final long PROFILED_NANOS = 500_000_000;

  private final HotSpotCompilers compilers;
  private final Translation translation;
  private Stage stage = Stage.WAITING_FOR_PROFILE;
  private long profiledFrom;
  private long since = System.nanoTime();

  private enum Stage {
    WAITING_FOR_PROFILE,
    PROFILING,
    FAST_AGAIN
  }

  Promotion(HotSpotCompilers compilers, Translation translation) {
    this.compilers = compilers;
    this.translation = translation;
    compilers.request(translation.method(), HotSpotCompilers.PROFILING);
  }

  /** Takes the next step if it is time; returns whether nothing more is to be done. */
  boolean advance() {
    CompiledCode code = translation.code();
    if (!code.valid) {
      return true;
    }
    if (compilers.isQueued(translation.method())) {
      return false;
    }
    int level = compilers.level(translation.method());
    switch (stage) {
      case WAITING_FOR_PROFILE -> {
        if (level != HotSpotCompilers.PROFILING) {
          return true; // HotSpot refused, or has gone further already
        }
        stage = Stage.PROFILING;
        profiledFrom = code.retired();
        since = System.nanoTime();
      }
      case PROFILING -> {
        if (level != HotSpotCompilers.PROFILING) {
          return true;
        }
        if (code.retired() - profiledFrom > PROFILED_INSTRUCTIONS
            || System.nanoTime() - since > PROFILED_NANOS) {
          compilers.request(translation.method(), HotSpotCompilers.FAST);
          stage = Stage.FAST_AGAIN;
        }
      }
      case FAST_AGAIN -> {
        compilers.request(translation.method(), HotSpotCompilers.OPTIMIZING);
        return true;
      }
    }
    return false;
  }
}
