package io.anillo.vmm.device.interrupt;

/**
 * Who carries out what local APICs do where the board's own do not: the host's kernel. The board's
 * then only hold the registers of a machine that stands still. Called on the board.
 */
public interface LocalApicCarrier {

  /**
   * Delivers a message, as {@link InterruptFabric#send} describes it.
   *
   * @param destination {@link InterruptFabric#BROADCAST} for everybody
   */
  void send(int destination, boolean logical, int deliveryMode, int vector, boolean level);

  /** Waits until all that was sent has arrived, for a machine whose state is to be looked at. */
  void settle();

  /**
   * The I/O APIC's table changed: of interrupts that it sends by level, the ends have to be told.
   *
   * @param entries the redirection table; read only
   */
  void redirectionChanged(long[] entries);
}
