package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import io.anillo.bench.Statistics;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/** Runs of several contenders on one guest, in turn, so that a change of the host hits all. */
public final class Measurement {
  private final Map<Contender, List<GuestRun>> runs = new LinkedHashMap<>();
  private final boolean sameProcessor;

  /** Of contenders that show their guests the same processor, which is checked. */
  Measurement() {
    this(true);
  }

  /**
   * Makes a measurement.
   *
   * @param sameProcessor whether the guests' processors have to have the same features
   */
  Measurement(boolean sameProcessor) {
    this.sameProcessor = sameProcessor;
  }

  /** Which contenders there are. */
  static List<Contender> contenders(List<String> engines, String peer) throws BenchException {
    List<Contender> result = new ArrayList<>();
    for (String engine : engines) {
      result.add(new Contender.Anillo(top(), engine));
    }
    switch (peer) {
      case "none" -> {}
      case "qemu" -> {
        String program = "qemu-system-x86_64";
        if (installed(program)) {
          result.add(new Contender.Qemu(program, ProcessorFeatures.qemuOption()));
        } else {
          System.err.println(program + " is not installed (package qemu-system-x86): no peer.");
        }
      }
      default -> throw new BenchException("There is no peer '" + peer + "': qemu or none.");
    }
    return result;
  }

  /** The project's directory. */
  public static Path top() {
    String top = System.getenv("ANILLO_TOP");
    return Path.of(top == null ? "." : top).toAbsolutePath();
  }

  private static boolean installed(String program) {
    for (String directory : String.valueOf(System.getenv("PATH")).split(":")) {
      if (Files.isExecutable(Path.of(directory, program))) {
        return true;
      }
    }
    return false;
  }

  /** Runs every contender {@code count} times. */
  void run(
      List<Contender> contenders,
      Workload.Image image,
      String arguments,
      boolean withDisk,
      int count)
      throws BenchException {
    for (int i = 0; i < count; i++) {
      for (Contender contender : contenders) {
        System.err.printf("run %d of %d: %s%n", i + 1, count, contender.name());
        GuestRun run = GuestRun.of(contender, image, arguments, withDisk);
        runs.computeIfAbsent(contender, key -> new ArrayList<>()).add(run);
      }
    }
    if (sameProcessor) {
      compareProcessors();
    }
  }

  private void compareProcessors() throws BenchException {
    Contender first = runs.keySet().iterator().next();
    String ours = runs(first).getFirst().flags();
    for (Map.Entry<Contender, List<GuestRun>> entry : runs.entrySet()) {
      Contender contender = entry.getKey();
      String theirs = entry.getValue().getFirst().flags();
      Set<String> decisive = ProcessorFeatures.decisiveDifferences(ours, theirs);
      if (!decisive.isEmpty()) {
        throw new BenchException(
            "The guest's processor has other features on "
                + contender.name()
                + ", so other code runs: "
                + String.join(" ", decisive)
                + ".");
      }
      String difference = ProcessorFeatures.difference(ours, theirs);
      if (!difference.isEmpty()) {
        System.out.printf(
            "Processor flags of %s, against %s: %s%n", contender.name(), first.name(), difference);
      }
    }
  }

  List<Contender> contenders() {
    return List.copyOf(runs.keySet());
  }

  List<GuestRun> runs(Contender contender) {
    return runs.getOrDefault(contender, List.of());
  }

  double median(Contender contender, ToDoubleFunction<GuestRun> value) {
    return Statistics.median(
        runs(contender).stream().map(value::applyAsDouble).filter(v -> !v.isNaN()).toList());
  }

  /**
   * The median over the runs of a program's time on the host, in seconds; NaN where it did not run.
   */
  double seconds(Contender contender, Program program) {
    return median(
        contender,
        run -> {
          GuestRun.Result result = run.results().get(program.name());
          return result == null ? Double.NaN : result.hostSeconds();
        });
  }
}
