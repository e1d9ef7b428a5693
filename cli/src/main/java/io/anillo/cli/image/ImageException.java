package io.anillo.cli.image;

/**
 * A guest could not be prepared. The message is one or two sentences for a person: what was wrong,
 * and the remedy.
 */
public final class ImageException extends Exception {
  private static final long serialVersionUID = 1L;

  private final String sentence;

  public ImageException(String message) {
    super(message);
    this.sentence = message;
  }

  public ImageException(String message, Throwable cause) {
    super(message, cause);
    this.sentence = message;
  }

  /** The message. */
  public String sentence() {
    return sentence;
  }
}
