package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;

/** A disk that can only be read. */
interface ReadOnlyDisk extends Disk {
  @Override
  default boolean readOnly() {
    return true;
  }

  private IOException refused() {
    return new IOException(name() + " can only be read");
  }

  @Override
  default void write(long offset, ByteBuffer source) throws IOException {
    throw refused();
  }

  @Override
  default void flush() {}

  @Override
  default void punch(long offset, long length) throws IOException {
    throw refused();
  }

  @Override
  default void zero(long offset, long length) throws IOException {
    throw refused();
  }

  @Override
  default void resize(long newSizeBytes) throws IOException {
    throw refused();
  }
}
