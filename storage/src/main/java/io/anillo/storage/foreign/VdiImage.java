package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * VirtualBox's format, version 1.1: a header of 512 bytes, a table with a 32-bit number for each
 * block, the blocks (VirtualBox {@code VDICore.h}).
 */
final class VdiImage extends MappedImage {
  private static final int HEADER_BYTES = 512;
  private static final int DYNAMIC = 1;
  private static final int FIXED = 2;
  private static final int UNALLOCATED = 0xffffffff;
  private static final int DISCARDED = 0xfffffffe;

  private final Disk disk;
  private final ByteBuffer table;
  private final long dataOffset;
  private final long blockBytes;
  private final long blockStride;

  private VdiImage(
      Disk disk,
      long sizeBytes,
      ByteBuffer table,
      long dataOffset,
      long blockBytes,
      long blockStride) {
    super(sizeBytes);
    this.disk = disk;
    this.table = table;
    this.dataOffset = dataOffset;
    this.blockBytes = blockBytes;
    this.blockStride = blockStride;
    own(disk);
  }

  static VdiImage open(Disk disk) throws IOException {
    ByteBuffer header = readPart(disk, 0, HEADER_BYTES, ByteOrder.LITTLE_ENDIAN, "its header");
    int version = header.getInt(68);
    if (version >>> 16 != 1) {
      throw unsupported(
          disk, "has VDI version " + (version >>> 16) + ", of which nothing is known");
    }
    int type = header.getInt(76);
    if (type != DYNAMIC && type != FIXED) {
      throw unsupported(disk, "is a VDI image of type " + type + "; only whole disks can be read");
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
    return new VdiImage(disk, size, table, data + extra, block, block + extra);
  }

  @Override
  Run find(long offset, long length) {
    int index = (int) (offset / blockBytes);
    long within = offset % blockBytes;
    int entry = table.getInt(4 * index);
    long run = blockBytes - within;
    if (entry == UNALLOCATED || entry == DISCARDED) {
      return new Run.Zeros(run);
    }
    return new Run.Stored(
        run, disk, dataOffset + Integer.toUnsignedLong(entry) * blockStride + within);
  }
}
