package io.anillo.bench.storage;

import io.anillo.bench.BenchException;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server that runs in a process of its own and offers one disk on a Unix-domain socket. */
final class NbdContender implements AutoCloseable {
  final String name;
  final Path socket;
  final String export;
  private final Process process;

  private NbdContender(String name, Path socket, String export, List<String> command, Path log)
      throws IOException, InterruptedException, BenchException {
    this.name = name;
    this.socket = socket;
    this.export = export;
    this.process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    for (int i = 0; i < 600 && !Files.exists(socket) && process.isAlive(); i++) {
      Thread.sleep(50);
    }
    Thread.sleep(200);
    if (!process.isAlive()) {
      throw new BenchException(name + " did not start: " + Files.readString(log).strip());
    }
  }

  private static Path socket(Path folder, String name) {
    return folder.resolve(name + ".socket");
  }

  static NbdContender qemu(Path folder, Path image, String format) throws Exception {
    Path socket = socket(folder, "qemu-" + format);
    return new NbdContender(
        "qemu-nbd",
        socket,
        "",
        List.of(
            "qemu-nbd",
            "-t",
            "-e",
            "8",
            "-f",
            format,
            "--discard=unmap",
            "-k",
            socket.toString(),
            image.toString()),
        folder.resolve("qemu.log"));
  }

  static NbdContender nbdkit(Path folder, Path image) throws Exception {
    Path socket = socket(folder, "nbdkit");
    return new NbdContender(
        "nbdkit",
        socket,
        "",
        List.of("nbdkit", "-f", "-U", socket.toString(), "file", image.toString()),
        folder.resolve("nbdkit.log"));
  }

  /** Our own server, as {@code ./anillo disk serve} starts it. */
  static NbdContender anillo(
      Path folder, String name, String export, boolean pool, String format, List<Path> files)
      throws Exception {
    Path socket = socket(folder, name.replace(' ', '-'));
    List<String> command = new ArrayList<>();
    command.add(ProcessHandle.current().info().command().orElse("java"));
    // the same options that ./anillo gave this process
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            "io.anillo.cli.Anillo",
            "disk",
            "serve",
            "--socket",
            socket.toString()));
    if (pool) {
      command.add("--pool");
    } else {
      command.add("--format=" + format);
    }
    files.forEach(file -> command.add(file.toString()));
    return new NbdContender(
        name, socket, export, command, folder.resolve(name.replace(' ', '-') + ".log"));
  }

  /** What its process took of the processor so far, in microseconds. */
  double cpuMicros() {
    return process.toHandle().info().totalCpuDuration().map(Duration::toNanos).orElse(0L) / 1e3;
  }

  @Override
  public void close() throws InterruptedException {
    process.destroy();
    if (!process.waitFor(30, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
  }
}
