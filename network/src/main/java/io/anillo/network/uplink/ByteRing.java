package io.anillo.network.uplink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;

/**
 * Bytes of a stream that wait, first in first out; grows up to a limit and can be filled ahead of
 * its end.
 */
final class ByteRing {
  private static final int FIRST_CAPACITY = 4096;
  private static final byte[] NOTHING = new byte[0];

  private final MemoryBudget budget;
  private final int limit;
  private byte[] data = NOTHING;
  private int head;
  private int size;

  /** Creates a ring that never holds more than {@code limit} bytes, a power of two. */
  ByteRing(int limit, MemoryBudget budget) {
    this.limit = limit;
    this.budget = budget;
  }

  int size() {
    return size;
  }

  /** The bytes that may still be added. */
  int room() {
    return limit - size;
  }

  int limit() {
    return limit;
  }

  private boolean reserve(int count) {
    if (count <= data.length) {
      return true;
    }
    if (count > limit) {
      return false;
    }
    int capacity = Math.max(FIRST_CAPACITY, data.length);
    while (capacity < count) {
      capacity *= 2;
    }
    if (!budget.take(capacity - data.length)) {
      return false;
    }
    byte[] larger = new byte[capacity];
    int first = Math.min(data.length - head, data.length);
    System.arraycopy(data, head, larger, 0, first);
    System.arraycopy(data, 0, larger, first, data.length - first);
    data = larger;
    head = 0;
    return true;
  }

  /**
   * Stores bytes {@code ahead} of the end without counting them; false when there is no memory for
   * them.
   */
  boolean store(int ahead, byte[] source, int offset, int count) {
    if (!reserve(size + ahead + count)) {
      return false;
    }
    int at = (head + size + ahead) & (data.length - 1);
    int first = Math.min(count, data.length - at);
    System.arraycopy(source, offset, data, at, first);
    System.arraycopy(source, offset + first, data, 0, count - first);
    return true;
  }

  /** Counts {@code count} stored bytes as part of the stream. */
  void extend(int count) {
    size += count;
  }

  /** Copies bytes that lie {@code from} bytes behind the beginning. */
  void copy(int from, byte[] target, int offset, int count) {
    int at = (head + from) & (data.length - 1);
    int first = Math.min(count, data.length - at);
    System.arraycopy(data, at, target, offset, first);
    System.arraycopy(data, 0, target, offset + first, count - first);
  }

  void drop(int count) {
    if (count == 0) {
      return;
    }
    head = (head + count) & (data.length - 1);
    size -= count;
  }

  /** Writes as much as the channel takes; the number of bytes. */
  int writeTo(WritableByteChannel channel) throws IOException {
    int total = 0;
    while (size > 0) {
      int count = Math.min(size, data.length - head);
      int written = channel.write(ByteBuffer.wrap(data, head, count));
      drop(written);
      total += written;
      if (written < count) {
        break;
      }
    }
    return total;
  }

  /** Reads what the channel has and fits; the number of bytes, -1 at the channel's end. */
  int readFrom(ReadableByteChannel channel, int most) throws IOException {
    int wanted = Math.min(most, room());
    if (wanted <= 0) {
      return 0;
    }
    if (size == data.length || wanted > data.length - size) {
      // More memory if there is some; otherwise what is left of the present array has to do.
      reserve(Math.min(limit, Math.max(FIRST_CAPACITY, data.length * 2)));
    }
    int space = Math.min(wanted, data.length - size);
    if (space == 0) {
      return 0;
    }
    int at = (head + size) & (data.length - 1);
    int read = channel.read(ByteBuffer.wrap(data, at, Math.min(space, data.length - at)));
    if (read > 0) {
      size += read;
    }
    return read;
  }

  /** Gives the memory back; the ring is empty afterwards. */
  void release() {
    budget.give(data.length);
    data = NOTHING;
    head = 0;
    size = 0;
  }
}
