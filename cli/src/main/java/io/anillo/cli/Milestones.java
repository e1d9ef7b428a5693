package io.anillo.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * When a run reached what, in milliseconds since the process began; the guest's are seen on its
 * console.
 */
final class Milestones {
  private static final Pattern USER_SPACE = Pattern.compile("^(Anillo guest:|BOOT-OK ).*");

  /** Of what Linux tells user space, whatever it was built with. */
  private static final double TICKS_PER_SECOND = 100;

  private final Map<String, Long> reached = new LinkedHashMap<>();
  private final long startNanos;
  private volatile Runnable userSpaceObserver = () -> {};

  Milestones() {
    startNanos = System.nanoTime() - nanosSinceStart();
  }

  /**
   * How long the process has been running, to a hundredth of a second: {@link ProcessHandle} knows
   * its start to a second only.
   */
  private static long nanosSinceStart() {
    try {
      String stat = Files.readString(Path.of("/proc/self/stat"));
      // proc(5): field 22, counted from behind the name in parentheses, which is field 2.
      String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
      double started = Long.parseLong(fields[19]) / TICKS_PER_SECOND;
      double now = Double.parseDouble(Files.readString(Path.of("/proc/uptime")).split(" ")[0]);
      return Math.max(0, (long) ((now - started) * 1e9));
    } catch (IOException e) {
      return 0; // a host without /proc: milliseconds since about the start
    }
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
