package io.anillo.storage.block;

import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** A {@link BlockBackend} that also tells where its data lies and can change its size. */
public interface BlockDevice extends BlockBackend {

  /** Writes so that the data is durable on return (forced unit access). */
  default void writeThrough(long offset, ByteBuffer source) throws IOException {
    write(offset, source);
    flush();
  }

  /**
   * The run of equal allocation that begins at an offset.
   *
   * @param offset inside the device
   * @param length the most to look at, at least 1; the answer is never longer
   */
  default Extent status(long offset, long length) throws IOException {
    return Extent.data(length);
  }

  /** Changes the size; what is added reads as zeros, what is cut off is lost. */
  default void resize(long newSizeBytes) throws IOException {
    throw new IOException("this disk cannot change its size");
  }

  /** Hints that a range will be read soon. */
  default void prefetch(long offset, long length) throws IOException {}

  /** Whether {@link #transferTo} ever sends anything. */
  default boolean transfersDirectly() {
    return false;
  }

  /**
   * Sends a range straight to a channel if that is cheaper than reading it.
   *
   * @return bytes sent, 0 when the caller should read instead
   */
  default long transferTo(long offset, long length, WritableByteChannel target) throws IOException {
    return 0;
  }

  /** Throws unless the range lies inside the device. */
  default void requireInside(long offset, long length) throws IOException {
    long size = sizeBytes();
    if (offset < 0 || length < 0 || offset > size - length) {
      throw new IOException(
          "bytes %d to %d reach beyond the disk of %d bytes"
              .formatted(offset, offset + length, size));
    }
  }

  /** Throws unless the device may be written. */
  default void requireWritable() throws IOException {
    if (readOnly()) {
      throw new IOException("the disk is read-only");
    }
  }
}
