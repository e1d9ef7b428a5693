package io.anillo.vmm.port;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * A disk as the virtual machine monitor sees it: an array of bytes with flush.
 *
 * <p>All calls may block and are made from threads that may block (virtual threads); several calls
 * may be under way at once. Offsets and lengths are in bytes and need not be aligned to anything. A
 * request that reaches beyond {@link #sizeBytes()} fails with an {@link IOException} and changes
 * nothing. Overlapping concurrent writes have no defined order, as on a real disk.
 */
public interface BlockBackend extends AutoCloseable {

  /**
   * Size in bytes. May grow while the backend is open; never read as a promise for the next call.
   */
  long sizeBytes();

  /**
   * The unit in bytes below which writes cost a read-modify-write; a power of two, at least 512.
   */
  default int preferredBlockBytes() {
    return 4096;
  }

  boolean readOnly();

  /** Fills {@code destination} from its position to its limit with the bytes at {@code offset}. */
  void read(long offset, ByteBuffer destination) throws IOException;

  /** Writes {@code source} from its position to its limit. Durable only after {@link #flush()}. */
  void write(long offset, ByteBuffer source) throws IOException;

  /** Returns when every write that had returned before this call began is durable. */
  void flush() throws IOException;

  /**
   * Tells that the range's contents do not matter any more; reading it afterwards gives any bytes,
   * usually zeros.
   */
  default void discard(long offset, long length) throws IOException {}

  /**
   * Makes the range read as zeros.
   *
   * @param mayUnmap whether the space may be given back
   */
  void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException;

  @Override
  void close() throws IOException;
}
