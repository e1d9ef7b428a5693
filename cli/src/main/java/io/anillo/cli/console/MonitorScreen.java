package io.anillo.cli.console;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What a machine does, on the terminal's second screen, anew each second. Meanwhile the guest's
 * output is kept, and comes when the person goes back to it.
 */
final class MonitorScreen implements AutoCloseable {
  private static final long PERIOD_MILLIS = 1_000;
  private static final int KEPT_BYTES = 1 << 20;
  private static final String OPEN = "\u001b[?1049h", SHUT = "\u001b[?1049l";
  private static final String HOME = "\u001b[H", CLEAR_LINE = "\u001b[K", CLEAR_REST = "\u001b[J";

  private final ByteDrain drain;
  private final Supplier<String> content;
  private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
  private @Nullable Thread painter;

  /**
   * Makes a screen that is not shown yet.
   *
   * @param content lines to show, called once a second
   */
  MonitorScreen(ByteDrain drain, Supplier<String> content) {
    this.drain = drain;
    this.content = content;
  }

  synchronized void toggle() {
    Thread shown = painter;
    if (shown == null) {
      write(OPEN);
      painter = Thread.ofPlatform().daemon().name("monitor screen").start(this::paint);
      return;
    }
    painter = null;
    shown.interrupt();
    write(SHUT);
    byte[] bytes = kept.toByteArray();
    kept.reset();
    drain.write(bytes, 0, bytes.length);
  }

  /**
   * Takes guest output while the screen is shown. Beyond a mebibyte the oldest is lost.
   *
   * @return false when it is to be written as usual
   */
  synchronized boolean keep(byte[] data, int offset, int length) {
    if (painter == null) {
      return false;
    }
    if (kept.size() + length > KEPT_BYTES) {
      kept.reset();
    }
    kept.write(data, offset, length);
    return true;
  }

  private void paint() {
    try {
      while (true) {
        String lines = content.get();
        synchronized (this) {
          if (painter != Thread.currentThread()) {
            return;
          }
          write(HOME + lines.replace("\n", CLEAR_LINE + "\r\n") + CLEAR_REST);
        }
        Thread.sleep(PERIOD_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void write(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    drain.write(bytes, 0, bytes.length);
  }

  /** Goes back to the guest's screen. */
  @Override
  public synchronized void close() {
    if (painter != null) {
      toggle();
    }
  }
}
