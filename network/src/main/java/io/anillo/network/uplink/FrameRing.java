package io.anillo.network.uplink;

import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.NetworkFrame;

/**
 * Frames on their way from the guest to the uplink's thread, copied into one array of fixed size. A
 * frame that does not fit is dropped, as by a card whose queue is full.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
final class FrameRing {
  private static final int HEADER_INTS = 5;
  private static final int SLOTS = 4096;
  private static final NetworkFrame.Segmentation[] KINDS = NetworkFrame.Segmentation.values();

  private final byte[] bytes;
  private final int[] headers = new int[SLOTS * HEADER_INTS];
  private int firstSlot;
  private int slots;
  private int tail;
  private int used;
  private long dropped;

  FrameRing(int capacity) {
    bytes = new byte[capacity];
  }

  synchronized boolean isEmpty() {
    return slots == 0;
  }

  synchronized long dropped() {
    return dropped;
  }

  /** Copies a frame in; false when there is no room. */
  synchronized boolean put(NetworkFrame frame) {
    int length = frame.length();
    int offset = frame.offset();
    if (length < 14 || offset < 0 || offset > frame.data().length - length || slots == SLOTS) {
      dropped++;
      return false;
    }
    int start = tail;
    int skipped = 0;
    if (start + length > bytes.length) {
      skipped = bytes.length - start;
      start = 0;
    }
    if (used + skipped + length > bytes.length) {
      dropped++;
      return false;
    }
    System.arraycopy(frame.data(), offset, bytes, start, length);
    int slot = (firstSlot + slots) % SLOTS * HEADER_INTS;
    headers[slot] = start;
    headers[slot + 1] = length;
    headers[slot + 2] = skipped;
    headers[slot + 3] =
        (frame.checksumStart() < 0 ? 0xffff : frame.checksumStart() & 0xffff) << 16
            | (frame.checksumOffset() & 0xffff);
    headers[slot + 4] = kind(frame.segmentation()) << 16 | (frame.segmentBytes() & 0xffff);
    tail = start + length;
    used += skipped + length;
    slots++;
    return true;
  }

  private static int kind(NetworkFrame.Segmentation segmentation) {
    return switch (segmentation) {
      case NONE -> 0;
      case TCP4 -> 1;
      case TCP6 -> 2;
      case UDP -> 3;
    };
  }

  /**
   * Lends the oldest frame to {@code packet} until {@link #release}; false when it is no frame or
   * there is none.
   */
  synchronized boolean peek(Packet packet) {
    if (slots == 0) {
      return false;
    }
    int slot = firstSlot * HEADER_INTS;
    int checksum = headers[slot + 3] >>> 16;
    return packet.reset(
        new NetworkFrame(
            bytes,
            headers[slot],
            headers[slot + 1],
            checksum == 0xffff ? -1 : checksum,
            headers[slot + 3] & 0xffff,
            KINDS[headers[slot + 4] >>> 16],
            headers[slot + 4] & 0xffff));
  }

  /** Frees the oldest frame's place. */
  synchronized void release() {
    int slot = firstSlot * HEADER_INTS;
    used -= headers[slot + 1] + headers[slot + 2];
    firstSlot = (firstSlot + 1) % SLOTS;
    slots--;
    if (slots == 0) {
      tail = 0;
    }
  }
}
