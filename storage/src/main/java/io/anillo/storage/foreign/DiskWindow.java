package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;

/** A part of a file as a disk for reading; closing it closes the file. */
record DiskWindow(String name, Disk file, long start, long sizeBytes) implements ReadOnlyDisk {
  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    if (offset < 0 || offset > sizeBytes - destination.remaining()) {
      throw new EOFException(name + " ends before byte " + (offset + destination.remaining()));
    }
    file.read(start + offset, destination);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
