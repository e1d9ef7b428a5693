package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * Vectors on their way through a local APIC, requested or in service, and the priorities that
 * decide which of them the processor takes (Intel SDM vol. 3A §11.8).
 */
final class ApicVectors {
  /** The first of each kind of eight registers. */
  private static final int IN_SERVICE = 0x10, TRIGGER_MODE = 0x18, REQUESTS = 0x20, BEHIND = 0x28;

  private final VectorSet inService = new VectorSet();
  private final VectorSet requests = new VectorSet();

  /** Those that were last requested by level. */
  private final VectorSet triggerMode = new VectorSet();

  private int taskPriority;

  void clear() {
    inService.clear();
    requests.clear();
    triggerMode.clear();
    taskPriority = 0;
  }

  int taskPriority() {
    return taskPriority;
  }

  void setTaskPriority(int value) {
    taskPriority = value & 0xFF;
  }

  // ---- the way of a vector

  void request(int vector, boolean level) {
    requests.add(vector);
    if (level) {
      triggerMode.add(vector);
    } else {
      triggerMode.remove(vector);
    }
  }

  /** Whether the vector was requested and has not been taken. */
  boolean requested(int vector) {
    return requests.contains(vector);
  }

  /** The vector that the processor may take, or -1. */
  int deliverable() {
    int vector = requests.highest();
    if (vector < 0) {
      return -1;
    }
    int served = inService.highest();
    int priorityClass = Math.max(taskPriority >> 4, served < 0 ? 0 : served >> 4);
    return vector >> 4 > priorityClass ? vector : -1;
  }

  /** Whether a request would be taken if nothing were in service. */
  boolean heldUpByService() {
    return requests.highest() >> 4 > taskPriority >> 4;
  }

  /** The processor takes the vector that {@link #deliverable} gave. */
  void serve(int vector) {
    requests.remove(vector);
    inService.add(vector);
  }

  /** Ends the service of the highest vector; the vector, or -1 where there is none. */
  int end() {
    int vector = inService.highest();
    if (vector >= 0) {
      inService.remove(vector);
    }
    return vector;
  }

  /** Whether a vector was last requested by level. */
  boolean byLevel(int vector) {
    return triggerMode.contains(vector);
  }

  /** Whether one vector is in service, by edge, and nothing else is to do. */
  boolean servesOneByEdge() {
    return inService.single() && requests.highest() < 0 && !byLevel(inService.highest());
  }

  // ---- priorities

  /** What lowest-priority messages compare. */
  int processorPriority() {
    int served = inService.highest();
    return Math.max(taskPriority, served < 0 ? 0 : served & 0xF0);
  }

  /** The register (Intel SDM vol. 3A §11.8.3.1). */
  int priorityRegister() {
    int served = inService.highest();
    int servedClass = served < 0 ? 0 : served & 0xF0;
    return (taskPriority & 0xF0) >= servedClass ? taskPriority : servedClass;
  }

  // ---- registers

  /** Whether a register is one of the vectors'. */
  static boolean has(int register) {
    return register >= IN_SERVICE && register < BEHIND;
  }

  int register(int register) {
    return set(register).register(register & 7);
  }

  void setRegister(int register, int value) {
    set(register).setRegister(register & 7, value);
  }

  private VectorSet set(int register) {
    return switch (register & ~7) {
      case IN_SERVICE -> inService;
      case TRIGGER_MODE -> triggerMode;
      case REQUESTS -> requests;
      default -> throw new IllegalArgumentException("no vectors in register " + register);
    };
  }

  /** Writes the vectors, and not the task priority. */
  void save(StateWriter out) {
    inService.save(out);
    requests.save(out);
    triggerMode.save(out);
  }

  void restore(StateReader in) {
    inService.restore(in);
    requests.restore(in);
    triggerMode.restore(in);
  }
}
