package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import io.anillo.bench.Statistics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code ./anillo bench paravirtual}. */
@Command(
    name = "paravirtual",
    description = "A boot with and without the paravirtual interface, in turn: exits and time.",
    mixinStandardHelpOptions = true)
public final class ParavirtualCommand implements Callable<Integer> {
  private static final String OPTION = "--paravirtual";

  /** Keys of the reasons that the interface is there to save. */
  private static final List<String> SAVED = List.of("interruptController", "timer");

  @Option(names = "--runs", description = "Runs of each kind (default ${DEFAULT-VALUE}).")
  private int runs = 3;

  @Option(names = "--engine", description = "The engine (default ${DEFAULT-VALUE}).")
  private String engine = "translate";

  @Option(names = "--cpus", description = "Processors (default ${DEFAULT-VALUE}).")
  private int cpus = 1;

  @Override
  public Integer call() throws BenchException {
    Path profiles = makeDirectory();
    try {
      compare(profiles);
    } finally {
      remove(profiles);
    }
    return 0;
  }

  private static Path makeDirectory() throws BenchException {
    try {
      return Files.createTempDirectory("anillo-profiles");
    } catch (IOException e) {
      throw new BenchException("There is no room for what is learned: " + e.getMessage());
    }
  }

  private static void remove(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
    } catch (IOException e) {
      System.err.println(directory + " stays: " + e.getMessage());
    }
  }

  /** Each kind learns for itself, in a first run that is not counted, and never from the other. */
  private void compare(Path profiles) throws BenchException {
    Workload workload = new GuestBench(Measurement.top());
    Workload.Image image = workload.prepare();
    List<Contender> kinds = new ArrayList<>();
    for (String kind : List.of("off", "on")) {
      kinds.add(
          new Contender.Anillo(
              Measurement.top(),
              engine,
              List.of("--cpus", "" + cpus, OPTION, kind),
              Optional.of(profiles.resolve(kind))));
    }
    String arguments = workload.arguments(List.of(), 100);
    new Measurement(false).run(kinds, image, arguments, false, 1);
    Measurement measurement = new Measurement(false);
    for (int i = 0; i < runs; i++) {
      // Who is first in a pair changes from pair to pair.
      measurement.run(i % 2 == 0 ? kinds : kinds.reversed(), image, arguments, false, 1);
    }
    Set<String> reasons = new LinkedHashSet<>();
    for (Contender kind : kinds) {
      measurement.runs(kind).forEach(run -> reasons.addAll(run.exits().keySet()));
    }
    System.out.printf(
        "%nBoot with the paravirtual interface off and on, %s, %d processor(s), medians of %d"
            + " runs after one that is not counted%n%-26s %12s %12s %8s%n",
        engine, cpus, runs, "", "off", "on", "on/off");
    line("user space s", measurement, kinds, GuestRun::bootSeconds);
    line("processor s until then", measurement, kinds, GuestRun::bootProcessorSeconds);
    line("million instructions", measurement, kinds, run -> run.instructions().orElse(0L) / 1e6);
    for (String reason : reasons) {
      line(reason, measurement, kinds, run -> run.exits().getOrDefault(reason, 0L));
    }
    line(
        "controllers and timers",
        measurement,
        kinds,
        run -> SAVED.stream().mapToLong(key -> run.exits().getOrDefault(key, 0L)).sum());
    System.out.printf(
        Locale.ROOT,
        "%-26s %12s %12s %8.2f   (median of the pairs' ratios)%n",
        "user space, pair by pair",
        "",
        "",
        pairs(measurement, kinds, GuestRun::bootSeconds));
    System.out.printf(
        Locale.ROOT,
        "%-26s %12s %12s %8.2f%n",
        "processor s, pair by pair",
        "",
        "",
        pairs(measurement, kinds, GuestRun::bootProcessorSeconds));
  }

  private static double pairs(
      Measurement measurement, List<Contender> kinds, ToDoubleFunction<GuestRun> value) {
    List<GuestRun> off = measurement.runs(kinds.get(0));
    List<GuestRun> on = measurement.runs(kinds.get(1));
    List<Double> ratios = new ArrayList<>();
    for (int i = 0; i < off.size(); i++) {
      ratios.add(value.applyAsDouble(on.get(i)) / value.applyAsDouble(off.get(i)));
    }
    return Statistics.median(ratios);
  }

  private static void line(
      String what,
      Measurement measurement,
      List<Contender> kinds,
      ToDoubleFunction<GuestRun> value) {
    double off = measurement.median(kinds.get(0), value);
    double on = measurement.median(kinds.get(1), value);
    boolean whole = off >= 1000 || on >= 1000;
    System.out.printf(
        whole ? "%-26s %12.0f %12.0f %8.2f%n" : "%-26s %12.2f %12.2f %8.2f%n",
        what,
        off,
        on,
        off == 0 ? Double.NaN : on / off);
  }
}
