package io.anillo.bench;

/** Something kept a benchmark from being measured; the message is a sentence for its user. */
public final class BenchException extends Exception {
  private static final long serialVersionUID = 1L;

  public BenchException(String message) {
    super(message);
  }
}
