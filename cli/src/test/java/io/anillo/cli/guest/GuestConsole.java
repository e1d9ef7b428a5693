package io.anillo.cli.guest;

import io.anillo.vmm.port.CharBackend;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A person at the guest's serial line: reads what it prints and types at it. Everything printed is
 * kept, and is part of what a failure says.
 */
final class GuestConsole implements CharBackend {
  private static final Duration USUAL_PATIENCE = Duration.ofMinutes(5);
  private static final int SHOWN_CHARACTERS = 3000;

  // The prompt of the default guest's shell; behind it busybox asks where the cursor is.
  private static final Pattern PROMPT =
      Pattern.compile("(?:^|[\\r\\n])[^\\r\\n]*[#$] (?:\u001b\\[6n)?$");

  private final Duration patience;
  private final StringBuilder printed = new StringBuilder();
  private int seen;
  private int commands;
  private boolean ended;
  private @Nullable Receiver guest;

  GuestConsole() {
    this(USUAL_PATIENCE);
  }

  /** A person who waits so long for each thing. */
  GuestConsole(Duration patience) {
    this.patience = patience;
  }

  @Override
  public synchronized void start(Receiver receiver) {
    guest = receiver;
  }

  @Override
  public synchronized void write(byte[] data, int offset, int length) {
    printed.append(new String(data, offset, length, StandardCharsets.ISO_8859_1));
    notifyAll();
  }

  @Override
  public void close() {}

  /** The machine will print nothing more: whoever waits is told so. */
  synchronized void end() {
    ended = true;
    notifyAll();
  }

  synchronized String printed() {
    return printed.toString();
  }

  /**
   * Waits until the guest prints the text, behind everything that was waited for before.
   *
   * @return what it printed before the text
   */
  synchronized String expect(String text) throws InterruptedException {
    long end = System.nanoTime() + patience.toNanos();
    int from = seen;
    while (true) {
      int at = printed.indexOf(text, from);
      if (at >= 0) {
        String before = printed.substring(seen, at);
        seen = at + text.length();
        return before;
      }
      from = Math.max(seen, printed.length() - text.length());
      awaitOutput(text, end);
    }
  }

  private void awaitOutput(String what, long end) throws InterruptedException {
    long rest = (end - System.nanoTime()) / 1_000_000;
    if (rest <= 0 || ended) {
      throw new AssertionError(
          (ended ? "the machine ended" : "nothing for " + patience.toSeconds() + " s")
              + " while '"
              + what
              + "' was waited for; the guest printed at last:\n"
              + printed.substring(Math.max(0, printed.length() - SHOWN_CHARACTERS)));
    }
    wait(rest);
  }

  void expectPrompt() throws InterruptedException {
    expectPromptOr("");
  }

  /**
   * Waits for the shell's prompt, or for a text that comes instead, where one is given.
   *
   * @return whether it was the prompt
   */
  synchronized boolean expectPromptOr(String text) throws InterruptedException {
    long end = System.nanoTime() + patience.toNanos();
    while (true) {
      int at = text.isEmpty() ? -1 : printed.indexOf(text, seen);
      if (at >= 0) {
        seen = at + text.length();
        return false;
      }
      Matcher matcher = PROMPT.matcher(printed.substring(seen));
      if (matcher.find()) {
        seen += matcher.end();
        return true;
      }
      awaitOutput("a prompt", end);
    }
  }

  /** Whether the machine has started, so that there is a line to type at. */
  synchronized boolean started() {
    return guest != null;
  }

  /** Waits for the shell, and makes its lines so wide that the echo of a command stays whole. */
  void expectShell() throws InterruptedException {
    expectPrompt();
    widen();
  }

  /** At the prompt: makes the terminal's lines so wide that the echo of a command stays whole. */
  void widen() throws InterruptedException {
    send("stty cols 4000\n");
    expect("4000");
    expectPrompt();
  }

  /** Types as fast as the guest takes it: a slow guest's line buffer holds a few hundred bytes. */
  void send(String text) {
    Receiver receiver;
    synchronized (this) {
      receiver = guest;
    }
    if (receiver == null) {
      throw new IllegalStateException("the machine has not started");
    }
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    receiver.receive(bytes, 0, bytes.length);
  }

  /**
   * Types a command and waits for its end.
   *
   * @return what it printed, without the line ends at both ends
   */
  String run(String command) throws InterruptedException {
    String mark = "done-" + ++commands;
    send("{ " + command + "; }; echo " + mark.replace("-", "\"-\"") + "=$?\n");
    // The first line is the echo of the command, which ends with the quoted mark.
    expect("=$?");
    String output = expect(mark + "=");
    expect("\n");
    // Typed before the prompt, the next command would be echoed twice.
    expectPrompt();
    return output.replace("\r", "").strip();
  }
}
