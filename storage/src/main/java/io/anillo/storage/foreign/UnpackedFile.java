package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * A packed file, unpacked to a temporary one for as long as it is read. A file that unpacks to more
 * than the folder for temporary files has room for is refused before that is full.
 */
final class UnpackedFile {
  private static final int CHUNK_BYTES = 1 << 20;

  /** What is left free for others, in bytes. */
  private static final long KEPT_FREE = 1L << 30;

  private UnpackedFile() {}

  static Disk gunzip(String title, Disk packed) throws IOException {
    Path file = Files.createTempFile("anillo-unpacked", ".disk");
    try {
      long size = 0;
      try (InputStream in =
              new GZIPInputStream(new BufferedInputStream(new DiskStream(packed), CHUNK_BYTES));
          FileChannel out = FileChannel.open(file, StandardOpenOption.WRITE)) {
        size = copy(title, in, out, Files.getFileStore(file));
      } catch (ZipException | EOFException damaged) {
        throw new IOException(
            "%s cannot be unpacked: %s".formatted(title, damaged.getMessage()), damaged);
      }
      return new DiskWindow(title, FileDisk.open(file, FileDisk.Mode.READ_ONLY), 0, size);
    } finally {
      // open files stay readable without a name, and vanish when they are closed
      Files.delete(file);
    }
  }

  private static long copy(String title, InputStream in, FileChannel out, FileStore store)
      throws IOException {
    byte[] chunk = new byte[CHUNK_BYTES];
    long at = 0;
    while (true) {
      int count = in.readNBytes(chunk, 0, chunk.length);
      if (count == 0) {
        return at;
      }
      if (store.getUsableSpace() < KEPT_FREE) {
        throw new IOException(
            "%s unpacks to more than %d MiB, for which the folder for temporary files has no room"
                .formatted(title, at >> 20));
      }
      ByteBuffer bytes = ByteBuffer.wrap(chunk, 0, count);
      while (bytes.hasRemaining()) {
        out.write(bytes, at + bytes.position());
      }
      at += count;
    }
  }

  /** A disk from its beginning to its end. */
  private static final class DiskStream extends InputStream {
    private final Disk disk;
    private long at;

    DiskStream(Disk disk) {
      this.disk = disk;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int count = (int) Math.min(length, disk.sizeBytes() - at);
      if (count <= 0) {
        return length == 0 ? 0 : -1;
      }
      disk.read(at, ByteBuffer.wrap(target, offset, count));
      at += count;
      return count;
    }

    @Override
    public int available() throws IOException {
      return (int) Math.min(Integer.MAX_VALUE, disk.sizeBytes() - at);
    }
  }
}
