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
 */
record FioRun(String mode, int blockBytes, int depth) {

  static final List<FioRun> ALL =
      List.of(
          new FioRun("read", 256 << 10, 8),
          new FioRun("write", 256 << 10, 8),
          new FioRun("randread", 4 << 10, 1),
          new FioRun("randwrite", 4 << 10, 1),
          new FioRun("randread", 4 << 10, 32),
          new FioRun("randwrite", 4 << 10, 32));

  boolean sequential() {
    return !mode.startsWith("rand");
  }

  String name() {
    return "%s %d KiB, depth %d".formatted(mode, blockBytes >> 10, depth);
  }

  /** The figure as a person reads it. */
  String show(double perSecond) {
    return sequential()
        ? "%,.0f MB/s".formatted(perSecond * blockBytes / 1e6)
        : "%,.0f/s".formatted(perSecond);
  }

  /** Runs against a server and returns requests a second. */
  double measure(Path socket, String export, long sizeBytes, double seconds)
      throws IOException, InterruptedException, BenchException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "fio",
                "--name=bench",
                "--ioengine=nbd",
                "--uri=nbd+unix:///" + export + "?socket=" + socket,
                "--rw=" + mode,
                "--bs=" + blockBytes,
                "--iodepth=" + depth,
                "--size=" + sizeBytes,
                "--time_based",
                "--runtime=" + (int) Math.ceil(seconds),
                "--randrepeat=0",
                "--norandommap",
                "--output-format=json"));
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
    Matcher matcher =
        Pattern.compile("\"" + direction + "\" : \\{.*?\"iops\" : ([0-9.]+)", Pattern.DOTALL)
            .matcher(output);
    if (!matcher.find()) {
      throw new BenchException("fio told no figure");
    }
    return Double.parseDouble(matcher.group(1));
  }
}
