package io.anillo.vmm.device;

/** What a device can ask of the machine it is part of. */
public sealed interface MachineRequest {

  /** Power off, as through ACPI S5. */
  record PowerOff() implements MachineRequest {}

  /** Reset, as through the keyboard controller, ACPI or a triple fault. */
  record Reset(String cause) implements MachineRequest {}

  /**
   * End with a value that the guest chose (isa-debug-exit): the exit status is {@code (value << 1)
   * | 1}.
   */
  record DebugExit(int value) implements MachineRequest {}
}
