package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;

/**
 * Gets a region past HotSpot's interpreter, in which it would run slower than interpreted guest
 * code, before the guest runs it: calls it without a processor until it is compiled.
 *
 * <p>Whether it is compiled shows in the time of a call. A wrong guess costs speed, nothing else.
 */
final class WarmUp {
  private static final int CALLS = 64;
  private static final long COMPILED_NANOS = CALLS * 20L;
  private static final int ROUNDS = 200;

  private WarmUp() {}

  @SuppressWarnings({"NullAway", "ThreadPriorityCheck"}) // the processor is absent by contract
  static void run(CompiledCode code) {
    int sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
      long start = System.nanoTime();
      for (int i = 0; i < CALLS; i++) {
        sum += code.run(null);
      }
      long nanos = System.nanoTime() - start;
      if (round > 4 && nanos < COMPILED_NANOS) {
        return;
      }
      if (round > 4) {
        try {
          Thread.sleep(0, 500_000);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          return;
        }
      }
    }
    if (sum != 0) {
      throw new IllegalStateException("a region ran without a processor");
    }
  }
}
