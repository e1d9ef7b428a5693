package io.anillo.vmm.device;

/**
 * One interrupt input of a controller, seen from the device that drives it. Setting the same level
 * again is harmless.
 */
@FunctionalInterface
public interface InterruptLine {

  void set(boolean asserted);

  /** Asserts and releases: an edge. */
  default void pulse() {
    set(true);
    set(false);
  }

  /** A line that leads nowhere. */
  InterruptLine UNCONNECTED = asserted -> {};
}
