package io.anillo.bench.storage;

import io.anillo.bench.BenchException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One measurement with fio over NBD.
 *
 * @param mode as fio names it: {@code read}, {@code randwrite} and so on
 * @param blockBytes of each request
 * @param depth requests under way at once
 * @param flushEvery writes from one flush to the next; 0 for none
 */
record FioRun(String mode, int blockBytes, int depth, int flushEvery) {
  FioRun(String mode, int blockBytes, int depth) {
    this(mode, blockBytes, depth, 0);
  }

  static final List<FioRun> ALL =
      List.of(
          new FioRun("read", 256 << 10, 8),
          new FioRun("write", 256 << 10, 8),
          new FioRun("randread", 4 << 10, 1),
          new FioRun("randwrite", 4 << 10, 1),
          new FioRun("randread", 4 << 10, 32),
          new FioRun("randwrite", 4 << 10, 32));

  /** Writes that end up on the disk within the measurement, whoever serves them. */
  static final List<FioRun> FLUSHED =
      List.of(new FioRun("write", 256 << 10, 8, 256), new FioRun("randwrite", 4 << 10, 32, 4096));

  /**
   * What was measured.
   *
   * @param perSecond requests
   * @param cpuMicros what the server's process took of the processor for each, in microseconds
   */
  record Figure(double perSecond, double cpuMicros) {}

  boolean sequential() {
    return !mode.startsWith("rand");
  }

  String name() {
    return "%s %d KiB, depth %d%s"
        .formatted(
            mode,
            blockBytes >> 10,
            depth,
            flushEvery == 0
                ? ""
                : ", flushed every %d MiB".formatted((long) flushEvery * blockBytes >> 20));
  }

  /** The figure as a person reads it. */
  String show(double perSecond) {
    return sequential()
        ? "%,.0f MB/s".formatted(perSecond * blockBytes / 1e6)
        : "%,.0f/s".formatted(perSecond);
  }

  /** Runs against a server. */
  Figure measure(NbdContender server, long sizeBytes, double seconds)
      throws IOException, InterruptedException, BenchException {
    Path socket = server.socket;
    List<String> command =
        new ArrayList<>(
            List.of(
                "fio",
                "--name=bench",
                "--ioengine=nbd",
                "--uri=nbd+unix:///" + server.export + "?socket=" + socket,
                "--rw=" + mode,
                "--bs=" + blockBytes,
                "--iodepth=" + depth,
                "--size=" + sizeBytes,
                "--time_based",
                "--runtime=" + (int) Math.ceil(seconds),
                "--randrepeat=0",
                "--norandommap",
                "--output-format=json"));
    if (flushEvery > 0) {
      command.add("--fsync=" + flushEvery);
    }
    double cpuBefore = server.cpuMicros();
    Path folder = socket.toAbsolutePath().getParent();
    if (folder == null) {
      throw new BenchException(socket + " is in no folder");
    }
    Process process = new ProcessBuilder(command).directory(folder.toFile()).start();
    String output = new String(process.getInputStream().readAllBytes());
    String errors = new String(process.getErrorStream().readAllBytes());
    if (process.waitFor() != 0) {
      throw new BenchException("fio failed: " + errors.strip());
    }
    String direction = mode.contains("read") ? "read" : "write";
    double cpu = server.cpuMicros() - cpuBefore;
    return new Figure(
        number(output, direction, "iops"), cpu / number(output, direction, "total_ios"));
  }

  private static double number(String output, String direction, String name) throws BenchException {
    Matcher matcher =
        Pattern.compile(
                "\"" + direction + "\" : \\{.*?\"" + name + "\" : ([0-9.]+)", Pattern.DOTALL)
            .matcher(output);
    if (!matcher.find()) {
      throw new BenchException("fio told no figure");
    }
    return Double.parseDouble(matcher.group(1));
  }
}
