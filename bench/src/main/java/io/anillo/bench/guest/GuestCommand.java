package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import io.anillo.bench.Statistics;
import io.anillo.cli.JsonText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code ./anillo bench guest}. */
@Command(
    name = "guest",
    description = "Programs inside a guest, on Anillo and a peer.",
    mixinStandardHelpOptions = true)
public final class GuestCommand implements Callable<Integer> {
  /** How far the guest's clock may be from the host's, and a bound for the marks' own way. */
  private static final double CLOCK_TOLERANCE = 0.02, MARK_SECONDS = 0.03;

  private static final int WRONG = 1;

  @Option(names = "--runs", description = "Runs of each contender (default ${DEFAULT-VALUE}).")
  private int runs = 3;

  @Option(
      names = "--only",
      split = ",",
      description = "Programs, or beginnings of their names: int_,sys_pipe.")
  private List<String> only = List.of();

  @Option(names = "--scale", description = "Percent of the work (default ${DEFAULT-VALUE}).")
  private int scale = 100;

  @Option(
      names = "--engine",
      split = ",",
      description = "Engines of Anillo (default ${DEFAULT-VALUE}).")
  private List<String> engines = List.of("auto");

  @Option(names = "--peer", description = "qemu or none (default ${DEFAULT-VALUE}).")
  private String peer = "qemu";

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the figures as JSON.")
  private @Nullable Path json;

  private final List<String> problems = new ArrayList<>();

  @Override
  public Integer call() throws BenchException, IOException {
    Workload workload = new GuestBench(Measurement.top());
    List<Program> programs =
        workload.programs().stream()
            .filter(program -> only.isEmpty() || only.stream().anyMatch(program.name()::startsWith))
            .toList();
    if (programs.isEmpty()) {
      throw new BenchException("No program begins with " + String.join(" or ", only) + ".");
    }
    Workload.Image image = workload.prepare();
    boolean withDisk = programs.stream().anyMatch(program -> program.group() == Program.Group.DISK);
    Measurement measurement = new Measurement();
    measurement.run(
        Measurement.contenders(engines, peer),
        image,
        workload.arguments(programs, scale),
        withDisk,
        runs);
    check(measurement, programs);
    Map<String, Object> figures = print(measurement, programs);
    if (json != null) {
      Files.writeString(json, JsonText.of(figures));
    }
    problems.forEach(problem -> System.out.println("WRONG: " + problem));
    return problems.isEmpty() ? 0 : WRONG;
  }

  /** Every checksum, and the guest's clock against the host's. */
  private void check(Measurement measurement, List<Program> programs) {
    for (Program program : programs) {
      Optional<String> expected = scale == 100 ? program.checksum() : Optional.empty();
      for (Contender contender : measurement.contenders()) {
        for (GuestRun run : measurement.runs(contender)) {
          GuestRun.Result result = run.results().get(program.name());
          String what = program.name() + " on " + contender.name();
          if (result == null) {
            problems.add(what + " did not finish");
            continue;
          }
          if (expected.isEmpty()) {
            expected = Optional.of(result.checksum());
          }
          if (!result.checksum().equals(expected.get())) {
            problems.add(what + " printed " + result.checksum() + " instead of " + expected.get());
          }
          double difference = Math.abs(result.hostSeconds() - result.guestSeconds());
          if (difference > CLOCK_TOLERANCE * result.hostSeconds() + MARK_SECONDS) {
            problems.add(
                "%s took %.3f s by the host's clock and %.3f s by the guest's"
                    .formatted(what, result.hostSeconds(), result.guestSeconds()));
          }
        }
      }
    }
  }

  private Map<String, Object> print(Measurement measurement, List<Program> programs) {
    List<Contender> contenders = measurement.contenders();
    Contender last = contenders.getLast();
    boolean compared = contenders.size() > 1;
    System.out.printf("%nSeconds on the host, medians of %d runs%n%-16s", runs, "");
    contenders.forEach(contender -> System.out.printf(" %18s", contender.name()));
    System.out.println(compared ? "   ratios to " + last.name() : "");
    Map<String, Object> figures = new LinkedHashMap<>();
    Map<Program.Group, Map<Contender, List<Double>>> ratios = new LinkedHashMap<>();
    for (Program program : programs) {
      System.out.printf("%-16s", program.name());
      Map<String, Object> one = new LinkedHashMap<>();
      for (Contender contender : contenders) {
        double seconds = measurement.seconds(contender, program);
        System.out.printf(" %18.3f", seconds);
        one.put(contender.name(), seconds);
      }
      for (Contender contender : contenders.subList(0, contenders.size() - 1)) {
        double ratio = measurement.seconds(contender, program) / measurement.seconds(last, program);
        System.out.printf(" %8.2f", ratio);
        if (!Double.isNaN(ratio)) {
          ratios
              .computeIfAbsent(program.group(), group -> new LinkedHashMap<>())
              .computeIfAbsent(contender, key -> new ArrayList<>())
              .add(ratio);
        }
      }
      System.out.println();
      figures.put(program.name(), one);
    }
    Map<String, Object> means = new LinkedHashMap<>();
    ratios.forEach((group, byContender) ->
        byContender.forEach((contender, values) -> {
          double mean = Statistics.geometricMean(values);
          System.out.printf(
              "%-16s geometric mean of time, %s / %s: %.2f%n",
              group.title(), contender.name(), last.name(), mean);
          means.put(group.title() + ", " + contender.name() + " / " + last.name(), mean);
        }));
    figures.put("geometricMeans", means);
    return figures;
  }
}
