package io.anillo.storage.foreign;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.foreign.ForeignImages.ParentOpener;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * VirtualBox's format, version 1.1: a header of 512 bytes, a table with a 32-bit number for each
 * block, the blocks (VirtualBox {@code VDICore.h}).
 */
final class VdiImage extends MappedImage {
  private static final int HEADER_BYTES = 512;
  private static final int DYNAMIC = 1;
  private static final int FIXED = 2;
  private static final int DIFFERENCING = 4;
  private static final int MAX_NEIGHBOURS = 4096;

  /** Places of UUIDs in the header: its own, of its contents, and those of its parent. */
  private static final int IDENTITY = 392;

  private static final int CONTENTS = 408;
  private static final int PARENT_IDENTITY = 424;
  private static final int PARENT_CONTENTS = 440;

  private static final int UNALLOCATED = 0xffffffff;
  private static final int DISCARDED = 0xfffffffe;

  private final Disk disk;
  private final ByteBuffer table;
  private final long dataOffset;
  private final long blockBytes;
  private final long blockStride;
  private final @Nullable BlockDevice parent;

  private VdiImage(
      Disk disk,
      long sizeBytes,
      ByteBuffer table,
      long dataOffset,
      long blockBytes,
      long blockStride,
      @Nullable BlockDevice parent) {
    super(sizeBytes);
    this.disk = disk;
    this.table = table;
    this.dataOffset = dataOffset;
    this.blockBytes = blockBytes;
    this.blockStride = blockStride;
    this.parent = parent;
    own(disk);
    if (parent != null) {
      own(parent);
    }
  }

  static VdiImage open(Path path, Disk disk, ParentOpener parents) throws IOException {
    ByteBuffer header = readPart(disk, 0, HEADER_BYTES, ByteOrder.LITTLE_ENDIAN, "its header");
    int version = header.getInt(68);
    if (version >>> 16 != 1) {
      throw unsupported(
          disk, "has VDI version " + (version >>> 16) + ", of which nothing is known");
    }
    int type = header.getInt(76);
    if (type != DYNAMIC && type != FIXED && type != DIFFERENCING) {
      throw unsupported(disk, "is a VDI image of type " + type + ", which is not known");
    }
    long size = header.getLong(368);
    long block = Integer.toUnsignedLong(header.getInt(376));
    long extra = Integer.toUnsignedLong(header.getInt(380));
    long blocks = Integer.toUnsignedLong(header.getInt(384));
    if (block < 512 || Long.bitCount(block) != 1) {
      throw damaged(disk, "blocks of " + block + " bytes");
    }
    if (size < 0 || (size + block - 1) / block > blocks) {
      throw damaged(disk, "a disk of " + size + " bytes in " + blocks + " blocks");
    }
    ByteBuffer table =
        readPart(
            disk,
            Integer.toUnsignedLong(header.getInt(340)),
            4 * blocks,
            ByteOrder.LITTLE_ENDIAN,
            "its block table");
    long data = Integer.toUnsignedLong(header.getInt(344));
    BlockDevice parent = type == DIFFERENCING ? openParent(path, disk, header, parents) : null;
    return new VdiImage(disk, size, table, data + extra, block, block + extra, parent);
  }

  /** The parent is named by its identity alone: it is looked for among the images beside. */
  private static BlockDevice openParent(
      Path path, Disk disk, ByteBuffer header, ParentOpener parents) throws IOException {
    byte[] wanted = identity(header, PARENT_IDENTITY);
    byte[] contents = identity(header, PARENT_CONTENTS);
    Path folder = path.toAbsolutePath().getParent();
    if (folder != null) {
      try (DirectoryStream<Path> images = Files.newDirectoryStream(folder, "*.vdi")) {
        int looked = 0;
        for (Path image : images) {
          if (++looked > MAX_NEIGHBOURS) {
            break;
          }
          ByteBuffer other = headerOf(image);
          if (other == null || !Arrays.equals(wanted, identity(other, IDENTITY))) {
            continue;
          }
          byte[] present = identity(other, CONTENTS);
          if (!Arrays.equals(contents, new byte[16]) && !Arrays.equals(contents, present)) {
            throw damaged(disk, "the image it builds on (" + image + ") was changed since");
          }
          Path name = image.getFileName();
          return parents.open(String.valueOf(name));
        }
      }
    }
    throw unsupported(disk, "builds on another image, which is not beside it");
  }

  private static byte[] identity(ByteBuffer header, int at) {
    byte[] bytes = new byte[16];
    header.get(at, bytes);
    return bytes;
  }

  private static @Nullable ByteBuffer headerOf(Path image) {
    if (!Files.isRegularFile(image)) {
      return null;
    }
    try (FileDisk file = FileDisk.peek(image)) {
      return readPart(file, 0, HEADER_BYTES, ByteOrder.LITTLE_ENDIAN, "its header");
    } catch (IOException notReadable) {
      // not the one that is looked for, then
      return null;
    }
  }

  @Override
  Run find(long offset, long length) {
    int index = (int) (offset / blockBytes);
    long within = offset % blockBytes;
    int entry = table.getInt(4 * index);
    long run = blockBytes - within;
    BlockDevice below = parent;
    if (entry == UNALLOCATED && below != null) {
      return new Run.Inherited(run, below, offset);
    }
    if (entry == UNALLOCATED || entry == DISCARDED) {
      return new Run.Zeros(run);
    }
    return new Run.Stored(
        run, disk, dataOffset + Integer.toUnsignedLong(entry) * blockStride + within);
  }
}
