package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
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
    Workload workload = new GuestBench(Measurement.top());
    Workload.Image image = workload.prepare();
    List<Contender> kinds = new ArrayList<>();
    for (String kind : List.of("off", "on")) {
      kinds.add(
          new Contender.Anillo(
              Measurement.top(), engine, List.of("--cpus", "" + cpus, OPTION, kind)));
    }
    Measurement measurement = new Measurement(false);
    measurement.run(kinds, image, workload.arguments(List.of(), 100), false, runs);
    Set<String> reasons = new LinkedHashSet<>();
    for (Contender kind : kinds) {
      measurement.runs(kind).forEach(run -> reasons.addAll(run.exits().keySet()));
    }
    System.out.printf(
        "%nBoot with the paravirtual interface off and on, %s, %d processor(s), medians of %d"
            + " runs%n%-26s %12s %12s %8s%n",
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
    return 0;
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
