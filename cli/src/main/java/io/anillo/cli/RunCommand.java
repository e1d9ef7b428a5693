package io.anillo.cli;

import io.anillo.cli.MachinePlan.Engine;
import io.anillo.cli.console.FileConsole;
import io.anillo.cli.console.SilentConsole;
import io.anillo.cli.console.TerminalConsole;
import io.anillo.cli.console.WatchedConsole;
import io.anillo.cli.image.DefaultGuest;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.ImageException;
import io.anillo.vmm.host.HostTerminal;
import io.anillo.vmm.port.CharBackend;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import sun.misc.Signal;

/** {@code anillo run}: one machine in the foreground. */
@Command(
    name = "run",
    description = "Boots a guest in the foreground; without --kernel, the default guest's shell.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    footer = {
      "",
      "At a terminal, Ctrl-A x quits, Ctrl-A s shows what the machine does, Ctrl-A ? helps.",
      "Exit status: 0 the guest powered off (or reset, with --no-reboot); odd, (value<<1)|1, from",
      "debug-exit; 2 wrong usage; 4 the guest could not be started; 70 a fault of the monitor",
      "itself; 124 the time limit; 130 stopped by Ctrl-A x or a signal."
    })
final class RunCommand implements Callable<Integer> {
  private static final int CPUS_MAXIMUM = 64;
  private static final int SERIAL_MAXIMUM = 2;

  private final GuestMachine.Factory machines;
  private final PrintStream err = System.err;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--kernel",
      paramLabel = "FILE",
      description = "bzImage, ELF with a PVH note, or multiboot 1; recognised by content.")
  private @Nullable Path kernel;

  @Option(names = "--initrd", paramLabel = "FILE", description = "Initial RAM disk.")
  private @Nullable Path initialRamDisk;

  @Option(
      names = "--append",
      paramLabel = "TEXT",
      description = "Kernel command line; for the default guest, in addition to its own.")
  private List<String> append = new ArrayList<>();

  @Option(
      names = "--disk",
      paramLabel = "FILE|nbd:URI|volume:NAME,pool=DISK[,format=qcow2][,readonly]",
      converter = DiskConverter.class,
      description = "A disk, as a virtio block device; repeatable.")
  private List<DiskOption> disks = new ArrayList<>();

  @Option(
      names = "--network",
      paramLabel = "user[,forward=tcp:8080:80]|tap=NAME|packet=NAME",
      description = "A virtio network card and what it is plugged into; repeatable.")
  private List<String> networks = new ArrayList<>();

  @Option(names = "--cpus", paramLabel = "N", description = "Processors (default 1).")
  private int cpus = 1;

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      converter = MemoryConverter.class,
      description = "Memory, such as 512M or 2G (default 512M).")
  private OptionValues.MemorySize memory = new OptionValues.MemorySize(512L << 20);

  @Option(
      names = "--engine",
      paramLabel = "ENGINE",
      converter = EngineConverter.class,
      description = "How guest code is carried out: ${COMPLETION-CANDIDATES} (default auto).")
  private Engine engine = Engine.AUTO;

  @Option(
      names = "--serial",
      paramLabel = "stdio|file:PATH|none",
      converter = SerialConverter.class,
      description = "Where COM1 goes (default stdio); a second one is COM2.")
  private List<OptionValues.Serial> serial = new ArrayList<>();

  @Option(
      names = "--device",
      paramLabel = "debug-exit[,port=0xf4]",
      converter = DebugExitConverter.class,
      description = "A device with which the guest ends the run with a status of its own.")
  private OptionValues.@Nullable DebugExit debugExit;

  @Option(names = "--no-reboot", description = "End the run when the guest resets.")
  private boolean noReboot;

  @Option(
      names = "--paravirtual",
      paramLabel = "on|off",
      description = "Whether the guest finds KVM's paravirtual interface (default on).")
  private OptionValues.Switch paravirtual = OptionValues.Switch.ON;

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      converter = OptionValues.DurationConverter.class,
      description = "End the run after this time, such as 60s, with status 124.")
  private @Nullable Duration timeout;

  @Option(
      names = "--monitor",
      description =
          "Show what the machine does, once a second; Ctrl-A s goes to the guest and back.")
  private boolean monitor;

  @Option(
      names = "--stats",
      paramLabel = "FILE",
      description = "Write what was counted and measured, as JSON.")
  private @Nullable Path statistics;

  private Optional<TerminalConsole> monitorConsole = Optional.empty();

  RunCommand(GuestMachine.Factory machines) {
    this.machines = machines;
  }

  @Override
  public Integer call() throws InterruptedException {
    checkUsage();
    Milestones milestones = new Milestones();
    Optional<HostTerminal> terminal = HostTerminal.open();
    MachineRun run = new MachineRun(() -> terminal.ifPresent(HostTerminal::restore));
    Thread restorer = new Thread(() -> terminal.ifPresent(HostTerminal::restore));
    Runtime.getRuntime().addShutdownHook(restorer);
    // The virtual machine's own handlers would end the process with an odd status.
    for (String signal : List.of("INT", "TERM", "HUP")) {
      Signal.handle(new Signal(signal), received -> run.stop(ExitStatus.STOPPED));
    }
    List<CharBackend> consoles = new ArrayList<>();
    try {
      Boot boot = boot(terminal);
      openConsoles(consoles, terminal, run, milestones);
      MachinePlan plan =
          new MachinePlan(
              cpus,
              memory.bytes(),
              engine,
              boot.kernel(),
              boot.initialRamDisk(),
              boot.commandLine(),
              disks,
              networks,
              consoles,
              debugExit == null ? OptionalInt.empty() : OptionalInt.of(debugExit.port()),
              noReboot,
              statistics != null || monitor,
              paravirtual == OptionValues.Switch.ON);
      return run(plan, run, milestones, consoles);
    } catch (CommandException e) {
      close(consoles);
      err.println("anillo: " + e.sentence());
      return e.status();
    }
  }

  private int run(
      MachinePlan plan, MachineRun run, Milestones milestones, List<CharBackend> consoles)
      throws CommandException, InterruptedException {
    Map<String, Object> measured = new LinkedHashMap<>();
    Optional<GuestMachine> made = Optional.empty();
    int status;
    boolean panicked;
    try {
      GuestMachine machine = machines.create(plan);
      made = Optional.of(machine);
      milestones.reach("machineStartMillis");
      if (monitor) {
        monitorConsole.ifPresent(console -> console.showMonitor(machine::liveView));
      }
      status = run.run(machine, Optional.ofNullable(timeout));
      milestones.reach("endMillis");
      machine.firstUserCode().ifPresent(at -> milestones.reached("firstRing3Millis", at));
      measured.putAll(machine.statistics());
      panicked = machine.guestPanicked();
      machine.close();
    } catch (RuntimeException | Error e) {
      close(consoles);
      err.println(
          "anillo: "
              + FaultReport.write(
                  GuestCache.homeOfUser().resolve("reports"),
                  spec().root().commandLine().getParseResult().originalArgs(),
                  e,
                  made.map(RunCommand::describe).orElse("There was no machine yet.")));
      return ExitStatus.MONITOR_FAULT;
    } finally {
      close(consoles);
    }
    // Said now, where the live view no longer covers it.
    if (panicked) {
      err.println("anillo: the guest's kernel panicked.");
    }
    if (status == ExitStatus.TIMEOUT) {
      err.println(
          "anillo: the guest was still running after " + seconds(timeout) + "; it was stopped.");
    }
    measured.put("exitStatus", status);
    measured.put("milestones", milestones.reached());
    return writeStatistics(measured) ? status : ExitStatus.NOT_STARTED;
  }

  private static String seconds(@Nullable Duration time) {
    return time == null ? "" : time.toMillis() / 1000.0 + " s";
  }

  private boolean writeStatistics(Map<String, Object> measured) {
    if (statistics == null) {
      return true;
    }
    try {
      Files.writeString(statistics, JsonText.of(measured));
      return true;
    } catch (IOException e) {
      err.println("anillo: the statistics could not be written to " + statistics + ".");
      return false;
    }
  }

  /** A fault may have left the machine in a state that it cannot even describe. */
  private static String describe(GuestMachine machine) {
    try {
      return machine.describe();
    } catch (RuntimeException e) {
      return "The machine could not be described: " + e;
    }
  }

  private void checkUsage() {
    if (cpus < 1 || cpus > CPUS_MAXIMUM) {
      throw wrongUsage("--cpus " + cpus + " is not between 1 and " + CPUS_MAXIMUM);
    }
    if (serial.size() > SERIAL_MAXIMUM) {
      throw wrongUsage(
          "there are two serial lines, and --serial is given " + serial.size() + " times");
    }
    if (serial.stream().filter(OptionValues.Serial.Stdio.class::isInstance).count() > 1) {
      throw wrongUsage("only one serial line can be at stdio");
    }
    if (append.stream().anyMatch(text -> text.indexOf('\0') >= 0)) {
      throw wrongUsage("--append has a NUL in it");
    }
  }

  private ParameterException wrongUsage(String message) {
    return new ParameterException(spec().commandLine(), message);
  }

  private CommandSpec spec() {
    if (spec == null) {
      throw new IllegalStateException("picocli has set no spec");
    }
    return spec;
  }

  /** What is booted. */
  private record Boot(Path kernel, Optional<Path> initialRamDisk, String commandLine) {}

  private Boot boot(Optional<HostTerminal> terminal) throws CommandException {
    requireMemory();
    if (initialRamDisk != null) {
      HostFiles.requireReadable("--initrd", initialRamDisk);
    }
    for (DiskOption disk : disks) {
      List<Path> files = disk.isFile() ? List.of(Path.of(disk.location())) : disk.poolDisks();
      for (Path file : files) {
        HostFiles.requireReadable("--disk", file);
        if (!disk.readOnly()) {
          HostFiles.requireWritable("--disk", file);
        }
      }
    }
    if (statistics != null) {
      HostFiles.requireCreatable("--stats", statistics);
    }
    if (kernel != null) {
      HostFiles.requireReadable("--kernel", kernel);
      return new Boot(kernel, Optional.ofNullable(initialRamDisk), String.join(" ", append));
    }
    DefaultGuest guest;
    try {
      guest =
          DefaultGuest.get(
              GuestCache.ofUser(),
              false,
              new TerminalProgress(
                  "Preparing the default guest",
                  err,
                  HostTerminal.isAt(HostTerminal.STANDARD_ERROR)));
    } catch (ImageException e) {
      throw new CommandException(ExitStatus.NOT_STARTED, e.sentence());
    }
    List<String> commandLine = new ArrayList<>(List.of(DefaultGuest.COMMAND_LINE));
    terminal
        .flatMap(HostTerminal::size)
        .ifPresent(size ->
            commandLine.add("anillo.rows=" + size.rows() + " anillo.columns=" + size.columns()));
    // The guest that answers pings by default has an address already; others ask for theirs.
    if (!networks.isEmpty()) {
      commandLine.add("anillo.network=dhcp");
    }
    commandLine.addAll(append);
    return new Boot(
        guest.kernel(),
        Optional.of(initialRamDisk == null ? guest.initialRamDisk() : initialRamDisk),
        String.join(" ", commandLine));
  }

  private void requireMemory() throws CommandException {
    long total = HostFiles.hostMemoryBytes();
    if (memory.bytes() > total) {
      throw new CommandException(
          ExitStatus.NOT_STARTED,
          "--memory " + memory + " is more than the " + (total >> 20) + "M that this machine has.");
    }
  }

  private void openConsoles(
      List<CharBackend> consoles,
      Optional<HostTerminal> terminal,
      MachineRun run,
      Milestones milestones)
      throws CommandException {
    List<OptionValues.Serial> lines =
        serial.isEmpty() ? List.of(new OptionValues.Serial.Stdio()) : serial;
    for (OptionValues.Serial line : lines) {
      CharBackend console =
          switch (line) {
            case OptionValues.Serial.Stdio stdio -> {
              boolean shell = kernel == null && initialRamDisk == null && consoles.isEmpty();
              TerminalConsole stdioConsole =
                  TerminalConsole.ofProcess(terminal, shell, () -> run.stop(ExitStatus.STOPPED));
              milestones.onUserSpace(stdioConsole::shellComes);
              monitorConsole = Optional.of(stdioConsole);
              yield stdioConsole;
            }
            case OptionValues.Serial.ToFile file -> {
              HostFiles.requireCreatable("--serial", file.file());
              try {
                yield new FileConsole(file.file());
              } catch (IOException e) {
                throw new CommandException(
                    ExitStatus.NOT_STARTED, "--serial " + file.file() + " cannot be written.");
              }
            }
            case OptionValues.Serial.None none -> new SilentConsole();
          };
      consoles.add(
          consoles.isEmpty() ? new WatchedConsole(console, milestones::consoleLine) : console);
    }
  }

  private void close(List<CharBackend> consoles) {
    for (CharBackend console : consoles) {
      try {
        console.close();
      } catch (IOException e) {
        err.println("anillo: the end of the serial output could not be written.");
      }
    }
    consoles.clear();
  }

  /** Converters are found by class; this one knows engines by what the command line calls them. */
  static final class EngineConverter implements picocli.CommandLine.ITypeConverter<Engine> {
    @Override
    public Engine convert(String text) {
      for (Engine each : Engine.values()) {
        if (each.toString().equals(text)) {
          return each;
        }
      }
      throw new picocli.CommandLine.TypeConversionException(
          "'" + text + "' is none of " + List.of(Engine.values()));
    }
  }

  /** As above. */
  static final class DiskConverter implements picocli.CommandLine.ITypeConverter<DiskOption> {
    @Override
    public DiskOption convert(String text) {
      return DiskOption.parse(text);
    }
  }

  /** As above. */
  static final class MemoryConverter
      implements picocli.CommandLine.ITypeConverter<OptionValues.MemorySize> {
    @Override
    public OptionValues.MemorySize convert(String text) {
      return OptionValues.MemorySize.parse(text);
    }
  }

  /** As above. */
  static final class SerialConverter
      implements picocli.CommandLine.ITypeConverter<OptionValues.Serial> {
    @Override
    public OptionValues.Serial convert(String text) {
      return OptionValues.Serial.parse(text);
    }
  }

  /** As above. */
  static final class DebugExitConverter
      implements picocli.CommandLine.ITypeConverter<OptionValues.DebugExit> {
    @Override
    public OptionValues.DebugExit convert(String text) {
      return OptionValues.DebugExit.parse(text);
    }
  }
}
