package io.anillo.vmm.hypercall;

/**
 * Numbers of KVM's paravirtual interface (Linux, Documentation/virt/kvm/x86: cpuid, msr,
 * hypercalls).
 */
public final class KvmInterface {
  /** CPUID leaves: the signature, and the features. */
  public static final int SIGNATURE_LEAF = 0x4000_0000, FEATURES_LEAF = 0x4000_0001;

  public static final String SIGNATURE = "KVMKVMKVM\0\0\0";

  /** Feature bits, leaf 0x40000001 EAX. */
  public static final int CLOCK_OLD = 1,
      NO_IO_DELAY = 1 << 1,
      CLOCK = 1 << 3,
      STEAL_TIME = 1 << 5,
      END_OF_INTERRUPT = 1 << 6,
      UNHALT = 1 << 7,
      TLB_FLUSH = 1 << 9,
      SEND_IPI = 1 << 11,
      SCHED_YIELD = 1 << 13,
      CLOCK_STABLE = 1 << 24;

  /** The features that need nothing but registers and shared pages. */
  public static final int FEATURES_WITHOUT_CALLS =
      CLOCK_OLD | NO_IO_DELAY | CLOCK | STEAL_TIME | END_OF_INTERRUPT | TLB_FLUSH | CLOCK_STABLE;

  /** All features that are offered. */
  public static final int FEATURES = FEATURES_WITHOUT_CALLS | UNHALT | SEND_IPI | SCHED_YIELD;

  public static final int MSR_WALL_CLOCK_OLD = 0x11, MSR_SYSTEM_TIME_OLD = 0x12;
  public static final int MSR_WALL_CLOCK = 0x4B56_4D00,
      MSR_SYSTEM_TIME = 0x4B56_4D01,
      MSR_STEAL_TIME = 0x4B56_4D03,
      MSR_END_OF_INTERRUPT = 0x4B56_4D04;

  /** Hypercall numbers, in RAX. */
  public static final int POLL_IRQ = 1,
      KICK_CPU = 5,
      CLOCK_PAIRING = 9,
      SEND_IPI_CALL = 10,
      SCHED_YIELD_CALL = 11;

  /** Results that say what went wrong. */
  public static final long NO_SUCH_CALL = -1000, NOT_PERMITTED = -1, BAD_ADDRESS = -14;

  public static final long NOT_SUPPORTED = -95;

  private KvmInterface() {}
}
