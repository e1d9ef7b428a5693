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

  private final Map<String, Long> reached = new LinkedHashMap<>();
  private final long startNanos;
  private volatile Runnable userSpaceObserver = () -> {};

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
  void reach(String name) {
    reached(name, System.nanoTime());
  }

  /** Notes a milestone that was reached at a {@link System#nanoTime}. */
  synchronized void reached(String name, long nanoTime) {
    reached.putIfAbsent(name, (nanoTime - startNanos) / 1_000_000);
  }

  /** Looks at a line of the guest's console. */
  void consoleLine(String line) {
    reach("firstConsoleLineMillis");
    if (USER_SPACE.matcher(line).matches()) {
      reach("firstUserSpaceLineMillis");
      userSpaceObserver.run();
    }
  }

  /** Names what is called when the guest's first program says that it runs. */
  void onUserSpace(Runnable observer) {
    userSpaceObserver = observer;
  }

  synchronized Map<String, Object> reached() {
    Map<String, Object> inOrder = new LinkedHashMap<>();
    reached.entrySet().stream()
        .sorted(Map.Entry.comparingByValue())
        .forEach(entry -> inOrder.put(entry.getKey(), entry.getValue()));
    return inOrder;
  }
}
