package io.anillo.storage.foreign;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import io.anillo.storage.block.Extent;
import io.anillo.storage.disk.Disk;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** An image for reading whose format maps runs of guest bytes to places in files. */
abstract class MappedImage implements BlockDevice {
  /** Tables longer than this are refused, so that a hostile header cannot take all memory. */
  static final long MAX_TABLE_BYTES = 64L << 20;

  private final List<AutoCloseable> owned = new ArrayList<>();
  private final long sizeBytes;

  MappedImage(long sizeBytes) {
    this.sizeBytes = sizeBytes;
  }

  /** How a run is stored. */
  sealed interface Run {
    long lengthBytes();

    /** Bytes of a file. */
    record Stored(long lengthBytes, Disk disk, long offset) implements Run {}

    /** Zeros; unstored if the format keeps nothing for them. */
    record Zeros(long lengthBytes) implements Run {}

    /** What another device holds at some place. */
    record Inherited(long lengthBytes, BlockDevice device, long offset) implements Run {}

    /** Bytes that had to be unpacked; the buffer's position is where the run begins. */
    record Unpacked(long lengthBytes, ByteBuffer bytes) implements Run {}
  }

  /**
   * Finds the run that begins at an offset.
   *
   * @param length the most that is wanted; longer answers are cut
   */
  abstract Run find(long offset, long length) throws IOException;

  /** Lets something be closed with this image. */
  final void own(AutoCloseable part) {
    owned.add(part);
  }

  @Override
  public final long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public final boolean readOnly() {
    return true;
  }

  @Override
  public final void read(long offset, ByteBuffer destination) throws IOException {
    requireInside(offset, destination.remaining());
    long at = offset;
    int end = destination.limit();
    while (destination.position() < end) {
      int wanted = end - destination.position();
      Run run = find(at, wanted);
      int count = (int) Math.min(wanted, run.lengthBytes());
      if (count <= 0) {
        throw new IOException("the image is damaged: it maps nothing at byte " + at);
      }
      destination.limit(destination.position() + count);
      switch (run) {
        case Run.Stored stored -> readStored(stored, destination);
        case Run.Zeros zeros -> BufferPool.putZeros(destination);
        case Run.Inherited inherited -> readInherited(inherited, destination);
        case Run.Unpacked unpacked -> {
          ByteBuffer bytes = unpacked.bytes().duplicate();
          destination.put(bytes.limit(bytes.position() + count));
        }
      }
      destination.limit(end);
      at += count;
    }
  }

  /** What a file does not have any more, its last block cut short, reads as zeros. */
  private static void readStored(Run.Stored run, ByteBuffer destination) throws IOException {
    long present = Math.max(0, run.disk().sizeBytes() - run.offset());
    int end = destination.limit();
    int count = (int) Math.min(destination.remaining(), present);
    if (count > 0) {
      run.disk().read(run.offset(), destination.limit(destination.position() + count));
    }
    destination.limit(end);
    BufferPool.putZeros(destination);
  }

  private static void readInherited(Run.Inherited run, ByteBuffer destination) throws IOException {
    long present = Math.max(0, run.device().sizeBytes() - run.offset());
    int end = destination.limit();
    int count = (int) Math.min(destination.remaining(), present);
    if (count > 0) {
      run.device().read(run.offset(), destination.limit(destination.position() + count));
    }
    destination.limit(end);
    BufferPool.putZeros(destination);
  }

  @Override
  public final Extent status(long offset, long length) throws IOException {
    requireInside(offset, length);
    Extent first = extent(find(offset, length), length);
    long total = first.lengthBytes();
    // joined, but not for ever: whoever asks wants an answer soon
    for (int i = 0; i < 4096 && total < length; i++) {
      Extent next = extent(find(offset + total, length - total), length - total);
      if (!next.sameKind(first)) {
        break;
      }
      total += next.lengthBytes();
    }
    return first.withLength(total);
  }

  private static Extent extent(Run run, long most) throws IOException {
    long length = Math.min(run.lengthBytes(), most);
    if (length <= 0) {
      throw new IOException("the image is damaged: it maps a run of no bytes");
    }
    return switch (run) {
      case Run.Stored stored -> Extent.data(length);
      case Run.Unpacked unpacked -> Extent.data(length);
      case Run.Zeros zeros -> Extent.hole(length);
      case Run.Inherited inherited -> {
        long inside = inherited.device().sizeBytes() - inherited.offset();
        yield inside <= 0
            ? Extent.hole(length)
            : inherited.device().status(inherited.offset(), Math.min(length, inside));
      }
    };
  }

  private static IOException readOnlyFormat() {
    return new IOException("the image is read-only; convert it to write to it");
  }

  @Override
  public final void write(long offset, ByteBuffer source) throws IOException {
    throw readOnlyFormat();
  }

  @Override
  public final void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    throw readOnlyFormat();
  }

  @Override
  public final void discard(long offset, long length) throws IOException {
    throw readOnlyFormat();
  }

  @Override
  public final void flush() {}

  @Override
  public final void close() throws IOException {
    for (AutoCloseable part : owned.reversed()) {
      try {
        part.close();
      } catch (IOException failure) {
        throw failure;
      } catch (Exception unexpected) {
        throw new IllegalStateException(unexpected);
      }
    }
  }

  /** Reads a structure, which has to be there whole. */
  static ByteBuffer readPart(Disk disk, long offset, long length, ByteOrder order, String what)
      throws IOException {
    if (length < 0 || length > MAX_TABLE_BYTES) {
      throw damaged(disk, what + " of " + length + " bytes is too large");
    }
    if (offset < 0 || offset > disk.sizeBytes() - length) {
      throw damaged(disk, what + " reaches beyond the end of the file");
    }
    ByteBuffer bytes = ByteBuffer.allocate((int) length);
    try {
      disk.read(offset, bytes);
    } catch (EOFException end) {
      throw damaged(disk, what + " reaches beyond the end of the file");
    }
    return bytes.flip().order(order);
  }

  /**
   * The file that a differencing image means: the one of that name beside it, wherever it lay where
   * the image was made.
   */
  static String besides(Disk disk, String name) throws IOException {
    String last = name.substring(1 + Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')));
    if (last.isEmpty() || last.equals(".") || last.equals("..")) {
      throw damaged(disk, "it builds on another image and does not name it");
    }
    return last;
  }

  static IOException damaged(Disk disk, String what) {
    return new IOException(disk.name() + " is damaged: " + what);
  }

  static IOException unsupported(Disk disk, String what) {
    return new IOException(disk.name() + " " + what);
  }
}
