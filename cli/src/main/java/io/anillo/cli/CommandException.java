package io.anillo.cli;

/** Ends the command with a sentence and an exit status. */
final class CommandException extends Exception {
  private static final long serialVersionUID = 1L;

  private final int status;
  private final String sentence;

  CommandException(int status, String message) {
    super(message);
    this.status = status;
    this.sentence = message;
  }

  /** The message. */
  String sentence() {
    return sentence;
  }

  int status() {
    return status;
  }
}
