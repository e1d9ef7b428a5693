package io.anillo.vmm.cpu;

import java.util.Locale;

/**
 * Why a processor left guest code for the monitor. What hardware would leave for is counted alike
 * on the engines that are software, though they leave nothing.
 */
public enum ExitReason {
  /** A port of a device. */
  PORT,
  /** Memory-mapped registers of a device. */
  DEVICE_MEMORY,
  /** Registers of a local APIC, the I/O APIC or the 8259As. */
  INTERRUPT_CONTROLLER,
  /** A timer: the APIC's, the TSC deadline, the 8254, the real-time clock, ACPI's. */
  TIMER,
  /** RDMSR or WRMSR of any other register. */
  MODEL_REGISTER,
  CPUID,
  HALT,
  /** VMCALL or VMMCALL. */
  HYPERCALL,
  /** An interrupt was taken. */
  INTERRUPT,
  /** The guest opened the window that an interrupt waited for: hardware only. */
  INTERRUPT_WINDOW,
  /** The host wanted the processor: to apply events, or to stop. */
  KICK;

  /** As in JSON: camel case. */
  public String key() {
    StringBuilder text = new StringBuilder();
    for (String word : name().toLowerCase(Locale.ROOT).split("_", -1)) {
      text.append(
          text.isEmpty()
              ? word
              : word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1));
    }
    return text.toString();
  }
}
