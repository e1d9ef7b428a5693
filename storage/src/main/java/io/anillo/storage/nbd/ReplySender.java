package io.anillo.storage.nbd;

import static io.anillo.storage.nbd.NbdProtocol.*;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Sends replies of one connection, gathering small ones into one write. Hot: {@code anillo bench
 * storage} watches it.
 */
final class ReplySender {
  /** Instead of a time: it was not measured, or says nothing about the device. */
  static final long UNKNOWN = -1;

  private static final int BUFFER_BYTES = 256 << 10;
  private static final int COPY_LIMIT = 64 << 10;

  private final NbdTransport transport;
  private final boolean structured;
  private final ReentrantLock lock = new ReentrantLock();
  private final ByteBuffer out = BufferPool.take(BUFFER_BYTES);

  ReplySender(NbdTransport transport, boolean structured) {
    this.transport = transport;
    this.structured = structured;
  }

  void release() {
    lock.lock();
    try {
      BufferPool.give(out);
    } finally {
      lock.unlock();
    }
  }

  /** Sends what has been gathered. */
  void flush() throws IOException {
    lock.lock();
    try {
      flushLocked();
    } finally {
      lock.unlock();
    }
  }

  private void flushLocked() throws IOException {
    if (out.position() > 0) {
      try {
        transport.write(out.flip());
      } finally {
        out.clear();
      }
    }
  }

  private void room(int bytes) throws IOException {
    if (out.remaining() < bytes) {
      flushLocked();
    }
  }

  private void putHeader(ByteBuffer target, long handle, int type, int length) {
    target.putInt(STRUCTURED_REPLY_MAGIC).putShort((short) CHUNK_DONE).putShort((short) type);
    target.putLong(handle).putInt(length);
  }

  private void putReadHeader(ByteBuffer target, long handle, long offset, int length) {
    if (structured) {
      putHeader(target, handle, CHUNK_OFFSET_DATA, 8 + length);
      target.putLong(offset);
    } else {
      target.putInt(SIMPLE_REPLY_MAGIC).putInt(0).putLong(handle);
    }
  }

  void success(long handle) throws IOException {
    lock.lock();
    try {
      room(SIMPLE_REPLY_BYTES);
      out.putInt(SIMPLE_REPLY_MAGIC).putInt(0).putLong(handle);
    } finally {
      lock.unlock();
    }
  }

  void error(long handle, int error, String message) throws IOException {
    lock.lock();
    try {
      errorLocked(handle, error, message);
    } finally {
      lock.unlock();
    }
  }

  private void errorLocked(long handle, int error, String message) throws IOException {
    if (!structured) {
      room(SIMPLE_REPLY_BYTES);
      out.putInt(SIMPLE_REPLY_MAGIC).putInt(error).putLong(handle);
      return;
    }
    byte[] text = message.getBytes(StandardCharsets.UTF_8);
    int length = Math.min(text.length, 1024);
    room(CHUNK_HEADER_BYTES + 6 + length);
    putHeader(out, handle, CHUNK_ERROR, 6 + length);
    out.putInt(error).putShort((short) length).put(text, 0, length);
  }

  /**
   * Reads from the device into the reply.
   *
   * @param alone no other request of this connection is under way, so that reading may hold it up
   * @return what the device took, in nanoseconds, or {@link #UNKNOWN}
   */
  long data(long handle, BlockDevice device, long offset, int length, boolean alone)
      throws IOException {
    if (!alone) {
      return viaBuffer(handle, device, offset, length);
    }
    return length <= COPY_LIMIT
        ? small(handle, device, offset, length)
        : large(handle, device, offset, length);
  }

  private long small(long handle, BlockDevice device, long offset, int length) throws IOException {
    lock.lock();
    try {
      room(CHUNK_HEADER_BYTES + 8 + length);
      int start = out.position();
      putReadHeader(out, handle, offset, length);
      try {
        out.limit(out.position() + length);
        long begin = System.nanoTime();
        device.read(offset, out);
        long nanos = System.nanoTime() - begin;
        out.limit(out.capacity());
        return nanos;
      } catch (IOException failure) {
        out.clear().position(start);
        errorLocked(handle, ServerSession.errorOf(failure), String.valueOf(failure.getMessage()));
        return UNKNOWN;
      }
    } finally {
      lock.unlock();
    }
  }

  private long large(long handle, BlockDevice device, long offset, int length) throws IOException {
    WritableByteChannel direct = transport.directChannel();
    if (direct != null && sendDirect(handle, device, offset, length, direct)) {
      return UNKNOWN;
    }
    return viaBuffer(handle, device, offset, length);
  }

  private long viaBuffer(long handle, BlockDevice device, long offset, int length)
      throws IOException {
    ByteBuffer data = BufferPool.take(length);
    try {
      long nanos;
      try {
        long begin = System.nanoTime();
        device.read(offset, data);
        nanos = System.nanoTime() - begin;
        data.flip();
      } catch (IOException failure) {
        error(handle, ServerSession.errorOf(failure), String.valueOf(failure.getMessage()));
        return UNKNOWN;
      }
      lock.lock();
      try {
        room(CHUNK_HEADER_BYTES + 8);
        putReadHeader(out, handle, offset, length);
        try {
          transport.write(out.flip(), data);
        } finally {
          out.clear();
        }
      } finally {
        lock.unlock();
      }
      return nanos;
    } finally {
      BufferPool.give(data);
    }
  }

  private boolean sendDirect(
      long handle, BlockDevice device, long offset, int length, WritableByteChannel channel)
      throws IOException {
    if (!device.transfersDirectly()) {
      return false;
    }
    lock.lock();
    try {
      room(CHUNK_HEADER_BYTES + 8);
      putReadHeader(out, handle, offset, length);
      flushLocked();
      for (long done = 0; done < length; ) {
        long count = device.transferTo(offset + done, length - done, channel);
        if (count <= 0) {
          // the header is out: only an end of the connection can tell the client
          throw new IOException("the disk ended in the middle of a reply");
        }
        done += count;
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Sends extents as {@code base:allocation} wants them: pairs of length and flags. */
  void status(long handle, int contextId, ByteBuffer extents) throws IOException {
    lock.lock();
    try {
      room(CHUNK_HEADER_BYTES + 4 + extents.remaining());
      putHeader(out, handle, CHUNK_BLOCK_STATUS, 4 + extents.remaining());
      out.putInt(contextId).put(extents);
    } finally {
      lock.unlock();
    }
  }
}
