package io.anillo.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * When a run reached what, in milliseconds since the process began; the guest's are seen on its
 * console.
 */
final class Milestones {
  private static final Pattern USER_SPACE = Pattern.compile("^(Anillo guest:|BOOT-OK ).*");

  private final Map<String, Object> reached = new LinkedHashMap<>();
  private final long startNanos;

  Milestones() {
    long since =
        ProcessHandle.current()
            .info()
            .startInstant()
            .map(start -> java.time.Duration.between(start, java.time.Instant.now()).toNanos())
            .orElse(0L);
    startNanos = System.nanoTime() - Math.max(0, since);
  }

  /** Notes a milestone, the first time it is reached. */
  synchronized void reach(String name) {
    reached.putIfAbsent(name, (System.nanoTime() - startNanos) / 1_000_000);
  }

  /** Looks at a line of the guest's console. */
  void consoleLine(String line) {
    reach("firstConsoleLineMillis");
    if (USER_SPACE.matcher(line).matches()) {
      reach("firstUserSpaceLineMillis");
    }
  }

  synchronized Map<String, Object> reached() {
    return new LinkedHashMap<>(reached);
  }
}
