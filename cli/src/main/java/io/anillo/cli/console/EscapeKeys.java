package io.anillo.cli.console;

/**
 * Finds the keys that are meant for the monitor in what a person types: {@code Ctrl-A} and one more
 * key, as in QEMU. Everything else is for the guest.
 */
final class EscapeKeys {
  private static final byte CONTROL_A = 1;

  static final String HELP =
      """
      Ctrl-A x       quit: the machine stops at once, as if its power failed
      Ctrl-A s       what the machine does, with --monitor; once more for the guest
      Ctrl-A ?       this help
      Ctrl-A Ctrl-A  send Ctrl-A to the guest
      """;

  private final Commands commands;
  private boolean escaped;

  /** What the keys do. */
  interface Commands {
    void quit();

    void help();

    void monitor();
  }

  EscapeKeys(Commands commands) {
    this.commands = commands;
  }

  /**
   * Takes typed bytes, in place.
   *
   * @return how many bytes at the beginning of {@code data} are now for the guest
   */
  int filter(byte[] data, int length) {
    int kept = 0;
    for (int i = 0; i < length; i++) {
      byte key = data[i];
      if (!escaped) {
        if (key == CONTROL_A) {
          escaped = true;
        } else {
          data[kept++] = key;
        }
        continue;
      }
      escaped = false;
      switch (key) {
        case 'x', 'X' -> commands.quit();
        case CONTROL_A, 'a' -> data[kept++] = CONTROL_A;
        case 's', 'S' -> commands.monitor();
        case '?', 'h' -> commands.help();
        default -> {
          // Not a command: swallowed, as a mistyped escape should not reach the guest.
        }
      }
    }
    return kept;
  }
}
