package io.anillo.storage.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/**
 * A disk with the promises of real hardware and no others. A write is durable only once a {@link
 * #flush()} that began after it returned has itself returned; until then a power cut may keep it,
 * lose it, or keep any of its sectors. Everything Anillo stores, data and metadata alike, goes
 * through this interface, so that tests can cut the power at any write.
 *
 * <p>Offsets and lengths are bytes. Calls may come from several threads at once.
 */
public interface Disk extends AutoCloseable {
  /** The unit that a power cut never tears, in bytes. */
  int SECTOR_BYTES = 512;

  /** What messages call this disk, usually a path. */
  String name();

  long sizeBytes() throws IOException;

  boolean readOnly();

  /** Fills the buffer from its position to its limit; a range beyond the end is an error. */
  void read(long offset, ByteBuffer destination) throws IOException;

  /** Writes the buffer from its position to its limit; a file grows, a device refuses. */
  void write(long offset, ByteBuffer source) throws IOException;

  void flush() throws IOException;

  /** Makes a range read as zeros, giving its space back if it can. */
  void punch(long offset, long length) throws IOException;

  /** Makes a range read as zeros and keeps it allocated if it can. */
  void zero(long offset, long length) throws IOException;

  /**
   * Sets the size; what is added reads as zeros. A device can only keep its size. Nobody may write
   * beyond the smaller of the old and the new size meanwhile: it could be cut off.
   */
  void resize(long sizeBytes) throws IOException;

  /** The first byte at or after an offset that may hold data, or the size when none does. */
  default long nextData(long offset) throws IOException {
    return offset;
  }

  /** The first byte at or after an offset that is a hole, or the size when none is. */
  default long nextHole(long offset) throws IOException {
    return sizeBytes();
  }

  /** Whether {@link #transferTo} ever sends anything. */
  default boolean transfersDirectly() {
    return false;
  }

  /**
   * Sends a range to a channel without a copy through this process where the host can.
   *
   * @return the bytes sent; 0 when the caller has to read and write them instead
   */
  default long transferTo(long offset, long length, WritableByteChannel target) throws IOException {
    return 0;
  }

  @Override
  void close() throws IOException;
}
