package io.anillo.bench.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** How much memory a process takes beyond its guest's, from Linux's /proc. */
final class ResidentSet {
  private final Path process;
  private final long guestKibibytes;
  private long kibibytes;

  ResidentSet(long processId, long guestMebibytes) {
    this.process = Path.of("/proc", Long.toString(processId));
    this.guestKibibytes = guestMebibytes << 10;
  }

  /** Looks now, and keeps the most it has seen. */
  void measure() throws IOException {
    List<String> maps;
    List<String> status;
    try {
      maps = Files.readAllLines(process.resolve("smaps"));
      status = Files.readAllLines(process.resolve("status"));
    } catch (IOException e) {
      if (isGone()) {
        return;
      }
      throw e;
    }
    long highest =
        status.stream()
            .filter(line -> line.startsWith("VmHWM:"))
            .mapToLong(ResidentSet::number)
            .findFirst()
            .orElse(0);
    // The guest's memory is the largest mapping; other large ones are reserved, hardly used.
    long guest = 0;
    boolean large = false;
    for (String line : maps) {
      if (line.startsWith("Size:")) {
        large = number(line) >= guestKibibytes;
      } else if (large && line.startsWith("Rss:")) {
        guest = Math.max(guest, number(line));
      }
    }
    // A process that is just ending has no memory any more.
    kibibytes = Math.max(kibibytes, highest - guest);
  }

  private boolean isGone() {
    long id = Long.parseLong(String.valueOf(process.getFileName()));
    return ProcessHandle.of(id).map(handle -> !handle.isAlive()).orElse(true);
  }

  private static long number(String line) {
    return Long.parseLong(line.replaceAll("[^0-9]", ""));
  }

  long bytes() {
    return kibibytes << 10;
  }
}
