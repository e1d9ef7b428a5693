package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One run of a guest on a contender.
 *
 * @param bootSeconds from the command to the guest's first line from user space
 * @param bootProcessorSeconds processor time of the process until then
 * @param totalSeconds from the command to the process's end
 * @param instructions guest instructions, where the contender counts them
 * @param exits why the guest was left how often, where the contender counts that
 * @param residentBytes the process's highest resident set less the guest's memory in it
 * @param flags the processor's flags, as the guest's /proc/cpuinfo has them
 * @param results by program
 */
record GuestRun(
    double bootSeconds,
    double bootProcessorSeconds,
    double totalSeconds,
    Optional<Long> instructions,
    Map<String, Long> exits,
    long residentBytes,
    String flags,
    Map<String, Result> results) {
  private static final Pattern BENCH = Pattern.compile("BENCH (\\S+) ([0-9.]+) (\\S+)(.*)");
  private static final Pattern COUNT = Pattern.compile("\"guestInstructions\"\\s*:\\s*(\\d+)");
  private static final Pattern REASONS = Pattern.compile("\"exitReasons\"\\s*:\\s*\\{([^}]*)}");
  private static final Pattern REASON = Pattern.compile("\"(\\w+)\"\\s*:\\s*(\\d+)");
  private static final Duration LIMIT = Duration.ofHours(2);

  /**
   * One program's outcome.
   *
   * @param hostSeconds between its two marks, on the host
   * @param guestSeconds by the guest's clock
   */
  record Result(double hostSeconds, double guestSeconds, String checksum) {}

  /** Boots a guest and waits until it is done. */
  static GuestRun of(Contender contender, Workload.Image image, String arguments, boolean withDisk)
      throws BenchException {
    try {
      Path statistics = Files.createTempFile("anillo-bench", ".json");
      Path errors = Files.createTempFile("anillo-bench", ".err");
      try {
        return run(
            contender,
            contender.command(image, arguments, withDisk, statistics),
            statistics,
            errors);
      } finally {
        Files.deleteIfExists(statistics);
        Files.deleteIfExists(errors);
      }
    } catch (IOException e) {
      throw new BenchException(contender.name() + " could not be run: " + e.getMessage() + ".");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new BenchException("Interrupted.");
    }
  }

  private static GuestRun run(
      Contender contender, java.util.List<String> command, Path statistics, Path errors)
      throws IOException, InterruptedException, BenchException {
    long begin = System.nanoTime();
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
            .redirectError(errors.toFile());
    builder.environment().putAll(contender.environment());
    Process process = builder.start();
    Thread killer = new Thread(process::destroyForcibly);
    Runtime.getRuntime().addShutdownHook(killer);
    Thread limit =
        Thread.ofPlatform()
            .daemon()
            .start(() -> {
              try {
                if (!process.waitFor(LIMIT)) {
                  process.destroyForcibly();
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    double bootSeconds = Double.NaN;
    double bootProcessorSeconds = Double.NaN;
    String flags = "";
    ResidentSet resident = new ResidentSet(process.pid(), Contender.MEMORY_MEBIBYTES);
    Map<String, Long> starts = new HashMap<>();
    Map<String, Long> stops = new HashMap<>();
    Map<String, Result> results = new LinkedHashMap<>();
    String last = "";
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.ISO_8859_1))) {
      for (String raw = lines.readLine(); raw != null; raw = lines.readLine()) {
        long now = System.nanoTime();
        String line = raw.strip();
        last = line.isEmpty() ? last : line;
        Matcher bench = BENCH.matcher(line);
        if (line.equals("BOOT-OK") || line.startsWith("BOOT-OK ")) {
          bootSeconds = (now - begin) / 1e9;
          bootProcessorSeconds =
              process
                  .info()
                  .totalCpuDuration()
                  .map(time -> time.toNanos() / 1e9)
                  .orElse(Double.NaN);
          // At the end too; but a process may be gone before that can be looked at.
          resident.measure();
        } else if (line.startsWith("flags")) {
          flags = line;
        } else if (line.startsWith("START ")) {
          starts.put(line.substring(6), now);
        } else if (line.startsWith("STOP ")) {
          stops.put(line.substring(5), now);
        } else if (bench.matches()) {
          String name = bench.group(1);
          long start = starts.getOrDefault(name, now);
          double hostSeconds = (stops.getOrDefault(name, now) - start) / 1e9;
          results.put(
              name, new Result(hostSeconds, Double.parseDouble(bench.group(2)), bench.group(3)));
        } else if (line.equals("DONE")) {
          resident.measure();
        }
      }
    }
    int status = process.waitFor();
    limit.interrupt();
    Runtime.getRuntime().removeShutdownHook(killer);
    double totalSeconds = (System.nanoTime() - begin) / 1e9;
    if (status != 0 || Double.isNaN(bootSeconds)) {
      String said = Files.readString(errors).strip();
      throw new BenchException(
          "%s ended with status %d after \"%s\"%s"
              .formatted(contender.name(), status, last, said.isEmpty() ? "." : ": " + said));
    }
    String counted = Files.readString(statistics);
    Matcher count = COUNT.matcher(counted);
    return new GuestRun(
        bootSeconds,
        bootProcessorSeconds,
        totalSeconds,
        count.find() ? Optional.of(Long.valueOf(count.group(1))) : Optional.empty(),
        exits(counted),
        resident.bytes(),
        flags,
        results);
  }

  private static Map<String, Long> exits(String statistics) {
    Map<String, Long> result = new LinkedHashMap<>();
    Matcher reasons = REASONS.matcher(statistics);
    if (reasons.find()) {
      Matcher reason = REASON.matcher(reasons.group(1));
      while (reason.find()) {
        result.put(reason.group(1), Long.valueOf(reason.group(2)));
      }
    }
    return result;
  }
}
