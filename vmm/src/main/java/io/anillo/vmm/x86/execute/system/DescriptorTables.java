package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/** Descriptors in the GDT and the current LDT (Intel SDM vol. 3A §3.5.1). */
final class DescriptorTables {
  private static final int TABLE_INDICATOR = 4;

  private DescriptorTables() {}

  static boolean isNull(int selector) {
    return (selector & 0xFFFC) == 0;
  }

  /** Whether all {@code bytes} of the selector's descriptor lie in its table. */
  static boolean contains(CpuState state, int selector, int bytes) {
    long last = (selector & 0xFFF8) + bytes - 1L;
    if ((selector & TABLE_INDICATOR) == 0) {
      return last <= (state.gdtLimit & 0xFFFF);
    }
    return (state.segmentAccess[CpuState.LDTR] & CpuState.ACCESS_UNUSABLE) == 0
        && last <= state.segmentLimit[CpuState.LDTR];
  }

  /** Linear address of a selector's descriptor. */
  static long address(CpuState state, int selector) {
    long base =
        (selector & TABLE_INDICATOR) == 0 ? state.gdtBase : state.segmentBase[CpuState.LDTR];
    return linear(state, base + (selector & 0xFFF8));
  }

  /** A linear address of the processor's own tables: 32 bits wide outside long mode. */
  static long linear(CpuState state, long address) {
    return state.longMode() ? address : address & 0xFFFF_FFFFL;
  }

  /** Reads a descriptor that {@link #contains} says is there. */
  static long read(Processor processor, int selector) {
    return processor.loadSystem(address(processor.state, selector), 8);
  }

  /**
   * Reads a descriptor; one outside its table raises an exception with the selector as error code.
   *
   * @param vector the exception to raise
   * @param external 1 when an event outside the program caused the access (the EXT bit), else 0
   */
  static long read(Processor processor, int selector, int vector, int external) {
    if (!contains(processor.state, selector, 8)) {
      throw processor.fault(vector, selector & 0xFFFC | external);
    }
    return read(processor, selector);
  }

  /** Bytes 8 to 15 of a system descriptor of long mode. */
  static long readUpperHalf(Processor processor, int selector) {
    CpuState state = processor.state;
    return processor.loadSystem(linear(state, address(state, selector) + 8), 8);
  }

  /** Faults as {@link #markAccessed} would. */
  static void probeAccessed(Processor processor, int selector, long descriptor) {
    if (!Descriptor.isAccessed(descriptor)) {
      processor.probeSystemWrite(
          DescriptorTables.linear(processor.state, address(processor.state, selector) + 5), 1);
    }
  }

  /**
   * Sets the accessed bit in memory if it is clear. Only the byte with the bit is written, and only
   * then, so that tables in read-only pages work when their bits are set.
   *
   * @return the descriptor with the bit set
   */
  static long markAccessed(Processor processor, int selector, long descriptor) {
    if (!Descriptor.isAccessed(descriptor)) {
      long at = linear(processor.state, address(processor.state, selector) + 5);
      processor.storeSystem(at, 1, processor.loadSystem(at, 1) | 1);
    }
    return Descriptor.withAccessed(descriptor);
  }

  /** Sets or clears the busy bit of a TSS descriptor in the GDT. */
  static void setBusy(Processor processor, int selector, boolean busy) {
    long at = linear(processor.state, address(processor.state, selector) + 5);
    long access = processor.loadSystem(at, 1);
    processor.storeSystem(at, 1, busy ? access | 2 : access & ~2L);
  }

  static void probeBusy(Processor processor, int selector) {
    processor.probeSystemWrite(linear(processor.state, address(processor.state, selector) + 5), 1);
  }

  static boolean isCanonical(long linear) {
    return linear << 16 >> 16 == linear;
  }
}
