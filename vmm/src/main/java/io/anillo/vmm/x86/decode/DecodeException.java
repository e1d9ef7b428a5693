package io.anillo.vmm.x86.decode;

/** Why bytes could not be decoded. Preallocated, without a stack trace. */
public final class DecodeException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The bytes given ended inside the instruction: more are needed. */
  public static final DecodeException TRUNCATED = new DecodeException("truncated instruction");

  /** No such instruction: #UD. */
  public static final DecodeException UNDEFINED = new DecodeException("undefined opcode");

  /** Longer than 15 bytes: #GP(0). */
  public static final DecodeException TOO_LONG =
      new DecodeException("instruction longer than 15 bytes");

  private DecodeException(String message) {
    super(message, null, false, false);
  }
}
