package io.anillo.vmm.machine;

import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Does the board's work where no processor is to leave its guest for it: where the hardware runs
 * guests and its local APICs take interrupts while they run. Such a machine is never recorded, so
 * the board's work needs no place among its instructions; it is done under the board's lock, which
 * whoever stops the machine holds.
 */
final class BoardThread implements Runnable {
  private final Machine machine;
  private final BoardExecutor executor;
  private final Runnable processor;
  private volatile @Nullable Thread thread;

  /**
   * Makes it.
   *
   * @param processor kicks a processor that may have asked for the end of the run
   */
  BoardThread(Machine machine, BoardExecutor executor, Runnable processor) {
    this.machine = machine;
    this.executor = executor;
    this.processor = processor;
  }

  /** There is something to do. From any thread. */
  void kick() {
    LockSupport.unpark(thread);
    if (executor.requestPending()) {
      processor.run();
    }
  }

  @Override
  public void run() {
    thread = Thread.currentThread();
    try {
      while (!machine.ending()) {
        executor.runPending();
        if (executor.requestPending()) {
          machine.takeRequest();
        } else {
          LockSupport.park(this);
        }
      }
    } catch (Throwable cause) {
      // The thread's last act: whoever waits in Machine.run is told, and throws.
      machine.failed(cause);
    } finally {
      thread = null;
    }
  }
}
