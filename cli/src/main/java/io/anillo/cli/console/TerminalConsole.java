package io.anillo.cli.console;

import io.anillo.vmm.host.HostTerminal;
import io.anillo.vmm.port.CharBackend;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The guest's serial line at this process's standard input and output. Where that is a terminal it
 * is raw from {@link #start} to {@link #close}, and the escape keys work; where it is a pipe or a
 * file, bytes pass as they are, and no faster than the guest reads.
 */
public final class TerminalConsole implements CharBackend {
  private static final byte CONTROL_D = 4;
  private static final long ROOM_POLL_MILLIS = 5;
  private static final long END_REPEAT_MILLIS = 500;

  private final InputStream in;
  private final Optional<HostTerminal> terminal;
  private final ByteDrain drain;
  private final Runnable quit;
  private final boolean shellAtLine;
  private final CountDownLatch shellComing = new CountDownLatch(1);
  private volatile @Nullable MonitorScreen screen;
  private volatile boolean closed;

  private TerminalConsole(
      InputStream in,
      OutputStream out,
      Optional<HostTerminal> terminal,
      boolean shellAtLine,
      Runnable quit) {
    this.in = in;
    this.shellAtLine = shellAtLine;
    this.terminal = terminal;
    this.drain = new ByteDrain("console output", out);
    this.quit = quit;
  }

  /**
   * The console of this process.
   *
   * @param shellAtLine whether the guest will have a shell at the line: commands from a pipe or a
   *     file wait for {@link #shellComes}, and the shell is to end when they do
   * @param quit called from another thread when the person asks to quit
   */
  public static TerminalConsole ofProcess(
      Optional<HostTerminal> terminal, boolean shellAtLine, Runnable quit) {
    return new TerminalConsole(
        new FileInputStream(FileDescriptor.in),
        new FileOutputStream(FileDescriptor.out),
        terminal,
        shellAtLine,
        quit);
  }

  /** A console on two streams that are no terminal. */
  static TerminalConsole ofStreams(InputStream in, OutputStream out, boolean shellAtLine) {
    return new TerminalConsole(in, out, Optional.empty(), shellAtLine, () -> {});
  }

  /** The guest's system is up, and reads or will soon read what comes. From any thread. */
  public void shellComes() {
    shellComing.countDown();
  }

  @Override
  public void start(Receiver receiver) {
    terminal.ifPresent(HostTerminal::enterRawMode);
    Runnable source = terminal.isPresent() ? () -> pumpKeys(receiver) : () -> pump(receiver);
    Thread.ofPlatform().daemon().name("console input").start(source);
  }

  /** Passes on what comes from a pipe or a file. */
  private void pump(Receiver receiver) {
    byte[] buffer = new byte[1024];
    byte last = '\n';
    boolean any = false;
    try {
      if (shellAtLine) {
        // Sent earlier, it would be shown between what the kernel prints.
        shellComing.await();
      }
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        while (!closed && receiver.room() < count) {
          Thread.sleep(ROOM_POLL_MILLIS);
        }
        if (count > 0) {
          receiver.receive(buffer.clone(), 0, count);
          last = buffer[count - 1];
          any = true;
        }
      }
      // Where nothing was sent, as from /dev/null, nobody means to end anything.
      if (any && shellAtLine) {
        endShell(receiver, last);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      // The input has gone; the guest goes on without.
    }
  }

  /**
   * Types the end of input as a person would: after the last command, and again for each program
   * that reads from the terminal before the shell does.
   */
  private void endShell(Receiver receiver, byte last) throws InterruptedException {
    if (last != '\n') {
      receiver.receive(new byte[] {'\n'}, 0, 1);
    }
    while (!closed) {
      if (receiver.room() > 0) {
        receiver.receive(new byte[] {CONTROL_D}, 0, 1);
      }
      Thread.sleep(END_REPEAT_MILLIS);
    }
  }

  private void pumpKeys(Receiver receiver) {
    EscapeKeys keys =
        new EscapeKeys(
            new EscapeKeys.Commands() {
              @Override
              public void quit() {
                quit.run();
              }

              @Override
              public void help() {
                say(EscapeKeys.HELP);
              }

              @Override
              public void monitor() {
                toggleMonitor();
              }
            });
    byte[] buffer = new byte[1024];
    try {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        int kept = keys.filter(buffer, count);
        if (kept > 0) {
          receiver.receive(buffer.clone(), 0, kept);
        }
      }
    } catch (IOException e) {
      // The terminal has gone; the guest goes on without input.
    }
  }

  /**
   * Gives what the monitor's screen shows; shown at once where there is a terminal.
   *
   * @param newScreen called once a second while it is shown
   */
  public void showMonitor(Supplier<String> newScreen) {
    MonitorScreen made = new MonitorScreen(drain, newScreen);
    screen = made;
    if (terminal.isPresent()) {
      made.toggle();
    }
  }

  private void toggleMonitor() {
    MonitorScreen current = screen;
    if (current == null) {
      say("Start the machine with --monitor to see what it does.\n");
    } else {
      current.toggle();
    }
  }

  /** Writes lines to the person, between what the guest writes. */
  private void say(String text) {
    byte[] bytes = ("\r\n" + text.replace("\n", "\r\n")).getBytes(StandardCharsets.UTF_8);
    drain.write(bytes, 0, bytes.length);
  }

  @Override
  public void write(byte[] data, int offset, int length) {
    MonitorScreen current = screen;
    if (current == null || !current.keep(data, offset, length)) {
      drain.write(data, offset, length);
    }
  }

  @Override
  public void close() {
    closed = true;
    MonitorScreen current = screen;
    if (current != null) {
      current.close();
    }
    drain.close();
    terminal.ifPresent(HostTerminal::restore);
  }
}
