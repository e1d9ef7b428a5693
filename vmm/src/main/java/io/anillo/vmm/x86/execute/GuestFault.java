package io.anillo.vmm.x86.execute;

/**
 * An exception of the guest's processor on its way from where it was found to where it is
 * delivered. One instance per processor, without a stack trace, so that throwing it allocates
 * nothing.
 */
public final class GuestFault extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public static final int DIVIDE = 0, DEBUG = 1, NMI = 2, BREAKPOINT = 3, OVERFLOW = 4, BOUND = 5;
  public static final int INVALID_OPCODE = 6,
      DEVICE_NOT_AVAILABLE = 7,
      DOUBLE_FAULT = 8,
      INVALID_TSS = 10;
  public static final int SEGMENT_NOT_PRESENT = 11,
      STACK_FAULT = 12,
      GENERAL_PROTECTION = 13,
      PAGE_FAULT = 14;
  public static final int X87 = 16, ALIGNMENT = 17, MACHINE_CHECK = 18, SIMD = 19;

  public int vector;

  /** The error code, meaningful for the vectors that push one. */
  public int errorCode;

  public GuestFault() {
    super(null, null, false, false);
  }

  /** Whether exceptions of this vector push an error code (Intel SDM vol. 3A table 6-1). */
  public static boolean pushesErrorCode(int vector) {
    return vector == DOUBLE_FAULT
        || (vector >= INVALID_TSS && vector <= PAGE_FAULT)
        || vector == ALIGNMENT;
  }

  @Override
  public String getMessage() {
    return "guest exception " + vector + ", error code 0x" + Integer.toHexString(errorCode);
  }
}
