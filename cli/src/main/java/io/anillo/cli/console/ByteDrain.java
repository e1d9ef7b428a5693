package io.anillo.cli.console;

import java.io.IOException;
import java.io.OutputStream;

/**
 * Writes bytes on a thread of its own, so that the board does not wait for a slow terminal; when it
 * is a whole buffer behind, the board does wait. A reader that has gone away loses the bytes, not
 * the guest.
 */
final class ByteDrain implements AutoCloseable {
  private static final int CAPACITY = 1 << 16;

  private final OutputStream out;
  private final Thread writer;
  private byte[] filling = new byte[CAPACITY];
  private byte[] draining = new byte[CAPACITY];
  private int filled;
  private boolean closed;

  ByteDrain(String name, OutputStream out) {
    this.out = out;
    this.writer = Thread.ofPlatform().daemon().name(name).start(this::drain);
  }

  synchronized void write(byte[] data, int offset, int length) {
    int at = offset;
    int end = offset + length;
    while (at < end) {
      while (filled == CAPACITY && !closed) {
        if (!await()) {
          return;
        }
      }
      if (closed) {
        return;
      }
      int count = Math.min(CAPACITY - filled, end - at);
      System.arraycopy(data, at, filling, filled, count);
      filled += count;
      at += count;
      notifyAll();
    }
  }

  private void drain() {
    boolean broken = false;
    while (true) {
      int count;
      synchronized (this) {
        while (filled == 0 && !closed) {
          if (!await()) {
            return;
          }
        }
        if (filled == 0) {
          return;
        }
        byte[] full = filling;
        filling = draining;
        draining = full;
        count = filled;
        filled = 0;
        notifyAll();
      }
      if (!broken) {
        try {
          out.write(draining, 0, count);
          out.flush();
        } catch (IOException e) {
          broken = true;
        }
      }
    }
  }

  /** Waits for a change; false when this thread was interrupted. */
  private synchronized boolean await() {
    try {
      wait();
      return true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Returns when everything has been written, or a second later when nobody reads it. */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      notifyAll();
    }
    try {
      writer.join(1000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
