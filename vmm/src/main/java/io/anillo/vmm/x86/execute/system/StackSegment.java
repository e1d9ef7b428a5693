package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * A stack that a transfer reads or writes before it is known to succeed: the current one, or one of
 * another privilege level. Nothing changes in the processor until {@link #commit}.
 */
final class StackSegment {
  private static final long MASK16 = 0xFFFF, MASK32 = 0xFFFF_FFFFL, MASK64 = -1;

  private final Processor processor;
  final int selector;

  /** The descriptor to load into SS at commit; meaningful only when {@link #loadsSegment}. */
  private final long descriptor;

  private final boolean loadsSegment;
  private final long base;
  private final long limit;
  private final boolean expandDown;
  private final long mask;

  /** Whether its accesses are those of user mode: it belongs to privilege 3. */
  private final boolean user;

  /** The stack pointer register; parts beyond the stack's width are kept. */
  private long pointer;

  private StackSegment(
      Processor processor,
      int selector,
      long descriptor,
      boolean loadsSegment,
      long base,
      long limit,
      int access,
      long mask,
      boolean user,
      long pointer) {
    this.processor = processor;
    this.selector = selector;
    this.descriptor = descriptor;
    this.loadsSegment = loadsSegment;
    this.base = base;
    this.limit = limit;
    this.expandDown = (access & (CpuState.ACCESS_S | 0xC)) == (CpuState.ACCESS_S | 4);
    this.mask = mask;
    this.user = user;
    this.pointer = mask == MASK64 ? pointer : pointer & MASK32;
  }

  /** The current stack. */
  static StackSegment current(Processor processor) {
    CpuState state = processor.state;
    long pointer = state.general[CpuState.RSP];
    if (state.code64()) {
      return flat(processor, pointer);
    }
    int access = state.segmentAccess[CpuState.SS];
    return new StackSegment(
        processor,
        state.segmentSelector[CpuState.SS],
        0,
        false,
        state.segmentBase[CpuState.SS],
        state.segmentLimit[CpuState.SS],
        access,
        (access & CpuState.ACCESS_BIG) != 0 ? MASK32 : MASK16,
        state.privilege == 3,
        pointer);
  }

  /** A stack of 64-bit mode at the current privilege: no base, no limit. */
  static StackSegment flat(Processor processor, long pointer) {
    return flat(processor, pointer, processor.state.privilege);
  }

  static StackSegment flat(Processor processor, long pointer, int privilege) {
    return new StackSegment(processor, 0, 0, false, 0, -1, 0, MASK64, privilege == 3, pointer);
  }

  /** A stack of another privilege level, its descriptor already checked. */
  static StackSegment of(Processor processor, int selector, long descriptor, long pointer) {
    return new StackSegment(
        processor,
        selector,
        descriptor,
        true,
        Descriptor.base(descriptor),
        Descriptor.limit(descriptor),
        Descriptor.access(descriptor),
        Descriptor.isBig(descriptor) ? MASK32 : MASK16,
        Descriptor.privilege(descriptor) == 3,
        pointer);
  }

  /**
   * The stack that the TSS names for an inner privilege level, in legacy mode (Intel SDM vol. 3A
   * §5.8.5).
   *
   * @param privilege 0, 1 or 2
   * @param external the EXT bit of error codes
   */
  static StackSegment inner(Processor processor, int privilege, int external) {
    CpuState state = processor.state;
    boolean wide = (state.segmentAccess[CpuState.TR] & 8) != 0;
    long offset = wide ? privilege * 8L + 4 : privilege * 4L + 2;
    if (offset + (wide ? 5 : 3) > state.segmentLimit[CpuState.TR]) {
      throw processor.invalidTss(state.segmentSelector[CpuState.TR] & 0xFFFC | external);
    }
    long at = DescriptorTables.linear(state, state.segmentBase[CpuState.TR] + offset);
    long pointer = processor.loadSystem(at, wide ? 4 : 2);
    long selectorAt = DescriptorTables.linear(state, at + (wide ? 4 : 2));
    int selector = (int) processor.loadSystem(selectorAt, 2);
    if (DescriptorTables.isNull(selector)) {
      throw processor.invalidTss(external);
    }
    long descriptor =
        SegmentLoader.readStack(processor, selector, privilege, GuestFault.INVALID_TSS, external);
    return of(processor, selector, descriptor, pointer);
  }

  /**
   * RSP of an inner privilege level or an interrupt stack, from the TSS of long mode.
   *
   * @param offset of the pointer in the TSS: 4 + 8 * privilege, or 28 + 8 * interrupt stack index
   */
  static long pointer64(Processor processor, int offset, int external) {
    CpuState state = processor.state;
    if (offset + 7 > state.segmentLimit[CpuState.TR]) {
      throw processor.invalidTss(state.segmentSelector[CpuState.TR] & 0xFFFC | external);
    }
    long pointer = processor.loadSystem(state.segmentBase[CpuState.TR] + offset, 8);
    if (!DescriptorTables.isCanonical(pointer)) {
      throw processor.stackFault(external);
    }
    return pointer;
  }

  boolean isBig() {
    return mask != MASK16;
  }

  /** Raises the exceptions that pushing {@code count} values of {@code bytes} would raise. */
  void requireRoom(int count, int bytes, int errorCode) {
    for (int i = 1; i <= count; i++) {
      long at = pointer - (long) i * bytes & mask;
      if (!isInside(at, bytes)) {
        throw processor.stackFault(errorCode);
      }
    }
    for (int i = 1; i <= count; i++) {
      long linear = linear(pointer - (long) i * bytes & mask);
      if (user) {
        processor.probeWrite(linear, bytes);
      } else {
        processor.probeSystemWrite(linear, bytes);
      }
    }
  }

  private boolean isInside(long at, int bytes) {
    if (mask == MASK64) {
      return DescriptorTables.isCanonical(at) && DescriptorTables.isCanonical(at + bytes - 1);
    }
    long last = at + bytes - 1;
    return expandDown ? at > limit && last <= mask : last <= limit;
  }

  private long linear(long at) {
    return mask == MASK64 ? at : base + at & MASK32;
  }

  void push(int bytes, long value) {
    long at = pointer - bytes & mask;
    if (user) {
      processor.store(linear(at), bytes, value);
    } else {
      processor.storeSystem(linear(at), bytes, value);
    }
    pointer = pointer & ~mask | at;
  }

  /** Reads above the pointer at the current privilege; #SS(0) outside the limit. */
  long peek(long offset, int bytes) {
    long at = pointer + offset & mask;
    if (!isInside(at, bytes)) {
      throw processor.stackFault(0);
    }
    return processor.load(linear(at), bytes);
  }

  /** Moves the pointer up, past what was popped. */
  void release(long bytes) {
    pointer = pointer & ~mask | pointer + bytes & mask;
  }

  /**
   * Aligns the pointer down to 16 bytes, as 64-bit mode does before it pushes an interrupt frame.
   */
  void align() {
    pointer &= ~15L;
  }

  void probeAccessed() {
    if (loadsSegment) {
      DescriptorTables.probeAccessed(processor, selector, descriptor);
    }
  }

  /** Makes this the current stack. */
  void commit() {
    CpuState state = processor.state;
    if (loadsSegment) {
      long marked = DescriptorTables.markAccessed(processor, selector, descriptor);
      SegmentLoader.set(state, CpuState.SS, selector, marked);
    }
    state.general[CpuState.RSP] = pointer;
  }
}
