package io.anillo.cli;

import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.machine.MachineConfig;
import java.io.PrintStream;
import java.util.Optional;
import java.util.function.Supplier;

/** From the engine that was asked for to the one that this host can carry out at speed. */
final class EngineChoice {
  private final PrintStream notes;
  private final Supplier<HostSystem> host;

  /**
   * Chooses, and says in one line where it is not the hardware though that was wanted or allowed.
   *
   * @param notes where the line goes
   */
  static MachineConfig.Engine of(MachinePlan.Engine wanted, PrintStream notes) {
    return new EngineChoice(notes, HostSystem::new).of(wanted);
  }

  /**
   * A choice to be made.
   *
   * @param host makes the calls of a thread
   */
  EngineChoice(PrintStream notes, Supplier<HostSystem> host) {
    this.notes = notes;
    this.host = host;
  }

  MachineConfig.Engine of(MachinePlan.Engine wanted) {
    return switch (wanted) {
      case INTERPRET -> MachineConfig.Engine.INTERPRET;
      case TRANSLATE -> MachineConfig.Engine.TRANSLATE;
      case TRANSLATE_EVERYTHING -> MachineConfig.Engine.TRANSLATE_EVERYTHING;
      case AUTO -> probed();
      case KVM -> demanded();
      case KVM_LOCAL_APICS -> withLocalApics(demanded());
    };
  }

  private MachineConfig.Engine probed() {
    KvmProbe.Result result = KvmProbe.measure(host);
    if (result.fast()) {
      return MachineConfig.Engine.KVM;
    }
    notes.println("anillo: engine translate: " + result.sentence() + ".");
    return MachineConfig.Engine.TRANSLATE;
  }

  private MachineConfig.Engine withLocalApics(MachineConfig.Engine engine) {
    if (engine != MachineConfig.Engine.KVM) {
      return engine;
    }
    Optional<String> lack = KvmProbe.whyNoLocalApics(host);
    if (lack.isEmpty()) {
      return MachineConfig.Engine.KVM_LOCAL_APICS;
    }
    notes.println("anillo: local APICs of our own instead of the kernel's: " + lack.get() + ".");
    return MachineConfig.Engine.KVM;
  }

  private MachineConfig.Engine demanded() {
    KvmProbe.Result result = KvmProbe.measure(host);
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
