package io.anillo.vmm.device.interrupt;

/**
 * Where a local APIC is found: its mode and its page (Intel SDM vol. 3A §11.4.4, §11.12), and the
 * destinations that mean it (§11.6.2).
 */
final class ApicAddressing {
  private static final long BOOT_PROCESSOR = 1 << 8, X2APIC = 1 << 10, ENABLE = 1 << 11;

  private final int id;
  private final long physicalMask;
  private long base;
  private int logicalDestination;
  private int destinationFormat;

  /**
   * The addresses of one controller.
   *
   * @param id the APIC id, 0 for the boot processor
   * @param physicalBits width of guest-physical addresses
   */
  ApicAddressing(int id, int physicalBits) {
    this.id = id;
    this.physicalMask = (1L << physicalBits) - 1;
  }

  /** Switches the controller on, at its usual place. */
  void reset() {
    base = LocalApic.DEFAULT_BASE | ENABLE | bootProcessor();
  }

  /** The destination registers as after a reset. */
  void resetDestination() {
    logicalDestination = 0;
    destinationFormat = 0xFFFFFFFF;
  }

  private long bootProcessor() {
    return id == 0 ? BOOT_PROCESSOR : 0;
  }

  // ---- mode

  boolean enabled() {
    return (base & ENABLE) != 0;
  }

  boolean x2apic() {
    return (base & (ENABLE | X2APIC)) == (ENABLE | X2APIC);
  }

  /** Where the register page lies, or -1 when there is none (x2APIC mode, or disabled). */
  long pageAddress() {
    return enabled() && !x2apic() ? base & physicalMask & ~0xFFFL : -1;
  }

  /** IA32_APIC_BASE. */
  long base() {
    return base;
  }

  /** Whether IA32_APIC_BASE takes a value: no reserved bit, and a change of mode that exists. */
  boolean accepts(long value) {
    boolean enable = (value & ENABLE) != 0;
    boolean extended = (value & X2APIC) != 0;
    boolean reserved = (value & ~(physicalMask & ~0xFFFL | BOOT_PROCESSOR | X2APIC | ENABLE)) != 0;
    boolean illegal =
        extended && !enable || x2apic() && enable && !extended || extended && !enabled();
    return !reserved && !illegal;
  }

  void setBase(long value) {
    base = value & ~BOOT_PROCESSOR | bootProcessor();
  }

  /** As a saved machine has it. */
  void restoreBase(long value) {
    base = value;
  }

  // ---- destinations

  int logicalDestination() {
    return logicalDestination;
  }

  void setLogicalDestination(int value) {
    logicalDestination = value;
  }

  int destinationFormat() {
    return destinationFormat;
  }

  void setDestinationFormat(int value) {
    destinationFormat = value;
  }

  /** The logical id in x2APIC mode, which follows from the other. */
  int x2apicLogicalId() {
    return id >> 4 << 16 | 1 << (id & 15);
  }

  /** Whether this controller is meant by a destination. */
  boolean matches(int destination, boolean logical) {
    if (!enabled()) {
      // INIT and start-up reach a processor whatever the state of its controller; by its physical
      // id only.
      return !logical && (destination == id || destination == InterruptFabric.BROADCAST);
    }
    if (destination == InterruptFabric.BROADCAST) {
      return true;
    }
    if (!logical) {
      return destination == id;
    }
    if (x2apic()) {
      int mine = x2apicLogicalId();
      return destination >>> 16 == mine >>> 16 && (destination & mine & 0xFFFF) != 0;
    }
    int mine = logicalDestination >>> 24;
    if (destinationFormat >>> 28 == 0xF) {
      return (destination & mine) != 0;
    }
    int cluster = destination >> 4 & 0xF;
    return (cluster == mine >> 4 || cluster == 0xF) && (destination & mine & 0xF) != 0;
  }
}
