package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/**
 * LAR, LSL, VERR, VERW and ARPL: instructions that ask about a segment and answer through ZF (Intel
 * SDM vol. 2). The caller sets ZF from the answers.
 */
public final class SegmentQueries {
  /** What LAR and LSL return for a segment that cannot be seen: ZF is cleared, nothing loaded. */
  public static final long NOT_VISIBLE = -1;

  private SegmentQueries() {}

  /** LAR: the access rights in bits 8 to 23, or {@link #NOT_VISIBLE}. */
  public static long accessRights(Processor processor, int selector) {
    long descriptor = visible(processor, selector & 0xFFFF, true);
    return descriptor == 0 ? NOT_VISIBLE : descriptor >>> 32 & 0x00FF_FF00L;
  }

  /** LSL: the limit in bytes, or {@link #NOT_VISIBLE}. */
  public static long limit(Processor processor, int selector) {
    long descriptor = visible(processor, selector & 0xFFFF, false);
    return descriptor == 0 ? NOT_VISIBLE : Descriptor.limit(descriptor);
  }

  /** VERR. */
  public static boolean isReadable(Processor processor, int selector) {
    long descriptor = visible(processor, selector & 0xFFFF, false);
    return descriptor != 0 && Descriptor.isReadable(descriptor);
  }

  /** VERW. */
  public static boolean isWritable(Processor processor, int selector) {
    long descriptor = visible(processor, selector & 0xFFFF, false);
    return descriptor != 0 && Descriptor.isWritableData(descriptor);
  }

  /** #UD in real and virtual-8086 mode; also ARPL's condition. */
  public static void requireProtectedMode(Processor processor) {
    if (!processor.state.protectedMode() || processor.state.virtual8086()) {
      throw processor.invalidOpcode();
    }
  }

  /**
   * A descriptor that exists, has a type the instruction takes and a privilege it may see.
   * Otherwise 0, which describes nothing visible itself.
   */
  private static long visible(Processor processor, int selector, boolean gates) {
    requireProtectedMode(processor);
    CpuState state = processor.state;
    if (DescriptorTables.isNull(selector) || !DescriptorTables.contains(state, selector, 8)) {
      return 0;
    }
    long descriptor = DescriptorTables.read(processor, selector);
    if (Descriptor.isSystem(descriptor)
        && !isSystemTypeVisible(state, Descriptor.type(descriptor), gates)) {
      return 0;
    }
    int privilege = Descriptor.privilege(descriptor);
    boolean allowed =
        Descriptor.isConformingCode(descriptor)
            || privilege >= state.privilege && privilege >= (selector & 3);
    return allowed ? descriptor : 0;
  }

  private static boolean isSystemTypeVisible(CpuState state, int type, boolean gates) {
    return switch (type) {
      case Descriptor.LDT, Descriptor.TSS_AVAILABLE, Descriptor.TSS_BUSY -> true;
      case Descriptor.TSS16_AVAILABLE, Descriptor.TSS16_BUSY -> !state.longMode();
      case Descriptor.CALL_GATE -> gates;
      case Descriptor.CALL_GATE16, Descriptor.TASK_GATE -> gates && !state.longMode();
      default -> false;
    };
  }
}
