package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;

/**
 * Gets a region past HotSpot's interpreter, in which it would run slower than interpreted guest
 * code, before the guest runs it: calls it without a processor, a little at a time, until it is
 * compiled.
 *
 * <p>Whether it is compiled shows in the time of a call. A wrong guess costs speed, nothing else.
 */
final class WarmUp {
  private static final int CALLS = 64;
  private static final long COMPILED_NANOS = CALLS * 15L;

  /** Calls before HotSpot thinks of compiling (Tier3InvocationThreshold is 200). */
  private static final int FIRST_CALLS = 256;

  private static final int MOST_ROUNDS = 400;

  private final CompiledCode code;
  private final HotCode.Site site;
  private int rounds;

  WarmUp(CompiledCode code, HotCode.Site site) {
    this.code = code;
    this.site = site;
    call(FIRST_CALLS);
  }

  /** Tries once more; installs the region and returns true when it is compiled, or hope is lost. */
  boolean advance() {
    if (!site.current()) {
      return true;
    }
    long start = System.nanoTime();
    call(CALLS);
    long nanos = System.nanoTime() - start;
    rounds++;
    if (nanos < COMPILED_NANOS || rounds > MOST_ROUNDS) {
      site.install(code);
      return true;
    }
    return false;
  }

  @SuppressWarnings("NullAway") // the processor is absent by contract
  private void call(int times) {
    int sum = 0;
    for (int i = 0; i < times; i++) {
      sum += code.run(null);
    }
    if (sum != 0) {
      throw new IllegalStateException("a region ran without a processor");
    }
  }
}
