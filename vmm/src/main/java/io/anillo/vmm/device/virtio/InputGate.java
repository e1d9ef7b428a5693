package io.anillo.vmm.device.virtio;

import io.anillo.vmm.device.EventChannel;
import java.util.ArrayDeque;

/**
 * Where input from outside (frames, typed bytes) enters a device: bounded, and closed while the
 * device is paused. What arrives meanwhile is kept and posted when the gate opens again.
 *
 * <p>The bound counts what was let in and has not been {@linkplain #consumed consumed}, so a guest
 * that does not read cannot make the host's memory grow. All methods may be called from any thread.
 */
public final class InputGate {
  private final EventChannel channel;
  private final long maximumBytes;
  private final ArrayDeque<byte[]> held = new ArrayDeque<>();
  private long outstanding;
  private long dropped;
  private boolean closed;

  /** Makes an open gate that lets in at most {@code maximumBytes} ahead of the guest. */
  public InputGate(EventChannel channel, long maximumBytes) {
    this.channel = channel;
    this.maximumBytes = maximumBytes;
  }

  /**
   * Whether so many bytes would be let in now; asked before a payload is made, to save the copy. A
   * payload that is made then must be given to {@link #enter}; one that is refused counts as
   * dropped.
   */
  public synchronized boolean reserve(int bytes) {
    if (outstanding + bytes > maximumBytes) {
      dropped++;
      return false;
    }
    outstanding += bytes;
    return true;
  }

  /** Counts what the device itself keeps in the input's place; never refuses. */
  public synchronized void charge(long bytes) {
    outstanding += bytes;
  }

  /** Lets in a payload for which room was reserved. */
  public synchronized void enter(byte[] payload) {
    if (closed) {
      held.add(payload);
    } else {
      channel.post(payload);
    }
  }

  /** Input has reached the guest, or was given up. */
  public synchronized void consumed(long bytes) {
    // A replay consumes what never came through this gate.
    outstanding = Math.max(0, outstanding - bytes);
  }

  public synchronized void close() {
    closed = true;
  }

  public synchronized void open() {
    closed = false;
    for (byte[] payload = held.poll(); payload != null; payload = held.poll()) {
      channel.post(payload);
    }
  }

  /** How many inputs were refused. */
  public synchronized long dropped() {
    return dropped;
  }
}
