package io.anillo.vmm.machine;

import java.util.concurrent.locks.ReentrantLock;

/**
 * The board's one lock: every device access, posted event and timer expiry runs under it. A
 * processor that has to wait for it counts as stopped for the exclusive section, so that a device
 * may ask for the section while it holds the lock.
 */
public final class BoardLock {
  private final ReentrantLock lock = new ReentrantLock();
  private final ExclusiveSection section;

  BoardLock(ExclusiveSection section) {
    this.section = section;
  }

  public void acquire() {
    if (lock.tryLock()) {
      return;
    }
    if (section.inGuestCode()) {
      section.beginBlocking();
      lock.lock();
      section.endBlocking();
    } else {
      lock.lock();
    }
  }

  public void release() {
    lock.unlock();
  }

  public boolean heldByCurrentThread() {
    return lock.isHeldByCurrentThread();
  }
}
