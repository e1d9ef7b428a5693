package io.anillo.storage.block;

import java.nio.ByteBuffer;
import java.util.concurrent.ArrayBlockingQueue;

/**
 * Direct buffers for reuse, in powers of two: they are costly to make and slow to be freed. Buffers
 * come back with any contents and are big-endian.
 */
public final class BufferPool {
  private static final int SMALLEST_BITS = 12;
  private static final int LARGEST_BITS = 22;
  private static final int KEPT_PER_SIZE = 16;

  @SuppressWarnings({"unchecked", "rawtypes"})
  private static final ArrayBlockingQueue<ByteBuffer>[] FREE =
      new ArrayBlockingQueue[LARGEST_BITS + 1];

  static {
    for (int bits = SMALLEST_BITS; bits <= LARGEST_BITS; bits++) {
      FREE[bits] = new ArrayBlockingQueue<>(KEPT_PER_SIZE);
    }
  }

  private BufferPool() {}

  private static int bits(int bytes) {
    return Math.max(SMALLEST_BITS, 32 - Integer.numberOfLeadingZeros(Math.max(1, bytes - 1)));
  }

  /** A buffer whose position is 0 and whose limit is the length asked for. */
  public static ByteBuffer take(int bytes) {
    int bits = bits(bytes);
    if (bits > LARGEST_BITS) {
      return ByteBuffer.allocateDirect(bytes);
    }
    ByteBuffer buffer = FREE[bits].poll();
    if (buffer == null) {
      // aligned, so that it also serves direct input and output
      buffer = ByteBuffer.allocateDirect((1 << bits) + 4096).alignedSlice(4096);
    }
    return buffer.clear().limit(bytes);
  }

  /** Gives a buffer back; nobody may use it afterwards. */
  public static void give(ByteBuffer buffer) {
    int bits = bits(buffer.capacity());
    if (bits > LARGEST_BITS || buffer.capacity() < 1 << SMALLEST_BITS) {
      return;
    }
    if (buffer.capacity() < 1 << bits) {
      bits--;
    }
    FREE[bits].offer(buffer);
  }

  /** Fills a buffer from its position to its limit with zeros. */
  public static void putZeros(ByteBuffer buffer) {
    int at = buffer.position();
    int end = buffer.limit();
    for (; at + 8 <= end; at += 8) {
      buffer.putLong(at, 0L);
    }
    for (; at < end; at++) {
      buffer.put(at, (byte) 0);
    }
    buffer.position(end);
  }
}
