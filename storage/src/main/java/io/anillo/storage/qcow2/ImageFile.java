package io.anillo.storage.qcow2;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * The file that holds an image: reads beyond its end give zeros, as the format allows. Whoever
 * moves the end holds {@link #end}: writers beyond it share it, so that {@link #extendTo} never
 * sets a size that one of them has just passed, which would cut off what was written.
 */
final class ImageFile {
  final Disk disk;
  private final ReentrantReadWriteLock end = new ReentrantReadWriteLock();

  /** The file is at least this long. */
  private volatile long sizeBytes;

  ImageFile(Disk disk) throws IOException {
    this.disk = disk;
    this.sizeBytes = disk.sizeBytes();
  }

  String name() {
    return disk.name();
  }

  long sizeBytes() {
    return sizeBytes;
  }

  void read(long offset, ByteBuffer destination) throws IOException {
    long missing = offset + destination.remaining() - sizeBytes;
    if (missing <= 0) {
      disk.read(offset, destination);
      return;
    }
    // another writer may have made the file longer than we remember
    refreshSize();
    int limit = destination.limit();
    int present = (int) Math.max(0, Math.min(destination.remaining(), sizeBytes - offset));
    destination.limit(destination.position() + present);
    disk.read(offset, destination);
    destination.limit(limit);
    while (destination.hasRemaining()) {
      destination.put((byte) 0);
    }
  }

  void write(long offset, ByteBuffer source) throws IOException {
    if (offset + source.remaining() <= sizeBytes) {
      disk.write(offset, source);
      return;
    }
    end.readLock().lock();
    try {
      disk.write(offset, source);
      refreshSize();
    } finally {
      end.readLock().unlock();
    }
  }

  private synchronized void refreshSize() throws IOException {
    sizeBytes = Math.max(sizeBytes, disk.sizeBytes());
  }

  /** Makes the file reach at least this far. */
  void extendTo(long bytes) throws IOException {
    end.writeLock().lock();
    try {
      refreshSize();
      if (bytes > sizeBytes) {
        disk.resize(bytes);
        sizeBytes = bytes;
      }
    } finally {
      end.writeLock().unlock();
    }
  }

  void flush() throws IOException {
    disk.flush();
  }

  /** Reads big-endian 64-bit words. */
  long[] readWords(long offset, int count) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocateDirect(count * 8);
    read(offset, bytes);
    long[] words = new long[count];
    bytes.flip().asLongBuffer().get(words);
    return words;
  }

  static ByteBuffer words(long[] words) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(words.length * 8);
    bytes.asLongBuffer().put(words);
    return bytes;
  }

  void writeWords(long offset, long[] words) throws IOException {
    write(offset, words(words));
  }
}
