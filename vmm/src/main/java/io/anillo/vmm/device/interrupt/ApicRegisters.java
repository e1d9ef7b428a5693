package io.anillo.vmm.device.interrupt;

/**
 * Which local APIC registers exist in x2APIC mode, and what may be written to them (Intel SDM vol.
 * 3A table 11-6).
 */
final class ApicRegisters {
  private ApicRegisters() {}

  /**
   * The bits of an entry of the local vector table that can be written; entries from register 0x32.
   */
  static int localVectorMask(int index) {
    return switch (index) {
      case 0 -> 0x700FF;
      case 1, 2 -> 0x107FF;
      case 3, 4 -> 0x1A7FF;
      default -> 0x100FF;
    };
  }

  static boolean readableInX2apic(int register) {
    return switch (register) {
      case 0x02, 0x03, 0x08, 0x0A, 0x0D, 0x0F, 0x28, 0x30, 0x38, 0x39, 0x3E -> true;
      default -> register >= 0x10 && register <= 0x27 || register >= 0x32 && register <= 0x37;
    };
  }

  /** Whether a write raises no #GP: the register is writable and no reserved bit is set. */
  static boolean validX2apicWrite(int register, long value) {
    return switch (register) {
      case 0x08, 0x3F -> value >>> 8 == 0;
      case 0x0B, 0x28 -> value == 0;
      case 0x0F -> (value & ~0x11FFL) == 0;
      case 0x30 -> (value & 0xFFF32000L) == 0;
      case 0x32 -> (value & ~0x710FFL) == 0;
      case 0x33, 0x34 -> (value & ~0x117FFL) == 0;
      case 0x35, 0x36 -> (value & ~0x1F7FFL) == 0;
      case 0x37 -> (value & ~0x110FFL) == 0;
      case 0x38 -> value >>> 32 == 0;
      case 0x3E -> (value & ~0xBL) == 0;
      default -> false;
    };
  }
}
