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

/**
 * The guest's serial line at this process's standard input and output. Where that is a terminal it
 * is raw from {@link #start} to {@link #close}, and the escape keys work; where it is a pipe or a
 * file, bytes pass as they are.
 */
public final class TerminalConsole implements CharBackend {
  private final InputStream in;
  private final Optional<HostTerminal> terminal;
  private final ByteDrain drain;
  private final Runnable quit;

  private TerminalConsole(
      InputStream in, OutputStream out, Optional<HostTerminal> terminal, Runnable quit) {
    this.in = in;
    this.terminal = terminal;
    this.drain = new ByteDrain("console output", out);
    this.quit = quit;
  }

  /**
   * The console of this process.
   *
   * @param quit called from another thread when the person asks to quit
   */
  public static TerminalConsole ofProcess(Optional<HostTerminal> terminal, Runnable quit) {
    return new TerminalConsole(
        new FileInputStream(FileDescriptor.in),
        new FileOutputStream(FileDescriptor.out),
        terminal,
        quit);
  }

  /** A console on two streams that are no terminal. */
  static TerminalConsole ofStreams(InputStream in, OutputStream out) {
    return new TerminalConsole(in, out, Optional.empty(), () -> {});
  }

  @Override
  public void start(Receiver receiver) {
    terminal.ifPresent(HostTerminal::enterRawMode);
    Thread.ofPlatform().daemon().name("console input").start(() -> pump(receiver));
  }

  private void pump(Receiver receiver) {
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
            });
    byte[] buffer = new byte[1024];
    try {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        int kept = terminal.isPresent() ? keys.filter(buffer, count) : count;
        if (kept > 0) {
          receiver.receive(buffer.clone(), 0, kept);
        }
      }
    } catch (IOException e) {
      // The terminal has gone; the guest goes on without input.
    }
  }

  /** Writes lines to the person, between what the guest writes. */
  private void say(String text) {
    byte[] bytes = ("\r\n" + text.replace("\n", "\r\n")).getBytes(StandardCharsets.UTF_8);
    drain.write(bytes, 0, bytes.length);
  }

  @Override
  public void write(byte[] data, int offset, int length) {
    drain.write(data, offset, length);
  }

  @Override
  public void close() {
    drain.close();
    terminal.ifPresent(HostTerminal::restore);
  }
}
