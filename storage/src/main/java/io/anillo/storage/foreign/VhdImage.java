package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Virtual PC's and Hyper-V's first format (Microsoft's "Virtual Hard Disk Image Format
 * Specification", version 1.0): fixed disks, and dynamic ones with a table of blocks. Big-endian.
 */
final class VhdImage extends MappedImage {
  private static final int FOOTER_BYTES = 512;
  private static final int HEADER_BYTES = 1024;
  private static final int FIXED = 2;
  private static final int DYNAMIC = 3;
  private static final int SECTOR = 512;

  private final Disk disk;

  /** First sectors of blocks; empty for a fixed disk. */
  private final ByteBuffer table;

  private final long blockBytes;
  private final long bitmapBytes;

  private VhdImage(Disk disk, long sizeBytes, ByteBuffer table, long blockBytes, long bitmapBytes) {
    super(sizeBytes);
    this.disk = disk;
    this.table = table;
    this.blockBytes = blockBytes;
    this.bitmapBytes = bitmapBytes;
    own(disk);
  }

  private static boolean startsWith(ByteBuffer bytes, String text) {
    byte[] wanted = text.getBytes(StandardCharsets.US_ASCII);
    byte[] found = new byte[wanted.length];
    bytes.get(0, found);
    return java.util.Arrays.equals(wanted, found);
  }

  static VhdImage open(Disk disk) throws IOException {
    ByteBuffer footer = footer(disk);
    long size = footer.getLong(48);
    int type = footer.getInt(60);
    if (size <= 0) {
      throw damaged(disk, "a disk of " + size + " bytes");
    }
    if (type == FIXED) {
      if (size > disk.sizeBytes() - FOOTER_BYTES) {
        throw damaged(disk, "it is shorter than its disk");
      }
      return new VhdImage(disk, size, ByteBuffer.allocate(0), size, 0);
    }
    if (type != DYNAMIC) {
      throw unsupported(disk, "builds on another image (VHD type " + type + "): merge them first");
    }
    ByteBuffer header =
        readPart(disk, footer.getLong(16), HEADER_BYTES, ByteOrder.BIG_ENDIAN, "its header");
    if (!startsWith(header, "cxsparse")) {
      throw damaged(disk, "its dynamic header is none");
    }
    requireChecksum(disk, header, 36);
    long entries = Integer.toUnsignedLong(header.getInt(28));
    long block = Integer.toUnsignedLong(header.getInt(32));
    if (block < SECTOR || Long.bitCount(block) != 1) {
      throw damaged(disk, "blocks of " + block + " bytes");
    }
    if ((size + block - 1) / block > entries) {
      throw damaged(disk, "a disk of " + size + " bytes in " + entries + " blocks");
    }
    ByteBuffer table =
        readPart(disk, header.getLong(16), 4 * entries, ByteOrder.BIG_ENDIAN, "its block table");
    long bitmap = (block / SECTOR / 8 + SECTOR - 1) / SECTOR * SECTOR;
    return new VhdImage(disk, size, table, block, bitmap);
  }

  /** The footer, or the copy of it at the beginning that dynamic disks have. */
  private static ByteBuffer footer(Disk disk) throws IOException {
    long last = disk.sizeBytes() - FOOTER_BYTES;
    ByteBuffer footer = readPart(disk, last, FOOTER_BYTES, ByteOrder.BIG_ENDIAN, "its footer");
    if (!startsWith(footer, "conectix")) {
      footer = readPart(disk, 0, FOOTER_BYTES, ByteOrder.BIG_ENDIAN, "its footer");
    }
    if (!startsWith(footer, "conectix")) {
      throw damaged(disk, "it has no footer");
    }
    requireChecksum(disk, footer, 64);
    return footer;
  }

  private static void requireChecksum(Disk disk, ByteBuffer bytes, int place) throws IOException {
    int sum = 0;
    for (int i = 0; i < bytes.limit(); i++) {
      sum += i >= place && i < place + 4 ? 0 : bytes.get(i) & 0xff;
    }
    if (bytes.getInt(place) != ~sum) {
      throw damaged(disk, "the checksum of its header is wrong");
    }
  }

  @Override
  Run find(long offset, long length) {
    if (table.limit() == 0) {
      return new Run.Stored(sizeBytes() - offset, disk, offset);
    }
    int index = (int) (offset / blockBytes);
    long within = offset % blockBytes;
    int entry = table.getInt(4 * index);
    if (entry == -1) {
      return new Run.Zeros(blockBytes - within);
    }
    long block = Integer.toUnsignedLong(entry) * SECTOR + bitmapBytes;
    return new Run.Stored(blockBytes - within, disk, block + within);
  }
}
