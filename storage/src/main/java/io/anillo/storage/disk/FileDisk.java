package io.anillo.storage.disk;

import com.sun.nio.file.ExtendedOpenOption;
import io.anillo.storage.host.FileDescriptor;
import io.anillo.storage.lock.RangeLocks;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A file or block device of the host. Hot: watched by {@code anillo bench storage}. */
public final class FileDisk implements Disk {
  private static final int ZERO_CHUNK_BYTES = 1 << 20;
  private static final int DIRECT_ALIGNMENT = 4096;

  private final Path path;
  private final FileChannel channel;
  private final @Nullable FileDescriptor descriptor;
  private final boolean readOnly;
  private final boolean regular;
  private final boolean direct;

  /**
   * Aligned blocks that are being changed, for direct files alone: a write of part of a block
   * writes the whole of it, and a write past the end may cut off again what it added. Whoever moves
   * the end holds everything from there on.
   */
  private final RangeLocks changing = new RangeLocks();

  private FileDisk(
      Path path,
      FileChannel channel,
      @Nullable FileDescriptor descriptor,
      boolean readOnly,
      boolean direct) {
    this.path = path;
    this.channel = channel;
    this.descriptor = descriptor;
    this.readOnly = readOnly;
    this.regular = Files.isRegularFile(path);
    this.direct = direct;
  }

  /** How a file is opened. */
  public enum Mode {
    READ_ONLY,
    READ_WRITE,
    /** Past the host's page cache. Buffers that are not aligned are copied. */
    READ_WRITE_DIRECT,
    READ_ONLY_DIRECT;

    boolean readsOnly() {
      return this == READ_ONLY || this == READ_ONLY_DIRECT;
    }

    boolean bypassesCache() {
      return this == READ_WRITE_DIRECT || this == READ_ONLY_DIRECT;
    }
  }

  /**
   * Opens an existing file or device and locks it: one writer or many readers, across processes.
   *
   * @throws IOException when it is absent, not permitted or in use
   */
  public static FileDisk open(Path path, Mode mode) throws IOException {
    Set<OpenOption> options = new HashSet<>();
    options.add(StandardOpenOption.READ);
    if (!mode.readsOnly()) {
      options.add(StandardOpenOption.WRITE);
    }
    if (mode.bypassesCache()) {
      options.add(ExtendedOpenOption.DIRECT);
    }
    if (Files.isDirectory(path)) {
      throw new IOException(path + " is a directory, not a disk");
    }
    FileChannel channel;
    try {
      channel = FileChannel.open(path, options);
    } catch (NoSuchFileException absent) {
      throw new IOException(path + " does not exist", absent);
    } catch (java.nio.file.AccessDeniedException denied) {
      throw new IOException(path + " may not be opened: permission denied", denied);
    }
    FileDescriptor descriptor = FileDescriptor.open(path, mode.readsOnly());
    if (descriptor != null && !descriptor.lock(!mode.readsOnly())) {
      descriptor.close();
      channel.close();
      throw new IOException(path + " is in use already; stop what uses it first");
    }
    return new FileDisk(path, channel, descriptor, mode.readsOnly(), mode.bypassesCache());
  }

  /** Opens an existing file or device for a look without a lock: someone may be writing to it. */
  public static FileDisk peek(Path path) throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
    return new FileDisk(path, channel, null, true, false);
  }

  /** Creates a sparse file of the given size, which must not exist yet, and opens it. */
  public static FileDisk create(Path path, long sizeBytes) throws IOException {
    try (FileChannel created =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      if (sizeBytes > 0) {
        created.write(ByteBuffer.allocate(1), sizeBytes - 1);
        created.truncate(sizeBytes);
      }
    } catch (java.nio.file.FileAlreadyExistsException exists) {
      throw new IOException(path + " already exists", exists);
    } catch (NoSuchFileException absent) {
      throw new IOException("there is no folder " + path.getParent() + " to make " + path, absent);
    }
    return open(path, Mode.READ_WRITE);
  }

  @Override
  public String name() {
    return path.toString();
  }

  public Path path() {
    return path;
  }

  @Override
  public long sizeBytes() throws IOException {
    return channel.size();
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    if (direct && !aligned(offset, destination)) {
      readAligned(offset, destination);
      return;
    }
    long at = offset;
    while (destination.hasRemaining()) {
      int count = channel.read(destination, at);
      if (count < 0) {
        throw new EOFException(path + " ends before byte " + (at + destination.remaining()));
      }
      at += count;
    }
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    if (!direct) {
      writeHeld(offset, source);
      return;
    }
    try (RangeLocks.Range held = hold(offset, source.remaining())) {
      writeHeld(offset, source);
    }
  }

  private void writeHeld(long offset, ByteBuffer source) throws IOException {
    if (direct && !aligned(offset, source)) {
      writeAligned(offset, source);
      return;
    }
    long at = offset;
    while (source.hasRemaining()) {
      at += channel.write(source, at);
    }
  }

  private RangeLocks.Range hold(long offset, long length) throws IOException {
    long end = offset + length;
    long blocksEnd = (end + DIRECT_ALIGNMENT - 1) / DIRECT_ALIGNMENT;
    boolean inside = blocksEnd * DIRECT_ALIGNMENT <= channel.size();
    return changing.acquire(
        offset / DIRECT_ALIGNMENT, inside ? Math.max(0, blocksEnd - 1) : Long.MAX_VALUE);
  }

  private static boolean aligned(long offset, ByteBuffer buffer) {
    return buffer.isDirect()
        && offset % DIRECT_ALIGNMENT == 0
        && buffer.remaining() % DIRECT_ALIGNMENT == 0
        && buffer.alignmentOffset(buffer.position(), DIRECT_ALIGNMENT) == 0;
  }

  private static ByteBuffer alignedBuffer(int length) {
    return ByteBuffer.allocateDirect(length + DIRECT_ALIGNMENT)
        .alignedSlice(DIRECT_ALIGNMENT)
        .limit(length);
  }

  private void readAligned(long offset, ByteBuffer destination) throws IOException {
    long start = offset & -DIRECT_ALIGNMENT;
    int before = (int) (offset - start);
    int wanted = destination.remaining();
    ByteBuffer bounce = alignedBuffer(roundUp(before + wanted));
    long at = start;
    while (bounce.position() < before + wanted) {
      int count = channel.read(bounce, at);
      if (count <= 0) {
        throw new EOFException(path + " ends before byte " + (offset + wanted));
      }
      at += count;
      if (bounce.position() < before + wanted && count % DIRECT_ALIGNMENT != 0) {
        throw new EOFException(path + " ends before byte " + (offset + wanted));
      }
    }
    destination.put(bounce.position(before).limit(before + wanted));
  }

  private void writeAligned(long offset, ByteBuffer source) throws IOException {
    long start = offset & -DIRECT_ALIGNMENT;
    int before = (int) (offset - start);
    int length = source.remaining();
    long size = channel.size();
    ByteBuffer bounce = alignedBuffer(roundUp(before + length));
    int present = (int) Math.max(0, Math.min(bounce.limit(), size - start));
    if (present > 0) {
      ByteBuffer old = bounce.duplicate().limit(bounce.limit());
      long at = start;
      while (old.position() < present) {
        int count = channel.read(old, at);
        if (count <= 0) {
          break;
        }
        at += count;
      }
    }
    bounce.position(before).put(source).position(0).limit(roundUp(before + length));
    long at = start;
    while (bounce.hasRemaining()) {
      at += channel.write(bounce, at);
    }
    long end = Math.max(size, offset + length);
    if (regular && channel.size() > end) {
      channel.truncate(end);
    }
  }

  private static int roundUp(int length) {
    return (length + DIRECT_ALIGNMENT - 1) & -DIRECT_ALIGNMENT;
  }

  @Override
  public void flush() throws IOException {
    channel.force(false);
  }

  @Override
  public void punch(long offset, long length) throws IOException {
    clear(offset, length, true);
  }

  @Override
  public void zero(long offset, long length) throws IOException {
    clear(offset, length, false);
  }

  private void clear(long offset, long length, boolean giveBack) throws IOException {
    if (length <= 0) {
      return;
    }
    if (!direct) {
      clearHeld(offset, length, giveBack);
      return;
    }
    try (RangeLocks.Range held = hold(offset, length)) {
      clearHeld(offset, length, giveBack);
    }
  }

  private void clearHeld(long offset, long length, boolean giveBack) throws IOException {
    FileDescriptor calls = descriptor;
    boolean cleared =
        calls != null
            && (giveBack ? calls.punchHole(offset, length) : calls.zeroRange(offset, length));
    if (!cleared) {
      writeZeros(offset, length);
    }
  }

  private void writeZeros(long offset, long length) throws IOException {
    ByteBuffer zeros = alignedBuffer((int) Math.min(length, ZERO_CHUNK_BYTES));
    int chunk = zeros.limit();
    for (long done = 0; done < length; ) {
      int count = (int) Math.min(length - done, chunk);
      zeros.clear().limit(count);
      writeHeld(offset + done, zeros);
      done += count;
    }
  }

  @Override
  public void resize(long sizeBytes) throws IOException {
    try (RangeLocks.Range held = changing.acquire(0, Long.MAX_VALUE)) {
      resizeHeld(sizeBytes);
    }
  }

  private void resizeHeld(long sizeBytes) throws IOException {
    long size = channel.size();
    if (size == sizeBytes) {
      return;
    }
    if (!regular) {
      if (sizeBytes > size) {
        throw new IOException(path + " is a device of " + size + " bytes and cannot grow");
      }
      return;
    }
    if (sizeBytes < size) {
      channel.truncate(sizeBytes);
    } else {
      ByteBuffer last = direct ? alignedBuffer(DIRECT_ALIGNMENT) : ByteBuffer.allocate(1);
      if (direct) {
        channel.write(last, (sizeBytes + DIRECT_ALIGNMENT - 1) / DIRECT_ALIGNMENT * 4096);
      } else {
        channel.write(last, sizeBytes - 1);
      }
      channel.truncate(sizeBytes);
    }
  }

  @Override
  public long nextData(long offset) throws IOException {
    if (descriptor == null || !regular) {
      return offset;
    }
    long found = descriptor.nextData(offset);
    return found < 0 ? sizeBytes() : found;
  }

  @Override
  public long nextHole(long offset) throws IOException {
    if (descriptor == null || !regular) {
      return sizeBytes();
    }
    long found = descriptor.nextHole(offset);
    return found < 0 ? sizeBytes() : found;
  }

  @Override
  public boolean transfersDirectly() {
    return !direct;
  }

  @Override
  public long transferTo(long offset, long length, WritableByteChannel target) throws IOException {
    return direct ? 0 : channel.transferTo(offset, length, target);
  }

  @Override
  public void close() throws IOException {
    if (descriptor != null) {
      descriptor.close();
    }
    channel.close();
  }
}
