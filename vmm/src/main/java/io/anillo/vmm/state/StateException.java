package io.anillo.vmm.state;

/** A saved state that cannot be taken: damaged, of another machine, or of a newer version. */
public final class StateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public StateException(String message) {
    super(message);
  }
}
