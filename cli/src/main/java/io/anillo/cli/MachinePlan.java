package io.anillo.cli;

import io.anillo.vmm.port.CharBackend;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The machine that a command line asks for, in the terms of the command line; files exist and can
 * be read.
 *
 * @param networks what each card is plugged into, as {@code NetworkChoice} reads it; none for an
 *     echo
 * @param serial COM1 and COM2, at most two; a line that is not there is left out at the end
 * @param debugExitPort the I/O port of the debug-exit device, where there is one
 * @param noReboot whether a reset of the guest ends the run
 * @param measured whether the times of the statistics are wanted
 * @param paravirtual whether the guest is offered the paravirtual interface
 */
record MachinePlan(
    int cpus,
    long memoryBytes,
    Engine engine,
    Path kernel,
    Optional<Path> initialRamDisk,
    String commandLine,
    List<DiskOption> disks,
    List<String> networks,
    List<CharBackend> serial,
    OptionalInt debugExitPort,
    boolean noReboot,
    boolean measured,
    boolean paravirtual) {

  /** How guest instructions are carried out. */
  enum Engine {
    AUTO,
    INTERPRET,
    TRANSLATE,
    KVM,
    /** With local APICs in the host's kernel. */
    KVM_LOCAL_APICS,
    /** Everything is translated before it runs, for tests. */
    TRANSLATE_EVERYTHING;

    /** As on the command line. */
    @Override
    public String toString() {
      return switch (this) {
        case TRANSLATE_EVERYTHING -> "translate,threshold=0";
        case KVM_LOCAL_APICS -> "kvm,apic=kernel";
        case AUTO, INTERPRET, TRANSLATE, KVM -> name().toLowerCase(java.util.Locale.ROOT);
      };
    }
  }

  MachinePlan {
    disks = List.copyOf(disks);
    networks = List.copyOf(networks);
    serial = List.copyOf(serial);
  }
}
