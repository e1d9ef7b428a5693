package io.anillo.vmm.hypercall;

/** Kinds of hypercalls that counters tell apart. */
public enum Hypercall {
  KICK_CPU("kickCpu"),
  SEND_IPI("sendIpi"),
  SCHED_YIELD("schedYield"),
  CLOCK_PAIRING("clockPairing"),
  /** Those of our own interface. */
  OWN("own"),
  /** Unknown ones, and those of programs. */
  REFUSED("refused");

  private final String key;

  Hypercall(String key) {
    this.key = key;
  }

  /** Its name in statistics. */
  public String key() {
    return key;
  }
}
