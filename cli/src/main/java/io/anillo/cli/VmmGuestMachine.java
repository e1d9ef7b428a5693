package io.anillo.cli;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineExit;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import io.anillo.vmm.x86.translate.Translator;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToLongFunction;

/** A machine of the virtual machine monitor. */
final class VmmGuestMachine implements GuestMachine {
  private static final System.Logger LOG = System.getLogger(VmmGuestMachine.class.getName());

  private final Machine machine;
  private final List<BlockBackend> disks;

  VmmGuestMachine(Machine machine, List<BlockBackend> disks) {
    this.machine = machine;
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
    numbers.put("kernel", machine.kernel().format());
    numbers.put("kernelVersion", machine.kernel().version());
    numbers.put("guestInstructions", machine.instructions());
    numbers.put(
        "guestInstructionsByCpu",
        machine.processors().stream().map(cpu -> cpu.state().instructions).toList());
    numbers.put("interruptsTaken", sum(InterpretedCpu::interruptsTaken));
    numbers.put("exceptionsTaken", sum(InterpretedCpu::exceptionsTaken));
    machine
        .translator()
        .ifPresent(translator -> numbers.put("translation", translation(translator)));
    return numbers;
  }

  private long sum(ToLongFunction<InterpretedCpu> counter) {
    return machine.processors().stream().mapToLong(counter).sum();
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
    numbers.put("codePagesInvalidated", machine.codeCache().invalidations());
    translator.failure().ifPresent(failure -> numbers.put("failure", failure.toString()));
    return numbers;
  }

  @Override
  public String describe() {
    StringBuilder text = new StringBuilder();
    text.append("kernel: ").append(machine.kernel()).append('\n');
    for (InterpretedCpu cpu : machine.processors()) {
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
