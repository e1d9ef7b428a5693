package io.anillo.cli;

import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.machine.MachineConfig;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** From the engine that was asked for to the one that this host can carry out at speed. */
final class EngineChoice {
  private static final Path DEVICE = Path.of("/dev/kvm");

  private EngineChoice() {}

  /**
   * Chooses, and says in one line when the choice is not the obvious one.
   *
   * @param notes where the line goes
   */
  static MachineConfig.Engine of(MachinePlan.Engine wanted, PrintStream notes) {
    return switch (wanted) {
      case INTERPRET -> MachineConfig.Engine.INTERPRET;
      case TRANSLATE -> MachineConfig.Engine.TRANSLATE;
      case TRANSLATE_EVERYTHING -> MachineConfig.Engine.TRANSLATE_EVERYTHING;
      case AUTO -> Files.exists(DEVICE) ? probed(notes) : MachineConfig.Engine.TRANSLATE;
      case KVM -> demanded(notes);
      case KVM_LOCAL_APICS -> withLocalApics(demanded(notes), notes);
    };
  }

  private static MachineConfig.Engine probed(PrintStream notes) {
    KvmProbe.Result result = KvmProbe.measure();
    if (result.fast()) {
      return MachineConfig.Engine.KVM;
    }
    notes.println("anillo: engine translate: " + result.sentence() + ".");
    return MachineConfig.Engine.TRANSLATE;
  }

  private static MachineConfig.Engine withLocalApics(
      MachineConfig.Engine engine, PrintStream notes) {
    if (engine != MachineConfig.Engine.KVM) {
      return engine;
    }
    Optional<String> lack = KvmProbe.whyNoLocalApics();
    if (lack.isEmpty()) {
      return MachineConfig.Engine.KVM_LOCAL_APICS;
    }
    notes.println("anillo: local APICs of our own instead of the kernel's: " + lack.get() + ".");
    return MachineConfig.Engine.KVM;
  }

  private static MachineConfig.Engine demanded(PrintStream notes) {
    KvmProbe.Result result = KvmProbe.measure();
    if (result.instructionsPerSecond() == 0) {
      notes.println("anillo: engine translate instead of kvm: " + result.sentence() + ".");
      return MachineConfig.Engine.TRANSLATE;
    }
    if (!result.fast()) {
      notes.println("anillo: engine kvm, slowly: " + result.sentence() + ".");
    }
    return MachineConfig.Engine.KVM;
  }
}
