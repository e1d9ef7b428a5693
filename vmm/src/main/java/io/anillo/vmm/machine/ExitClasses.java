package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.device.acpi.AcpiPowerManagement;
import io.anillo.vmm.device.interrupt.LocalApic;

/** Which accesses to the board go to interrupt controllers and timers. */
final class ExitClasses {
  private static final long IO_APIC = 0xFEC0_0000L;

  private ExitClasses() {}

  static ExitReason ofPort(int port) {
    return switch (port) {
      case 0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1 -> ExitReason.INTERRUPT_CONTROLLER;
      case 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71 -> ExitReason.TIMER;
      default ->
          port >= AcpiPowerManagement.TIMER_PORT && port < AcpiPowerManagement.TIMER_PORT + 4
              ? ExitReason.TIMER
              : ExitReason.PORT;
    };
  }

  static ExitReason ofMemory(long address) {
    return (address & -4096) == IO_APIC
        ? ExitReason.INTERRUPT_CONTROLLER
        : ExitReason.DEVICE_MEMORY;
  }

  /** A register of the local APIC by its number, offset / 16. */
  static ExitReason ofApic(int register) {
    return switch (register) {
      case 0x32, 0x38, 0x39, 0x3E -> ExitReason.TIMER;
      default -> ExitReason.INTERRUPT_CONTROLLER;
    };
  }

  static ExitReason ofLocalMsr(int index) {
    return switch (index) {
      case LocalApic.MSR_TSC_DEADLINE -> ExitReason.TIMER;
      case LocalApic.MSR_SHARED_END, LocalApic.MSR_APIC_BASE -> ExitReason.MODEL_REGISTER;
      default -> ofApic(index - LocalApic.MSR_X2APIC);
    };
  }
}
