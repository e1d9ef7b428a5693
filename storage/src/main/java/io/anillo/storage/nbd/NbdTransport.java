package io.anillo.storage.nbd;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.channels.WritableByteChannel;
import org.jspecify.annotations.Nullable;

/** The two directions of a connection; one thread reads while others, in turn, write. */
interface NbdTransport extends AutoCloseable {
  /** Reads at least one byte; an orderly end is an {@link EOFException}. */
  void read(ByteBuffer target) throws IOException;

  /** Writes all that remains in the buffers. */
  void write(ByteBuffer... sources) throws IOException;

  /**
   * Looks for bytes again and again without sleeping. No other thread may use the connection
   * meanwhile.
   *
   * @return false if there were none for so long, or this connection has no such way
   */
  default boolean look(ByteBuffer target, long nanos) throws IOException {
    return false;
  }

  /** The channel that bytes may be sent to directly, if there is one. */
  default @Nullable WritableByteChannel directChannel() {
    return null;
  }

  default void readFully(ByteBuffer target) throws IOException {
    while (target.hasRemaining()) {
      read(target);
    }
  }

  @Override
  void close() throws IOException;

  /** A connection without encryption. */
  record Plain(SocketChannel channel) implements NbdTransport {
    @Override
    public void read(ByteBuffer target) throws IOException {
      if (channel.read(target) < 0) {
        throw new EOFException("the connection has ended");
      }
    }

    @Override
    public boolean look(ByteBuffer target, long nanos) throws IOException {
      channel.configureBlocking(false);
      try {
        long begin = System.nanoTime();
        do {
          int count = channel.read(target);
          if (count < 0) {
            throw new EOFException("the connection has ended");
          }
          if (count > 0) {
            return true;
          }
          // whoever is to send the request may want this very processor
          Thread.yield();
        } while (System.nanoTime() - begin < nanos);
        return false;
      } finally {
        if (channel.isOpen()) {
          channel.configureBlocking(true);
        }
      }
    }

    @Override
    public void write(ByteBuffer... sources) throws IOException {
      if (sources.length == 1) {
        while (sources[0].hasRemaining()) {
          channel.write(sources[0]);
        }
        return;
      }
      long left = 0;
      for (ByteBuffer source : sources) {
        left += source.remaining();
      }
      while (left > 0) {
        left -= channel.write(sources);
      }
    }

    @Override
    public WritableByteChannel directChannel() {
      return channel;
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }
}
