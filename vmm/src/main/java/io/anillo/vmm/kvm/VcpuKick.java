package io.anillo.vmm.kvm;

import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Brings a thread out of {@code KVM_RUN}: a real-time signal that the thread has blocked, and that
 * KVM unblocks only while guest code runs. It stays pending, so it is not lost when it comes too
 * early, and it is taken back without ever being delivered, so it needs no handler. ({@code
 * immediate_exit} alone is read at the entry only and does not stop a guest that runs.)
 */
final class VcpuKick {
  /** One of the signals that nobody else uses in a JVM. */
  private static final int SIGNAL = 40;

  private static final int MASK_BYTES = 8;

  private final HostSystem ofOthers = new HostSystem();
  private @Nullable Thread thread;
  private int threadId;
  private boolean inGuest;
  private boolean sent;

  /** One that came too early, for the next entry. */
  private boolean kept;

  /** Makes the calling thread the one that runs this processor. */
  void adopt(HostSystem system, int descriptor) {
    if (thread == Thread.currentThread()) {
      return;
    }
    long blocked = system.block(SIGNAL);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment mask = arena.allocate(4 + MASK_BYTES, 4);
      mask.set(ValueLayout.JAVA_INT, 0, MASK_BYTES);
      mask.set(ValueLayout.JAVA_LONG_UNALIGNED, 4, blocked & ~(1L << SIGNAL - 1));
      if (system.ioctl(descriptor, KvmNumbers.SET_SIGNAL_MASK, mask) < 0) {
        throw new IllegalStateException("KVM refuses the signal mask, error " + system.errno());
      }
    }
    synchronized (this) {
      thread = Thread.currentThread();
      threadId = system.threadId();
    }
  }

  /** From here to {@link #leave}, {@link #send} reaches the thread. */
  synchronized void enter() {
    inGuest = true;
    if (kept) {
      kept = false;
      send();
    }
  }

  /**
   * After this no signal is sent any more, and one that was is taken back: the JVM unblocks the
   * signals of a thread that ends, and a pending one would end the process.
   */
  synchronized void leave(HostSystem system) {
    inGuest = false;
    if (sent) {
      sent = false;
      system.take(SIGNAL);
    }
  }

  /** From any thread. */
  synchronized void send() {
    if (inGuest && !sent) {
      sent = true;
      ofOthers.signal(threadId, SIGNAL);
    }
  }

  /**
   * As {@link #send}, after so many nanoseconds. When the thread is not in the guest by then, it
   * will leave it at once when it enters next: it may not have got that far yet, and nobody else
   * may send for it.
   */
  void sendLater(long nanos) {
    later(nanos, this::sendOrKeep);
  }

  private synchronized void sendOrKeep() {
    if (inGuest) {
      send();
    } else {
      kept = true;
    }
  }

  /** Has something done after so many nanoseconds. */
  void later(long nanos, Runnable what) {
    Thread.ofVirtual()
        .start(() -> {
          LockSupport.parkNanos(nanos);
          what.run();
        });
  }
}
