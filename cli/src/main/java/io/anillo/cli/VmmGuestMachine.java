package io.anillo.cli;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.hypercall.Hypercall;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineExit;
import io.anillo.vmm.machine.ProcessorActivity;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import io.anillo.vmm.machine.ProcessorActivity.Reason;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import io.anillo.vmm.x86.translate.Translator;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;

/** A machine of the virtual machine monitor. */
final class VmmGuestMachine implements GuestMachine {
  private static final System.Logger LOG = System.getLogger(VmmGuestMachine.class.getName());

  private final Machine machine;
  private final MachineConfig.Engine engine;
  private final LiveView liveView;
  private final List<BlockBackend> disks;
  private final LearnedCode learned;

  VmmGuestMachine(
      Machine machine, MachineConfig.Engine engine, List<BlockBackend> disks, LearnedCode learned) {
    this.learned = learned;
    this.machine = machine;
    this.engine = engine;
    this.liveView = new LiveView(machine);
    this.disks = List.copyOf(disks);
  }

  @Override
  public Outcome run() throws InterruptedException {
    return switch (machine.run()) {
      case MachineExit.PoweredOff powered -> new Outcome.PoweredOff();
      case MachineExit.Reset reset -> new Outcome.Reset(reset.cause());
      case MachineExit.DebugExit exit -> new Outcome.DebugExit(exit.value());
      case MachineExit.Stopped stopped -> new Outcome.Stopped();
    };
  }

  @Override
  public void stop() {
    machine.stop();
  }

  @Override
  public Map<String, Object> statistics() {
    Map<String, Object> numbers = new LinkedHashMap<>();
    numbers.put("engine", engine.name().toLowerCase(Locale.ROOT));
    numbers.put("kernel", machine.kernel().format());
    numbers.put("kernelVersion", machine.kernel().version());
    numbers.put("guestInstructions", machine.instructions());
    numbers.put(
        "guestInstructionsByCpu",
        machine.processors().stream().map(cpu -> machine.instructions(cpu.index())).toList());
    numbers.put("guestPanicked", guestPanicked());
    numbers.put("interruptsTaken", sumOf(VirtualCpu::interruptsTaken));
    numbers.put("exceptionsTaken", sumOf(VirtualCpu::exceptionsTaken));
    numbers.put("exits", exits());
    numbers.put("timeMillis", timeMillis());
    Map<String, Object> reasons = new LinkedHashMap<>();
    machine.exits().forEach((reason, count) -> reasons.put(reason.key(), count));
    numbers.put("exitReasons", reasons);
    numbers.put(
        "endsOfInterruptByMemory",
        IntStream.range(0, machine.processors().size())
            .mapToLong(i -> machine.board().localApic(i).metrics().endsByMemory())
            .sum());
    numbers.put("hypercalls", hypercalls());
    numbers.put("tlbFlushesSaved", sumOfAware(ParavirtualProcessor::tlbFlushesSaved));
    machine
        .translator()
        .ifPresent(translator -> numbers.put("translation", translation(translator)));
    return numbers;
  }

  /** What an aware guest asked for, of all processors. */
  private Map<String, Object> hypercalls() {
    Map<String, Object> numbers = new LinkedHashMap<>();
    for (Hypercall kind : Hypercall.values()) {
      numbers.put(kind.key(), sumOfAware(processor -> processor.calls(kind)));
    }
    return numbers;
  }

  private long sumOfAware(ToLongFunction<ParavirtualProcessor> counter) {
    return machine.processors().stream()
        .map(VirtualCpu::paravirtual)
        .filter(Objects::nonNull)
        .mapToLong(counter)
        .sum();
  }

  /** Why guest code was left, of all processors. */
  private Map<String, Object> exits() {
    Map<String, Object> numbers = new LinkedHashMap<>();
    for (Reason reason : Reason.values()) {
      String name =
          switch (reason) {
            case PORT_READ -> "portRead";
            case PORT_WRITE -> "portWrite";
            case MMIO_READ -> "mmioRead";
            case MMIO_WRITE -> "mmioWrite";
            case LOCAL_APIC -> "localApic";
            case HALTED -> "halted";
            case INTERRUPTED -> "interrupted";
            case DEADLINE -> "deadline";
            case SHUTDOWN -> "shutdown";
          };
      numbers.put(
          name, machine.activities().stream().mapToLong(each -> each.exits().get(reason)).sum());
    }
    return numbers;
  }

  /** Host time of all processors' threads, by where they were. */
  private Map<String, Object> timeMillis() {
    Map<String, Object> numbers = new LinkedHashMap<>();
    for (Place place : Place.values()) {
      String name =
          switch (place) {
            case RING_0 -> "ring0";
            case RING_3 -> "ring3";
            case MONITOR -> "monitor";
            case IDLE -> "idle";
          };
      long nanos = machine.activities().stream().mapToLong(each -> each.nanos().get(place)).sum();
      numbers.put(name, nanos / 1_000_000);
    }
    return numbers;
  }

  @Override
  public boolean guestPanicked() {
    return machine.board().guestPanicked();
  }

  @Override
  public OptionalLong firstUserCode() {
    return machine.activities().stream()
        .mapToLong(ProcessorActivity::firstRing3)
        .filter(at -> at != 0)
        .min();
  }

  private long sumOf(ToLongFunction<VirtualCpu> counter) {
    return machine.processors().stream().mapToLong(counter).sum();
  }

  private long sum(ToLongFunction<InterpretedCpu> counter) {
    return machine.softwareProcessors().stream().mapToLong(counter).sum();
  }

  private Map<String, Object> translation(Translator translator) {
    long translated = sum(InterpretedCpu::compiledInstructions);
    long entries = sum(InterpretedCpu::compiledEntries);
    Translator.Metrics metrics = translator.metrics();
    Map<String, Object> numbers = new LinkedHashMap<>();
    numbers.put("regions", metrics.regions());
    numbers.put("regionInstructions", metrics.instructions());
    numbers.put("classFileBytes", metrics.bytecodeBytes());
    numbers.put("translationMillis", metrics.nanos() / 1_000_000);
    numbers.put("instructionsTranslated", translated);
    numbers.put("instructionsPerEntry", entries == 0 ? 0 : translated / entries);
    long dispatches = sum(InterpretedCpu::compiledDispatches);
    numbers.put("instructionsPerDispatch", dispatches == 0 ? 0 : translated / dispatches);
    numbers.put("promotions", metrics.promotions());
    numbers.put("refusals", metrics.refusals());
    numbers.put("keptBytes", metrics.keptBytes());
    numbers.put("evictions", metrics.evictions());
    numbers.put("codePagesInvalidated", machine.codeCache().invalidations());
    translator.failure().ifPresent(failure -> numbers.put("failure", failure.toString()));
    return numbers;
  }

  @Override
  public String liveView() {
    return liveView.next();
  }

  @Override
  public String describe() {
    StringBuilder text = new StringBuilder();
    text.append("kernel: ").append(machine.kernel()).append('\n');
    for (VirtualCpu cpu : machine.processors()) {
      CpuState state = cpu.state();
      text.append(
          "cpu %d: rip=%x cs=%04x rflags=%x cr0=%x cr2=%x cr3=%x cr4=%x efer=%x n=%d%n"
              .formatted(
                  cpu.index(),
                  state.rip,
                  state.segmentSelector[CpuState.CS],
                  state.rflags(),
                  state.cr0,
                  state.cr2,
                  state.cr3,
                  state.cr4,
                  state.efer,
                  state.instructions));
      for (int i = 0; i < 16; i++) {
        text.append("  r%d=%x".formatted(i, state.general[i]));
      }
      text.append('\n');
    }
    return text.toString();
  }

  @Override
  public void close() {
    machine.translator().ifPresent(learned::takeFrom);
    machine.close();
    close(disks);
  }

  /** Closes disks; what a guest has not flushed may be lost, as when its power fails. */
  static void close(List<BlockBackend> disks) {
    for (BlockBackend disk : disks) {
      try {
        disk.close();
      } catch (IOException e) {
        LOG.log(System.Logger.Level.WARNING, "A disk could not be closed.", e);
      }
    }
  }
}
