package io.anillo.vmm.cpu;

/** A processor's view of its local interrupt controller. */
public interface LocalInterrupts {

  /**
   * Whether an interrupt of sufficient priority waits. Volatile: read by the processor at every
   * block boundary.
   */
  boolean pending();

  /**
   * Takes the highest-priority interrupt, as the acknowledge cycle does. Called on the board.
   *
   * @return its vector, or -1 when none is left
   */
  int acknowledge();

  /**
   * Takes back an interrupt that was acknowledged and has not been delivered: it is the next to be
   * acknowledged.
   */
  default void retract(int vector) {
    throw new UnsupportedOperationException("interrupt " + vector + " cannot be taken back");
  }

  /** CR8: the upper four bits of the task priority. */
  int taskPriorityClass();

  void setTaskPriorityClass(int priorityClass);

  /**
   * Reads one of the controller's MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE, and 0x800-0x8FF in
   * x2APIC mode.
   *
   * @throws UnknownMsrException where a processor would raise #GP
   */
  long readMsr(int index);

  void writeMsr(int index, long value);

  /** INIT reset the processor: the controller goes to its reset state, except for its identity. */
  void initReset();

  /** Thrown for an MSR that does not exist, or a value it cannot take: #GP(0) to the guest. */
  final class UnknownMsrException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public UnknownMsrException(int index) {
      super("MSR 0x" + Integer.toHexString(index), null, false, false);
    }
  }
}
