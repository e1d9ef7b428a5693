package io.anillo.vmm.x86.execute.system;

/**
 * Fields of a segment or gate descriptor held as its eight bytes (Intel SDM vol. 3A §3.4.5, §3.5).
 */
final class Descriptor {
  static final int TSS16_AVAILABLE = 1,
      LDT = 2,
      TSS16_BUSY = 3,
      CALL_GATE16 = 4,
      TASK_GATE = 5,
      INTERRUPT_GATE16 = 6,
      TRAP_GATE16 = 7,
      TSS_AVAILABLE = 9,
      TSS_BUSY = 11,
      CALL_GATE = 12,
      INTERRUPT_GATE = 14,
      TRAP_GATE = 15;

  private static final long ACCESSED = 1L << 40;
  private static final long WRITABLE_OR_READABLE = 1L << 41;
  private static final long CONFORMING_OR_EXPAND_DOWN = 1L << 42;
  private static final long CODE = 1L << 43;
  private static final long NOT_SYSTEM = 1L << 44;
  private static final long PRESENT = 1L << 47;
  private static final long LONG = 1L << 53;
  private static final long BIG = 1L << 54;
  private static final long GRANULAR = 1L << 55;

  private Descriptor() {}

  static long base(long descriptor) {
    return descriptor >>> 16 & 0xFF_FFFF | descriptor >>> 56 << 24;
  }

  /** The limit in bytes, granularity applied. */
  static long limit(long descriptor) {
    long limit = descriptor & 0xFFFF | descriptor >>> 32 & 0xF_0000;
    return (descriptor & GRANULAR) != 0 ? limit << 12 | 0xFFF : limit;
  }

  /** The bits of {@link io.anillo.vmm.cpu.CpuState#segmentAccess}. */
  static int access(long descriptor) {
    return (int) (descriptor >>> 40) & 0xF0FF;
  }

  /** The type of a system descriptor; of a code or data descriptor its four type bits. */
  static int type(long descriptor) {
    return (int) (descriptor >>> 40) & 0xF;
  }

  static int privilege(long descriptor) {
    return (int) (descriptor >>> 45) & 3;
  }

  static boolean isSystem(long descriptor) {
    return (descriptor & NOT_SYSTEM) == 0;
  }

  static boolean isPresent(long descriptor) {
    return (descriptor & PRESENT) != 0;
  }

  static boolean isCode(long descriptor) {
    return (descriptor & (NOT_SYSTEM | CODE)) == (NOT_SYSTEM | CODE);
  }

  static boolean isConformingCode(long descriptor) {
    return isCode(descriptor) && (descriptor & CONFORMING_OR_EXPAND_DOWN) != 0;
  }

  static boolean isWritableData(long descriptor) {
    return (descriptor & (NOT_SYSTEM | CODE | WRITABLE_OR_READABLE))
        == (NOT_SYSTEM | WRITABLE_OR_READABLE);
  }

  /** Data, or code that may be read. */
  static boolean isReadable(long descriptor) {
    return !isSystem(descriptor)
        && ((descriptor & CODE) == 0 || (descriptor & WRITABLE_OR_READABLE) != 0);
  }

  static boolean isAccessed(long descriptor) {
    return (descriptor & ACCESSED) != 0;
  }

  static long withAccessed(long descriptor) {
    return descriptor | ACCESSED;
  }

  static boolean isLong(long descriptor) {
    return (descriptor & LONG) != 0;
  }

  static boolean isBig(long descriptor) {
    return (descriptor & BIG) != 0;
  }

  static int gateSelector(long gate) {
    return (int) (gate >>> 16) & 0xFFFF;
  }

  /** The 32-bit offset of a gate; a 16-bit gate uses its lower half. */
  static long gateOffset(long gate) {
    return gate & 0xFFFF | gate >>> 32 & 0xFFFF_0000L;
  }

  static int gateParameters(long gate) {
    return (int) (gate >>> 32) & 0x1F;
  }

  /** Interrupt stack table index of a 64-bit interrupt or trap gate, 0 for none. */
  static int gateStackIndex(long gate) {
    return (int) (gate >>> 32) & 7;
  }
}
