package io.anillo.vmm.device.disk;

import io.anillo.vmm.host.HolePuncher;
import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A disk whose bytes are those of a file, or of a host's block device.
 *
 * <p>A writable disk holds an exclusive lock on its file and a read-only one a shared lock, so that
 * nobody writes what another uses. The file stays sparse: discarded and zeroed ranges become holes
 * where the file system knows them.
 */
public final class RawFileDisk implements BlockBackend {
  /**
   * Piece in which bytes pass between Java arrays and the file: bounds the JDK's copy outside the
   * heap.
   */
  private static final int PIECE_BYTES = 1 << 20;

  private static final ByteBuffer ZEROS = ByteBuffer.allocateDirect(1 << 16).asReadOnlyBuffer();

  private final Path file;
  private final FileChannel channel;
  private final FileClaims claim;
  private final boolean readOnly;
  private final @Nullable HolePuncher holes;
  private final long sizeBytes;

  private RawFileDisk(Path file, FileChannel channel, FileClaims claim, boolean readOnly)
      throws IOException {
    this.file = file;
    this.channel = channel;
    this.claim = claim;
    this.readOnly = readOnly;
    this.sizeBytes = channel.size();
    this.holes = readOnly ? null : new HolePuncher(file.toAbsolutePath());
  }

  /**
   * Opens an existing file as a disk.
   *
   * @throws IOException with a sentence that names the file, when it does not exist, may not be
   *     opened or is in use
   */
  public static RawFileDisk open(Path file, boolean readOnly) throws IOException {
    if (Files.isDirectory(file)) {
      throw new IOException("disk '" + file + "' is a directory");
    }
    if (!Files.exists(file)) {
      throw new IOException("disk '" + file + "' does not exist");
    }
    FileClaims claim = FileClaims.claim(file, readOnly);
    if (claim == null) {
      throw inUse(file);
    }
    try {
      FileChannel channel = openChannel(file, readOnly);
      try {
        lock(file, channel, claim, readOnly);
        return new RawFileDisk(file, channel, claim, readOnly);
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
    } catch (IOException | RuntimeException e) {
      claim.release();
      throw e;
    }
  }

  private static FileChannel openChannel(Path file, boolean readOnly) throws IOException {
    try {
      return readOnly
          ? FileChannel.open(file, StandardOpenOption.READ)
          : FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
    } catch (AccessDeniedException e) {
      throw new IOException(
          "disk '"
              + file
              + "' may not be "
              + (readOnly ? "read" : "written; open it read-only or change its rights"),
          e);
    }
  }

  /** Takes the operating system's lock, which the channel holds until it is closed. */
  private static void lock(Path file, FileChannel channel, FileClaims claim, boolean readOnly)
      throws IOException {
    if (claim.first() && channel.tryLock(0, Long.MAX_VALUE, readOnly) == null) {
      throw inUse(file);
    }
  }

  private static IOException inUse(Path file) {
    return new IOException(
        "disk '" + file + "' is in use by another machine; stop it, or use a copy");
  }

  /**
   * Makes an empty sparse file for a disk.
   *
   * @throws IOException when the file exists already or cannot be made
   */
  public static void create(Path file, long sizeBytes) throws IOException {
    if (sizeBytes <= 0) {
      throw new IllegalArgumentException("a disk of " + sizeBytes + " bytes");
    }
    Set<StandardOpenOption> options =
        Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.SPARSE);
    try (FileChannel channel = FileChannel.open(file, options)) {
      channel.write(ByteBuffer.allocate(1), sizeBytes - 1);
    } catch (FileAlreadyExistsException e) {
      throw new IOException("disk '" + file + "' exists already", e);
    }
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    check(offset, destination.remaining());
    int limit = destination.limit();
    long at = offset;
    while (destination.position() < limit) {
      destination.limit(Math.min(limit, destination.position() + PIECE_BYTES));
      int count = channel.read(destination, at);
      if (count < 0) {
        throw new IOException(
            "disk '" + file + "' has become shorter than " + sizeBytes + " bytes");
      }
      at += count;
    }
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    check(offset, source.remaining());
    checkWritable();
    int limit = source.limit();
    long at = offset;
    while (source.position() < limit) {
      source.limit(Math.min(limit, source.position() + PIECE_BYTES));
      at += channel.write(source, at);
    }
  }

  @Override
  public void flush() throws IOException {
    if (!readOnly) {
      channel.force(false);
    }
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    check(offset, length);
    checkWritable();
    if (holes != null) {
      // Only a hint: where the file system has no holes, the bytes stay.
      holes.punch(offset, length);
    }
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    check(offset, length);
    checkWritable();
    if (mayUnmap && holes != null && holes.punch(offset, length)) {
      return;
    }
    long at = offset;
    while (at < offset + length) {
      ByteBuffer zeros = ZEROS.duplicate();
      zeros.limit((int) Math.min(zeros.capacity(), offset + length - at));
      at += channel.write(zeros, at);
    }
  }

  private void check(long offset, long length) throws IOException {
    if (offset < 0 || length < 0 || offset > sizeBytes || length > sizeBytes - offset) {
      throw new IOException(
          "request for "
              + length
              + " bytes at "
              + offset
              + " is beyond the "
              + sizeBytes
              + " bytes of disk '"
              + file
              + "'");
    }
  }

  private void checkWritable() throws IOException {
    if (readOnly) {
      throw new IOException("disk '" + file + "' is open for reading only");
    }
  }

  @Override
  public void close() throws IOException {
    if (channel.isOpen()) {
      if (holes != null) {
        holes.close();
      }
      channel.close();
      claim.release();
    }
  }
}
