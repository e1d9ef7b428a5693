package io.anillo.cli.console;

import io.anillo.vmm.port.CharBackend;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * Passes everything on to another console and shows each line of the guest's output to an observer.
 */
public final class WatchedConsole implements CharBackend {
  private static final int LINE_MAXIMUM = 512;

  private final CharBackend console;
  private final Consumer<String> observer;
  private final byte[] line = new byte[LINE_MAXIMUM];
  private int filled;

  public WatchedConsole(CharBackend console, Consumer<String> observer) {
    this.console = console;
    this.observer = observer;
  }

  @Override
  public void start(Receiver receiver) {
    console.start(receiver);
  }

  @Override
  public void write(byte[] data, int offset, int length) {
    for (int i = offset; i < offset + length; i++) {
      if (data[i] == '\n') {
        observer.accept(new String(line, 0, filled, StandardCharsets.UTF_8).strip());
        filled = 0;
      } else if (filled < LINE_MAXIMUM) {
        line[filled++] = data[i];
      }
    }
    console.write(data, offset, length);
  }

  @Override
  public void close() throws IOException {
    console.close();
  }
}
