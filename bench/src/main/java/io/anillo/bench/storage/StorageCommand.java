package io.anillo.bench.storage;

import io.anillo.bench.BenchException;
import io.anillo.bench.Statistics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code ./anillo bench storage}: all servers in one run, their turns interleaved, medians. */
@Command(
    name = "storage",
    description = "NBD servers, qcow2, thin volumes and snapshots next to QEMU and nbdkit.",
    mixinStandardHelpOptions = true)
public final class StorageCommand implements Callable<Integer> {
  private static final long DISK_BYTES = 1L << 30;

  @Option(names = "--rounds", description = "Turns of each server (default 5).")
  int rounds = 5;

  @Option(names = "--seconds", description = "Length of a turn (default 2).")
  int seconds = 2;

  @Option(names = "--warm-up", description = "Seconds before the first turn (default 6).")
  int warmUpSeconds = 6;

  @Option(names = "--folder", description = "Where disks are made (default: a temporary folder).")
  Path parent = Path.of(System.getProperty("java.io.tmpdir"));

  @Option(names = "--only", description = "raw, qcow2, thin or snapshot (default: all).")
  String only = "";

  @Option(
      names = "--match",
      description = "Only measurements whose names begin so, such as \"write 256\" (default: all).")
  String match = "";

  @Override
  public Integer call() throws Exception {
    for (String program : List.of("fio", "qemu-nbd", "nbdkit", "qemu-img")) {
      boolean found =
          Stream.of(System.getenv("PATH").split(":"))
              .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
      if (!found) {
        throw new BenchException(program + " is not installed (tools/install-test-peers)");
      }
    }
    Path folder = Files.createTempDirectory(parent, "anillo-bench-storage");
    try {
      measure(folder);
    } finally {
      delete(folder);
    }
    return 0;
  }

  private boolean wanted(String part) {
    return only.isEmpty() || only.equals(part);
  }

  private void measure(Path folder) throws Exception {
    System.out.println(
        "Requests a second, and in parentheses what the server's process takes of a processor for"
            + " each. Ratios above 1 are for Anillo; that of work holds on a busy machine as"
            + " well.");
    Path raw = folder.resolve("disk.raw");
    if (!only.equals("snapshot")) {
      fill(raw, "/dev/urandom", DISK_BYTES);
      forgetCache(raw);
    }
    if (wanted("raw")) {
      System.out.println("NBD server on a raw file, ratio to the better peer (bar 0.9, aim 1.1):");
      Path forQemu = copy(raw, folder.resolve("qemu.raw"));
      Path forNbdkit = copy(raw, folder.resolve("nbdkit.raw"));
      forgetCache(raw);
      try (NbdContender ours =
              NbdContender.anillo(folder, "anillo raw", "disk.raw", false, "raw", List.of(raw));
          NbdContender nbdkit = NbdContender.nbdkit(folder, forNbdkit);
          NbdContender qemu = NbdContender.qemu(folder, forQemu, "raw")) {
        compare(FioRun.ALL, ours, List.of(qemu, nbdkit), warmUpSeconds);
      }
      Files.delete(forQemu);
      Files.delete(forNbdkit);
    }
    if (wanted("qcow2")) {
      Path one = folder.resolve("one.qcow2");
      run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw.toString(), one.toString());
      Path two = copy(one, folder.resolve("two.qcow2"));
      forgetCache(one);
      System.out.println("qcow2, ratio to qemu-nbd on the same image (bar 0.9):");
      try (NbdContender ours =
              NbdContender.anillo(
                  folder, "anillo qcow2", "one.qcow2", false, "qcow2", List.of(one));
          NbdContender qemu = NbdContender.qemu(folder, two, "qcow2")) {
        compare(FioRun.ALL, ours, List.of(qemu), warmUpSeconds);
      }
      Files.delete(one);
      Files.delete(two);
    }
    if (wanted("thin")) {
      thin(folder, raw);
    }
    if (wanted("snapshot")) {
      System.out.println("Snapshot and clone of a volume of 100 GiB, durable (bar 10 ms):");
      SnapshotCost.Result result = SnapshotCost.measure(folder);
      print("snapshot", result.snapshot());
      print("clone", result.copy());
      print("4 KiB to a file, synced", result.synced());
    }
  }

  private void thin(Path folder, Path raw) throws Exception {
    Path disk = folder.resolve("pool-disk");
    // the host's file system has given out all of it, as it has of the raw file
    fill(disk, "/dev/zero", 3 * DISK_BYTES);
    PoolOnDisk.make(disk, DISK_BYTES, raw);
    forgetCache(disk);
    forgetCache(raw);
    System.out.println("Thin volume, ratio to a raw file on our server (bar 0.8):");
    try (NbdContender ours =
            NbdContender.anillo(folder, "anillo thin", "volume", true, "", List.of(disk));
        NbdContender plain =
            NbdContender.anillo(
                folder, "anillo raw file", "disk.raw", false, "raw", List.of(raw))) {
      // writes go to new places until the pool's whole disk has been in the host's cache once
      int warmUp = 2 * warmUpSeconds;
      compare(FioRun.ALL, ours, List.of(plain), warmUp);
      compare(FioRun.FLUSHED, ours, List.of(plain), warmUp);
    }
    Files.delete(disk);
  }

  private void compare(List<FioRun> runs, NbdContender ours, List<NbdContender> peers, int warmUp)
      throws IOException, InterruptedException, BenchException {
    List<NbdContender> all = new ArrayList<>(peers);
    all.add(ours);
    for (FioRun fio : runs) {
      if (!fio.name().startsWith(match)) {
        continue;
      }
      List<List<FioRun.Figure>> figures = new ArrayList<>();
      for (NbdContender contender : all) {
        // not counted: code is compiled, caches are filled
        fio.measure(contender, DISK_BYTES, warmUp);
        figures.add(new ArrayList<>());
      }
      for (int round = 0; round < rounds; round++) {
        for (int turn = 0; turn < all.size(); turn++) {
          // everybody is first once: what one wrote reaches the disk while the next is measured
          int i = (round + turn) % all.size();
          figures.get(i).add(fio.measure(all.get(i), DISK_BYTES, seconds));
        }
      }
      double best = 0;
      double leastCpu = Double.MAX_VALUE;
      double ownCpu = 0;
      StringBuilder line = new StringBuilder("  %-28s".formatted(fio.name()));
      for (int i = 0; i < all.size(); i++) {
        double median = median(figures.get(i), FioRun.Figure::perSecond);
        double cpu = median(figures.get(i), FioRun.Figure::cpuMicros);
        line.append("  %s %s (%.1f µs)".formatted(all.get(i).name, fio.show(median), cpu));
        if (all.get(i) == ours) {
          ownCpu = cpu;
        } else {
          best = Math.max(best, median);
          leastCpu = Math.min(leastCpu, cpu);
        }
      }
      double ratio = median(figures.getLast(), FioRun.Figure::perSecond) / best;
      System.out.println(line + "  ratio %.2f, of work %.2f".formatted(ratio, leastCpu / ownCpu));
    }
  }

  private static double median(
      List<FioRun.Figure> figures, ToDoubleFunction<FioRun.Figure> component) {
    return Statistics.median(figures.stream().mapToDouble(component).boxed().toList());
  }

  private static void print(String what, SnapshotCost.Cost cost) {
    System.out.printf(
        "  %-28s  median %.2f ms, worst %.2f ms%n", what, cost.median(), cost.worst());
  }

  private static void fill(Path file, String from, long bytes)
      throws IOException, InterruptedException, BenchException {
    run("dd", "if=" + from, "of=" + file, "bs=1M", "count=" + (bytes >> 20), "status=none");
  }

  private static Path copy(Path from, Path to)
      throws IOException, InterruptedException, BenchException {
    run("dd", "if=" + from, "of=" + to, "bs=1M", "status=none");
    forgetCache(to);
    return to;
  }

  /**
   * Writes a file to its disk and drops it from the host's cache. What a small write costs depends
   * on the size of the pieces in which the file came into the cache, which is to be the same for
   * all.
   */
  private static void forgetCache(Path file)
      throws IOException, InterruptedException, BenchException {
    run("dd", "of=" + file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none");
  }

  private static void run(String... command)
      throws IOException, InterruptedException, BenchException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes());
    if (process.waitFor() != 0) {
      throw new BenchException(String.join(" ", command) + " failed: " + output.strip());
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
