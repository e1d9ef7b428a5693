package io.anillo.vmm.cpu;

/** Is told when a processor's code goes from rings 0 to 2 to ring 3 or back, on its own thread. */
@FunctionalInterface
public interface RingObserver {

  /**
   * The next instruction is another ring's.
   *
   * @param user whether it is ring 3
   */
  void ringChanged(boolean user);

  /**
   * Guest code ran since the last report, all of it counted as one ring's: of engines that cannot
   * tell each change.
   */
  default void ranIn(boolean user) {}
}
