package io.anillo.storage.nbd;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.Semaphore;

/**
 * How a connection's thread waits for the next request. Hot, and of that thread alone.
 *
 * <p>A client that sends a request, waits for the answer and sends the next lets the server's
 * thread fall asleep each time, and to wake a sleeping processor takes longer than all of the rest.
 * As long as requests follow closely the thread therefore looks for the next one a while before it
 * sleeps. It stops doing so once that proves vain, and begins again when requests come soon. Half
 * of the processors are left to others.
 */
final class RequestWait {
  /** How long to look at most: about twice what two processors take to wake each other. */
  private static final long LOOK_NANOS = 100_000;

  /** A wait asleep that would have been short enough to look, with the time to wake up. */
  private static final long SHORT_NANOS = 150_000;

  private static final int ALL = 1 << 10;

  /** Threads of all connections that may look at once. */
  private static final Semaphore PLACES =
      new Semaphore(Runtime.getRuntime().availableProcessors() / 2);

  /** Short waits among the last eight or so, in parts of {@link #ALL}. */
  private int shortShare;

  /**
   * Reads at least one byte.
   *
   * @param alone nothing of this connection is under way, so that no other thread uses it
   */
  void read(NbdTransport transport, ByteBuffer target, boolean alone) throws IOException {
    if (!alone) {
      transport.read(target);
      return;
    }
    if (shortShare > ALL / 2 && PLACES.tryAcquire()) {
      boolean found;
      try {
        found = transport.look(target, LOOK_NANOS);
      } finally {
        PLACES.release();
      }
      note(found);
      if (!found) {
        transport.read(target);
      }
      return;
    }
    long begin = System.nanoTime();
    transport.read(target);
    note(System.nanoTime() - begin < SHORT_NANOS);
  }

  private void note(boolean wasShort) {
    shortShare += ((wasShort ? ALL : 0) - shortShare) / 8;
  }
}
