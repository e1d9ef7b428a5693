package io.anillo.vmm.device;

/** Two devices were to answer at the same address. */
public final class BusConflictException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  /**
   * Says where.
   *
   * @param message without a full stop
   */
  public BusConflictException(String message) {
    super(message);
  }
}
