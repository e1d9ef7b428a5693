package io.anillo.vmm.boot;

/**
 * The guest cannot be started as asked: an image that is none, is truncated or does not fit. The
 * message is one sentence for the person who gave the image.
 */
public final class BootException extends Exception {
  private static final long serialVersionUID = 1L;

  private final String sentence;

  public BootException(String message) {
    super(message);
    this.sentence = message;
  }

  /** The message: a sentence without its full stop. */
  public String sentence() {
    return sentence;
  }
}
