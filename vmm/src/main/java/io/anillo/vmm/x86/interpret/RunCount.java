package io.anillo.vmm.x86.interpret;

/** Counts what compiled code has run; outlives it. Read by other threads, without a lock. */
public final class RunCount {
  private long instructions;

  /** Guest instructions so far. */
  public long instructions() {
    return instructions;
  }

  void add(long more) {
    instructions += more;
  }
}
