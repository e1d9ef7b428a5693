package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import io.anillo.bench.Statistics;
import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineExit;
import io.anillo.vmm.port.CharBackend;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code ./anillo bench rate}: guest instructions per second of an engine, program by program, in
 * this process. Also by the processor thread's own CPU time, which other load on the host does not
 * stretch.
 */
@Command(
    name = "rate",
    description = "Guest instructions per second, program by program.",
    mixinStandardHelpOptions = true)
public final class RateCommand implements Callable<Integer> {
  @Option(
      names = "--only",
      split = ",",
      description = "Programs, or beginnings of their names (default ${DEFAULT-VALUE}).")
  private List<String> only = List.of("int_");

  @Option(names = "--scale", description = "Percent of the work (default ${DEFAULT-VALUE}).")
  private int scale = 20;

  @Option(names = "--engine", description = "The engine (default ${DEFAULT-VALUE}).")
  private MachineConfig.Engine engine = MachineConfig.Engine.INTERPRET;

  @Override
  public Integer call() throws BenchException, IOException, InterruptedException {
    Workload workload = new GuestBench(Measurement.top());
    List<Program> programs =
        workload.programs().stream()
            .filter(program -> only.stream().anyMatch(program.name()::startsWith))
            .toList();
    if (programs.isEmpty()) {
      throw new BenchException("No program begins with " + String.join(" or ", only) + ".");
    }
    Workload.Image image = workload.prepare();
    Meter meter = new Meter();
    MachineConfig config =
        MachineConfig.of(
                (long) Contender.MEMORY_MEBIBYTES << 20,
                read(image.kernel()),
                read(image.initialRamDisk()),
                image.commandLine() + " " + workload.arguments(programs, scale))
            .withSerial(List.of(meter))
            .withEngine(engine);
    System.out.printf(
        "%-14s %14s %16s %18s%n", "", "instructions", "MIPS by clock", "MIPS by CPU time");
    try (Machine machine = Machine.create(config)) {
      meter.machine = machine;
      MachineExit exit = machine.run();
      if (!(exit instanceof MachineExit.PoweredOff)) {
        throw new BenchException("The guest did not power off: " + exit + ".");
      }
    } catch (BootException e) {
      throw new BenchException(String.valueOf(e.getMessage()));
    }
    System.out.printf(
        "%-14s %14s %16.1f %18.1f%n",
        "geometric mean",
        "",
        Statistics.geometricMean(meter.byClock),
        Statistics.geometricMean(meter.byCpu));
    return 0;
  }

  private static ByteBuffer read(Path file) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(file));
  }

  /** The guest's console, called on the processor's thread. */
  private static final class Meter implements CharBackend {
    private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    private final StringBuilder line = new StringBuilder();
    final List<Double> byClock = new ArrayList<>();
    final List<Double> byCpu = new ArrayList<>();
    @Nullable Machine machine;
    private long instructions;
    private long cpuNanos;
    private long nanos;

    @Override
    public void start(Receiver receiver) {}

    @Override
    public void write(byte[] data, int offset, int length) {
      for (int i = offset; i < offset + length; i++) {
        if (data[i] == '\n') {
          line(line.toString().strip());
          line.setLength(0);
        } else {
          line.append((char) (data[i] & 0xFF));
        }
      }
    }

    private void line(String text) {
      Machine running = machine;
      if (running == null) {
        return;
      }
      if (text.startsWith("START ")) {
        instructions = running.instructions();
        cpuNanos = threads.getCurrentThreadCpuTime();
        nanos = System.nanoTime();
      } else if (text.startsWith("STOP ")) {
        double millions = (running.instructions() - instructions) / 1e6;
        double cpu = millions * 1e9 / (threads.getCurrentThreadCpuTime() - cpuNanos);
        double clock = millions * 1e9 / (System.nanoTime() - nanos);
        byCpu.add(cpu);
        byClock.add(clock);
        System.out.printf(
            "%-14s %12.1f M %16.1f %18.1f%n", text.substring(5), millions, clock, cpu);
      }
    }

    @Override
    public void close() {}
  }
}
