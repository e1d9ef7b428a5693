package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import io.anillo.cli.JsonText;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code ./anillo bench boot}. */
@Command(
    name = "boot",
    description = "Time to a guest's first line from user space and to power-off; memory.",
    mixinStandardHelpOptions = true)
public final class BootCommand implements Callable<Integer> {
  @Option(names = "--runs", description = "Runs of each contender (default ${DEFAULT-VALUE}).")
  private int runs = 3;

  @Option(
      names = "--engine",
      split = ",",
      description =
          "Engines of Anillo; with +first nothing is known of earlier runs (default"
              + " ${DEFAULT-VALUE}).")
  private List<String> engines = List.of("interpret", "translate+first", "translate");

  @Option(names = "--peer", description = "qemu or none (default ${DEFAULT-VALUE}).")
  private String peer = "qemu";

  @Option(names = "--json", paramLabel = "FILE", description = "Writes the figures as JSON.")
  private @Nullable Path json;

  @Override
  public Integer call() throws BenchException, IOException {
    Workload workload = new GuestBench(Measurement.top());
    Workload.Image image = workload.prepare();
    Measurement measurement = new Measurement();
    measurement.run(
        Measurement.contenders(engines, peer),
        image,
        workload.arguments(List.of(), 100),
        false,
        runs);
    Map<String, Object> figures = new LinkedHashMap<>();
    System.out.printf(
        "%nBoot, medians of %d runs%n%-18s %12s %12s %14s %10s %12s%n",
        runs, "", "user space s", "power-off s", "instructions", "MIPS", "beyond RAM");
    for (Contender contender : measurement.contenders()) {
      double boot = measurement.median(contender, GuestRun::bootSeconds);
      double total = measurement.median(contender, GuestRun::totalSeconds);
      double instructions =
          measurement.median(
              contender, run -> run.instructions().map(Long::doubleValue).orElse(Double.NaN));
      double mebibytes = measurement.median(contender, run -> run.residentBytes() / 1048576.0);
      System.out.printf(
          "%-18s %12.2f %12.2f %14s %10s %8.0f MiB%n",
          contender.name(),
          boot,
          total,
          Double.isNaN(instructions) ? "" : "%.0f M".formatted(instructions / 1e6),
          Double.isNaN(instructions) ? "" : "%.1f".formatted(instructions / 1e6 / total),
          mebibytes);
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("userSpaceSeconds", boot);
      one.put("powerOffSeconds", total);
      one.put("guestInstructions", instructions);
      one.put("residentBeyondGuestMebibytes", mebibytes);
      figures.put(contender.name(), one);
    }
    if (json != null) {
      Files.writeString(json, JsonText.of(figures));
    }
    return 0;
  }
}
