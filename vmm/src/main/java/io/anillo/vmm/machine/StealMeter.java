package io.anillo.vmm.machine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * For how long the host kept the calling thread from running though it was ready (the second number
 * of Linux's {@code schedstat}). Elsewhere always 0.
 */
final class StealMeter {
  private static final Path SOURCE = Path.of("/proc/thread-self/schedstat");
  private static final long INTERVAL_NANOS = 100_000_000;

  private long lastLooked;
  private long lastWaited = -1;
  private boolean available = true;

  /** Nanoseconds since the last call that had an answer; looks at most ten times a second. */
  long newlyStolen() {
    long now = System.nanoTime();
    if (!available || lastWaited >= 0 && now - lastLooked < INTERVAL_NANOS) {
      return 0;
    }
    lastLooked = now;
    try {
      String[] numbers = Files.readString(SOURCE).trim().split(" ", -1);
      long waited = Long.parseLong(numbers[1]);
      long before = lastWaited;
      lastWaited = waited;
      return before < 0 ? 0 : waited - before;
    } catch (IOException | NumberFormatException | ArrayIndexOutOfBoundsException e) {
      available = false;
      return 0;
    }
  }
}
