package io.anillo.vmm.device.interrupt;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A local APIC's registers as KVM takes and gives them: 1024 bytes, each register in the first 4 of
 * 16 ({@code struct kvm_lapic_state}).
 */
final class ApicPage {
  private static final int FIRST_VECTORS = 0x10, BEHIND_VECTORS = 0x28;

  private final MemorySegment page;

  ApicPage(MemorySegment page) {
    this.page = page;
  }

  void clear() {
    page.fill((byte) 0);
  }

  int get(int register) {
    return page.get(ValueLayout.JAVA_INT, 16L * register);
  }

  void put(int register, int value) {
    page.set(ValueLayout.JAVA_INT, 16L * register, value);
  }

  void take(ApicVectors vectors) {
    for (int register = FIRST_VECTORS; register < BEHIND_VECTORS; register++) {
      vectors.setRegister(register, get(register));
    }
  }

  void put(ApicVectors vectors) {
    for (int register = FIRST_VECTORS; register < BEHIND_VECTORS; register++) {
      put(register, vectors.register(register));
    }
  }
}
