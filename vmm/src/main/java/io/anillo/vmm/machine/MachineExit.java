package io.anillo.vmm.machine;

/** How the run of a machine ended. */
public sealed interface MachineExit {

  record PoweredOff() implements MachineExit {}

  /** The guest reset the machine, which was configured to end then; a triple fault is a reset. */
  record Reset(String cause) implements MachineExit {}

  /** The guest wrote {@code value} to isa-debug-exit. */
  record DebugExit(int value) implements MachineExit {}

  /** {@link Machine#stop} was called. */
  record Stopped() implements MachineExit {}
}
