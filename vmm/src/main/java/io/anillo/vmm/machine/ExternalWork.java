package io.anillo.vmm.machine;

import org.jspecify.annotations.Nullable;

/**
 * Work of devices that reaches outside, on virtual threads that may block. Keeps count of what is
 * under way.
 */
final class ExternalWork implements AutoCloseable {
  private int underWay;
  private boolean closed;
  private volatile @Nullable Throwable failure;

  /** Starts work; should it fail, {@link #throwFailure} tells, after a kick. */
  void start(Runnable work, Runnable kick) {
    synchronized (this) {
      if (closed) {
        return;
      }
      underWay++;
    }
    Thread.ofVirtual()
        .name("board-external")
        .start(() -> {
          try {
            work.run();
          } catch (RuntimeException | Error e) {
            failure = e;
            kick.run();
          } finally {
            finished();
          }
        });
  }

  private synchronized void finished() {
    underWay--;
    notifyAll();
  }

  synchronized boolean busy() {
    return underWay > 0;
  }

  synchronized void awaitIdle() {
    boolean interrupted = false;
    while (underWay > 0) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  boolean failed() {
    return failure != null;
  }

  void throwFailure() {
    Throwable cause = failure;
    if (cause != null) {
      failure = null;
      throw new IllegalStateException(
          "a device's work outside the machine failed: " + cause, cause);
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
  }
}
