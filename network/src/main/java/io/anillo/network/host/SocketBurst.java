package io.anillo.network.host;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Room for the frames that one system call takes from a packet socket, in the shape of recvmmsg(2):
 * under load a call for several, and without any a call to wait for the next.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
final class SocketBurst implements AutoCloseable {
  /** The most frames of a call. */
  static final int FRAMES = 16;

  // struct mmsghdr: a struct msghdr of 56 bytes, the message's length, padding.
  private static final int MESSAGE = 64;
  private static final int VECTORS = 16;
  private static final int VECTOR_COUNT = 24;
  private static final int LENGTH = 56;

  // struct iovec
  private static final int VECTOR = 16;

  private final int descriptor;
  private final Arena arena = Arena.ofConfined();
  private final MemorySegment state = NativeCalls.newState(arena);
  private final MemorySegment messages = arena.allocate((long) FRAMES * MESSAGE, 8);
  private final MemorySegment[] frames = new MemorySegment[FRAMES];

  /** Room for frames of up to {@code maximum} bytes, to be used by the thread that makes it. */
  SocketBurst(int descriptor, int maximum) {
    this.descriptor = descriptor;
    MemorySegment vectors = arena.allocate((long) FRAMES * VECTOR, 8);
    for (int i = 0; i < FRAMES; i++) {
      frames[i] = arena.allocate(maximum, 64);
      MemorySegment vector = vectors.asSlice((long) i * VECTOR, VECTOR);
      vector.set(ValueLayout.ADDRESS, 0, frames[i]);
      vector.set(ValueLayout.JAVA_LONG, 8, maximum);
      messages.set(ValueLayout.ADDRESS, (long) i * MESSAGE + VECTORS, vector);
      messages.set(ValueLayout.JAVA_LONG, (long) i * MESSAGE + VECTOR_COUNT, 1);
    }
  }

  /** Waits for frames; how many there are, or the negative error number. */
  int receive() {
    return NativeCalls.receiveSeveral(state, descriptor, messages, FRAMES);
  }

  int length(int index) {
    return messages.get(ValueLayout.JAVA_INT, (long) index * MESSAGE + LENGTH);
  }

  MemorySegment frame(int index) {
    return frames[index];
  }

  @Override
  public void close() {
    arena.close();
  }
}
