package io.anillo.vmm.cpu;

import java.lang.foreign.MemorySegment;

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

  /**
   * What lies besides the registers' page.
   *
   * @param deadlineTsc the TSC deadline in virtual nanoseconds, or 0
   * @param sharedEnd the register of ends of interrupt by memory
   * @param underWay an interrupt that was acknowledged and has not been delivered, or -1
   */
  record Besides(long deadlineTsc, long sharedEnd, int underWay) {}

  /**
   * Takes the registers of a controller that the host's kernel has.
   *
   * @param page 1024 bytes, each register in the first 4 of 16
   */
  default void takeRegisters(MemorySegment page, Besides besides) {
    throw new UnsupportedOperationException("this controller is nobody else's");
  }

  /** Puts the registers where the host's kernel will take them from. */
  default Besides putRegisters(MemorySegment page) {
    throw new UnsupportedOperationException("this controller is nobody else's");
  }

  /** The TSC deadline that is held for the host's kernel, in virtual nanoseconds, or 0. */
  default long heldDeadlineTsc() {
    throw new UnsupportedOperationException("this controller is nobody else's");
  }

  /** A level-triggered interrupt ended at the controller that the host's kernel has. */
  default void ended(int vector) {
    throw new UnsupportedOperationException("this controller is nobody else's");
  }

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
