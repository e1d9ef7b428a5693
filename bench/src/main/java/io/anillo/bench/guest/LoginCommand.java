package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code ./anillo bench login}: how long a complete distribution takes to its login prompt. */
@Command(
    name = "login",
    description = "Time to the login prompt of a system on a disk, such as Debian 12.",
    mixinStandardHelpOptions = true)
public final class LoginCommand implements Callable<Integer> {
  private static final String PROMPT = "login: ";
  private static final long LIMIT_SECONDS = 1800;

  @Option(
      names = "--image",
      paramLabel = "DIRECTORY",
      required = true,
      description =
          "Holds kernel, initrd and disk.img, as ./anillo image build debian-12 makes it; the disk"
              + " is copied first.")
  private Path image = Path.of("");

  @Option(names = "--runs", description = "Runs of each contender (default ${DEFAULT-VALUE}).")
  private int runs = 3;

  @Option(
      names = "--engine",
      split = ",",
      description = "Engines of Anillo (default ${DEFAULT-VALUE}).")
  private List<String> engines = List.of("translate");

  @Option(names = "--peer", description = "qemu or none (default ${DEFAULT-VALUE}).")
  private String peer = "qemu";

  @Override
  public Integer call() throws BenchException, IOException, InterruptedException {
    for (String name : List.of("kernel", "initrd", "disk.img")) {
      if (!Files.isReadable(image.resolve(name))) {
        throw new BenchException("There is no readable " + image.resolve(name) + ".");
      }
    }
    List<Contender> contenders = Measurement.contenders(engines, peer);
    List<List<Double>> seconds = new ArrayList<>();
    contenders.forEach(contender -> seconds.add(new ArrayList<>()));
    for (int i = 0; i < runs; i++) {
      for (int k = 0; k < contenders.size(); k++) {
        double taken = secondsToLogin(contenders.get(k));
        seconds.get(k).add(taken);
        System.err.printf("%s: %.1f s%n", contenders.get(k).name(), taken);
      }
    }
    System.out.printf("%nTo the login prompt, medians of %d runs%n", runs);
    for (int k = 0; k < contenders.size(); k++) {
      List<Double> sorted = seconds.get(k).stream().sorted().toList();
      System.out.printf("%-18s %8.1f s%n", contenders.get(k).name(), sorted.get(sorted.size() / 2));
    }
    return 0;
  }

  private double secondsToLogin(Contender contender)
      throws BenchException, IOException, InterruptedException {
    Path disk = Files.createTempFile("anillo-bench", ".img");
    Path statistics = Files.createTempFile("anillo-bench", ".json");
    try {
      Files.copy(image.resolve("disk.img"), disk, StandardCopyOption.REPLACE_EXISTING);
      Workload.Image made =
          new Workload.Image(
              image.resolve("kernel"),
              image.resolve("initrd"),
              "root=/dev/vda rw console=ttyS0 quiet",
              Optional.of(disk),
              true);
      ProcessBuilder builder =
          new ProcessBuilder(contender.command(made, "", true, statistics))
              .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
              .redirectError(ProcessBuilder.Redirect.DISCARD);
      builder.environment().putAll(contender.environment());
      long begin = System.nanoTime();
      Process process = builder.start();
      Thread limit = Thread.ofVirtual().start(() -> endAfterLimit(process));
      try (InputStream output = process.getInputStream()) {
        StringBuilder last = new StringBuilder();
        for (int next = output.read(); next >= 0; next = output.read()) {
          last.append(new String(new byte[] {(byte) next}, StandardCharsets.ISO_8859_1));
          if (last.indexOf(PROMPT) >= 0) {
            return (System.nanoTime() - begin) / 1e9;
          }
          if (next == '\n') {
            last.setLength(0);
          }
        }
        throw new BenchException(contender.name() + " ended without a login prompt.");
      } finally {
        limit.interrupt();
        process.destroy();
        process.waitFor();
      }
    } finally {
      Files.deleteIfExists(disk);
      Files.deleteIfExists(statistics);
    }
  }

  private static void endAfterLimit(Process process) {
    try {
      if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
