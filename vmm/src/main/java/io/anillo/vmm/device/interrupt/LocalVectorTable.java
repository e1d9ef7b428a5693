package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.Arrays;

/** What a local APIC makes of its own interrupts (Intel SDM vol. 3A §11.5.1). */
final class LocalVectorTable {
  /** Indexes of the entries. */
  static final int TIMER = 0, LINT0 = 3, LINT1 = 4, ERROR = 5;

  private static final int FIRST_REGISTER = 0x32, ENTRIES = 6, MASKED = 1 << 16;

  private final int[] entries = new int[ENTRIES];

  /** All masked, but for what firmware leaves behind at the boot processor. */
  void reset(boolean bootProcessor) {
    Arrays.fill(entries, MASKED);
    if (bootProcessor) {
      // Interrupts of the 8259As pass through the boot processor's LINT0.
      entries[LINT0] = InterruptFabric.EXTINT << 8;
      entries[LINT1] = InterruptFabric.NMI << 8;
    }
  }

  boolean masked(int index) {
    return (entries[index] & MASKED) != 0;
  }

  int vector(int index) {
    return entries[index] & 0xFF;
  }

  /** How the interrupt is delivered. */
  int mode(int index) {
    return index == TIMER || index == ERROR ? InterruptFabric.FIXED : entries[index] >> 8 & 7;
  }

  /** One-shot, periodic, or by TSC deadline. */
  int timerMode() {
    return entries[TIMER] >> 17 & 3;
  }

  void maskAll() {
    for (int i = 0; i < ENTRIES; i++) {
      entries[i] |= MASKED;
    }
  }

  // ---- registers

  /** Whether a register is one of the table's. */
  static boolean has(int register) {
    return register >= FIRST_REGISTER && register < FIRST_REGISTER + ENTRIES;
  }

  int register(int register) {
    return entries[register - FIRST_REGISTER];
  }

  /**
   * A guest's write.
   *
   * @param enabled whether the controller is enabled by software; otherwise entries stay masked
   */
  void write(int register, int value, boolean enabled) {
    int index = register - FIRST_REGISTER;
    int entry = value & ApicRegisters.localVectorMask(index);
    entries[index] = enabled ? entry : entry | MASKED;
  }

  void take(ApicPage page) {
    for (int i = 0; i < ENTRIES; i++) {
      entries[i] = page.get(FIRST_REGISTER + i);
    }
  }

  void put(ApicPage page) {
    for (int i = 0; i < ENTRIES; i++) {
      page.put(FIRST_REGISTER + i, entries[i]);
    }
  }

  void save(StateWriter out) {
    out.putInts(entries);
  }

  void restore(StateReader in) {
    in.getInts(entries);
  }
}
