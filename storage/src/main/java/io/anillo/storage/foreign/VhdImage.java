package io.anillo.storage.foreign;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.foreign.ForeignImages.ParentOpener;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Virtual PC's and Hyper-V's first format (Microsoft's "Virtual Hard Disk Image Format
 * Specification", version 1.0): fixed disks, dynamic ones with a table of blocks, and such that
 * build on another. Big-endian.
 */
final class VhdImage extends MappedImage {
  private static final int FOOTER_BYTES = 512;
  private static final int HEADER_BYTES = 1024;
  private static final int FIXED = 2;
  private static final int DYNAMIC = 3;
  private static final int DIFFERENCING = 4;
  private static final int SECTOR = 512;

  private final Disk disk;

  /** First sectors of blocks; empty for a fixed disk. */
  private final ByteBuffer table;

  private final long blockBytes;
  private final long bitmapBytes;

  /** Names the contents; whoever builds on them remembers it. */
  private final UUID identity;

  private final @Nullable BlockDevice parent;

  private VhdImage(
      Disk disk,
      ByteBuffer footer,
      ByteBuffer table,
      long blockBytes,
      long bitmapBytes,
      @Nullable BlockDevice parent) {
    super(footer.getLong(48));
    this.disk = disk;
    this.table = table;
    this.blockBytes = blockBytes;
    this.bitmapBytes = bitmapBytes;
    this.identity = new UUID(footer.getLong(68), footer.getLong(76));
    this.parent = parent;
    own(disk);
    if (parent != null) {
      own(parent);
    }
  }

  private static boolean startsWith(ByteBuffer bytes, String text) {
    byte[] wanted = text.getBytes(StandardCharsets.US_ASCII);
    byte[] found = new byte[wanted.length];
    bytes.get(0, found);
    return java.util.Arrays.equals(wanted, found);
  }

  static VhdImage open(Disk disk, ParentOpener parents) throws IOException {
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
      return new VhdImage(disk, footer, ByteBuffer.allocate(0), size, 0, null);
    }
    if (type != DYNAMIC && type != DIFFERENCING) {
      throw unsupported(disk, "is a VHD of type " + type + ", which is not known");
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
    BlockDevice parent = type == DIFFERENCING ? openParent(disk, header, parents) : null;
    return new VhdImage(disk, footer, table, block, bitmap, parent);
  }

  private static BlockDevice openParent(Disk disk, ByteBuffer header, ParentOpener parents)
      throws IOException {
    byte[] text = new byte[512];
    header.get(64, text);
    String name = new String(text, StandardCharsets.UTF_16BE);
    int end = name.indexOf(0);
    name = end < 0 ? name : name.substring(0, end);
    BlockDevice parent = parents.open(besides(disk, name));
    UUID wanted = new UUID(header.getLong(40), header.getLong(48));
    if (!(parent instanceof VhdImage image) || !image.identity.equals(wanted)) {
      parent.close();
      throw damaged(disk, "the image it builds on (" + name + ") is another than it was");
    }
    return parent;
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
  Run find(long offset, long length) throws IOException {
    if (table.limit() == 0) {
      return new Run.Stored(sizeBytes() - offset, disk, offset);
    }
    int index = (int) (offset / blockBytes);
    long within = offset % blockBytes;
    int entry = table.getInt(4 * index);
    BlockDevice below = parent;
    if (entry == -1) {
      return below == null
          ? new Run.Zeros(blockBytes - within)
          : new Run.Inherited(blockBytes - within, below, offset);
    }
    long block = Integer.toUnsignedLong(entry) * SECTOR + bitmapBytes;
    if (below == null) {
      return new Run.Stored(blockBytes - within, disk, block + within);
    }
    // sectors with a one in the bitmap before the block are here, the others in the parent
    ByteBuffer bitmap =
        readPart(disk, block - bitmapBytes, bitmapBytes, ByteOrder.BIG_ENDIAN, "a bitmap");
    int sector = (int) (within / SECTOR);
    boolean here = bit(bitmap, sector);
    int end = sector + 1;
    while (end < blockBytes / SECTOR && bit(bitmap, end) == here) {
      end++;
    }
    long run = (long) end * SECTOR - within;
    return here ? new Run.Stored(run, disk, block + within) : new Run.Inherited(run, below, offset);
  }

  private static boolean bit(ByteBuffer bitmap, int index) {
    return (bitmap.get(index >> 3) >> (7 - (index & 7)) & 1) != 0;
  }
}
