package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.Optional;

/**
 * Gets a region past HotSpot's interpreter, in which it would run slower than interpreted guest
 * code, before the guest runs it.
 */
sealed interface WarmUp {
  /** How far it is. */
  enum Progress {
    GOING_ON,
    /** The region can be run, or has to be run as it is. */
    DONE,
    /** HotSpot does not compile it. */
    REFUSED
  }

  /** Does a little. */
  Progress advance();

  static WarmUp of(Translation translation) {
    Optional<HotSpotCompilers> compilers = HotSpotCompilers.ofThisMachine();
    return compilers
        .<WarmUp>map(found -> new Requested(found, translation))
        .orElseGet(() -> new Called(translation.code()));
  }

  /** Waits for the fast compiler, which was asked. */
  final class Requested implements WarmUp {
    private final HotSpotCompilers compilers;
    private final Translation translation;

    Requested(HotSpotCompilers compilers, Translation translation) {
      this.compilers = compilers;
      this.translation = translation;
      compilers.request(translation.method(), HotSpotCompilers.FAST);
    }

    @Override
    public Progress advance() {
      if (compilers.isQueued(translation.method())) {
        return Progress.GOING_ON;
      }
      return compilers.level(translation.method()) != 0 ? Progress.DONE : Progress.REFUSED;
    }
  }

  /**
   * Calls the region without a processor, a little at a time, until it is compiled. Whether it is
   * shows in the time of a call. A wrong guess costs speed, nothing else.
   */
  final class Called implements WarmUp {
    private static final int CALLS = 64;
    private static final long COMPILED_NANOS = CALLS * 15L;

    /** Calls before HotSpot thinks of compiling (Tier3InvocationThreshold is 200). */
    private static final int FIRST_CALLS = 256;

    private static final int MOST_ROUNDS = 400;

    private final CompiledCode code;
    private int rounds;

    Called(CompiledCode code) {
      this.code = code;
      call(FIRST_CALLS);
    }

    @Override
    public Progress advance() {
      long start = System.nanoTime();
      call(CALLS);
      long nanos = System.nanoTime() - start;
      rounds++;
      return nanos < COMPILED_NANOS || rounds > MOST_ROUNDS ? Progress.DONE : Progress.GOING_ON;
    }

    @SuppressWarnings("NullAway") // the processor is absent by contract
    private void call(int times) {
      int sum = 0;
      for (int i = 0; i < times; i++) {
        sum += code.run(null, 0);
      }
      if (sum != 0) {
        throw new IllegalStateException("a region ran without a processor");
      }
    }
  }
}
