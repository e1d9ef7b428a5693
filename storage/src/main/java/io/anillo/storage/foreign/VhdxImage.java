package io.anillo.storage.foreign;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.foreign.ForeignImages.ParentOpener;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** Hyper-V's second format (Microsoft's [MS-VHDX], "Virtual Hard Disk v2"). Little-endian. */
final class VhdxImage extends MappedImage {
  private static final long[] HEADERS = {64 << 10, 128 << 10};
  private static final long[] REGION_TABLES = {192 << 10, 256 << 10};
  private static final int HEADER_BYTES = 4096;
  private static final int REGION_TABLE_BYTES = 64 << 10;
  private static final int METADATA_TABLE_BYTES = 64 << 10;
  private static final int HEAD = 0x64616568;
  private static final int REGI = 0x69676572;
  private static final long METADATA_SIGNATURE = 0x617461646174656dL;

  private static final UUID TABLE = UUID.fromString("2dc27766-f623-4200-9d64-115e9bfd4a08");
  private static final UUID METADATA = UUID.fromString("8b7ca206-4790-4b9a-b8fe-575f050f886e");
  private static final UUID PARAMETERS = UUID.fromString("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
  private static final UUID DISK_SIZE = UUID.fromString("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
  private static final UUID LOGICAL_SECTOR =
      UUID.fromString("8141bf1d-a96f-4709-ba47-f233a8faab5f");

  private static final UUID PARENT_LOCATOR =
      UUID.fromString("a8d35f2d-b30b-454d-abf7-d3d84834ab0c");
  private static final UUID VHDX_LOCATOR = UUID.fromString("b04aefb7-d19e-4a81-b789-25b8e9445913");
  private static final int MAX_ITEM_BYTES = 1 << 20;

  private static final int STATE_NOT_PRESENT = 0;
  private static final int STATE_FULLY_PRESENT = 6;
  private static final int STATE_PARTIALLY_PRESENT = 7;

  private final Disk disk;
  private final ByteBuffer table;
  private final long blockBytes;
  private final int sectorBytes;

  /** After so many blocks the table has an entry for a bitmap of their sectors. */
  private final long chunkRatio;

  /** Names the contents; whoever builds on them remembers it. */
  private final UUID dataGuid;

  private final @Nullable BlockDevice parent;

  private VhdxImage(
      Disk disk, Geometry geometry, ByteBuffer table, UUID dataGuid, @Nullable BlockDevice parent) {
    super(geometry.size);
    this.disk = disk;
    this.table = table;
    this.blockBytes = geometry.block;
    this.sectorBytes = geometry.sector;
    this.chunkRatio = geometry.ratio();
    this.dataGuid = dataGuid;
    this.parent = parent;
    own(disk);
    if (parent != null) {
      own(parent);
    }
  }

  /** Sizes in bytes. */
  private record Geometry(long size, long block, int sector) {
    long ratio() {
      return ((long) sector << 23) / block;
    }

    long blocks() {
      return (size + block - 1) / block;
    }
  }

  private record Region(long offset, long length) {}

  static VhdxImage open(Disk file, ParentOpener parents) throws IOException {
    ByteBuffer header = newestHeader(file);
    boolean clean = header.getLong(48) == 0 && header.getLong(56) == 0;
    Disk disk = clean ? file : VhdxLog.replay(file, header);
    Map<UUID, Region> regions = regions(disk);
    Region metadata = regions.get(METADATA);
    Region blocks = regions.get(TABLE);
    if (metadata == null || blocks == null) {
      throw damaged(disk, "it has no metadata or no block table");
    }
    Map<UUID, ByteBuffer> items = items(disk, metadata);
    ByteBuffer parameters = item(disk, items, PARAMETERS, 8);
    long block = Integer.toUnsignedLong(parameters.getInt(0));
    boolean differencing = (parameters.getInt(4) & 2) != 0;
    long size = item(disk, items, DISK_SIZE, 8).getLong(0);
    int sector = item(disk, items, LOGICAL_SECTOR, 4).getInt(0);
    if (block < 1 << 20 || block > 256 << 20 || Long.bitCount(block) != 1) {
      throw damaged(disk, "blocks of " + block + " bytes");
    }
    if (size <= 0 || size > 64L << 40 || (sector != 512 && sector != 4096)) {
      throw damaged(disk, "a disk of " + size + " bytes in sectors of " + sector);
    }
    Geometry geometry = new Geometry(size, block, sector);
    long ratio = geometry.ratio();
    long count = geometry.blocks();
    // a differencing disk has the last chunk's bitmap too
    long entries =
        differencing ? (count + ratio - 1) / ratio * (ratio + 1) : count + (count - 1) / ratio;
    if (entries * 8 > blocks.length) {
      throw damaged(disk, "its block table is too small");
    }
    ByteBuffer table =
        readPart(disk, blocks.offset, entries * 8, ByteOrder.LITTLE_ENDIAN, "its block table");
    BlockDevice parent =
        differencing ? openParent(disk, item(disk, items, PARENT_LOCATOR, 20), parents) : null;
    return new VhdxImage(disk, geometry, table, guid(header, 32), parent);
  }

  private static BlockDevice openParent(Disk disk, ByteBuffer locator, ParentOpener parents)
      throws IOException {
    if (!guid(locator, 0).equals(VHDX_LOCATOR)) {
      throw unsupported(disk, "builds on an image that it names in an unknown way");
    }
    Map<String, String> values = new HashMap<>();
    int count = locator.getShort(18) & 0xffff;
    for (int i = 0; i < count && 20 + 12 * (i + 1) <= locator.limit(); i++) {
      int at = 20 + 12 * i;
      values.put(
          text(disk, locator, locator.getInt(at), locator.getShort(at + 8) & 0xffff),
          text(disk, locator, locator.getInt(at + 4), locator.getShort(at + 10) & 0xffff));
    }
    String name =
        values.getOrDefault("relative_path", values.getOrDefault("absolute_win32_path", ""));
    BlockDevice parent = parents.open(besides(disk, name));
    String linkage = values.getOrDefault("parent_linkage", "").replaceAll("[{}]", "");
    if (!(parent instanceof VhdxImage image)
        || !image.dataGuid.toString().equalsIgnoreCase(linkage)) {
      parent.close();
      throw damaged(disk, "the image it builds on (" + name + ") was changed since, or is another");
    }
    return parent;
  }

  private static String text(Disk disk, ByteBuffer bytes, int offset, int length)
      throws IOException {
    if (offset < 0 || offset > bytes.limit() - length) {
      throw damaged(disk, "its parent locator reaches beyond its end");
    }
    byte[] text = new byte[length];
    bytes.get(offset, text);
    return new String(text, StandardCharsets.UTF_16LE);
  }

  private static boolean checksum(ByteBuffer bytes) {
    int stored = bytes.getInt(4);
    ByteBuffer copy = ByteBuffer.allocate(bytes.limit()).put(bytes.duplicate().clear());
    CRC32C crc = new CRC32C();
    crc.update(copy.putInt(4, 0).flip());
    return (int) crc.getValue() == stored;
  }

  private static ByteBuffer newestHeader(Disk disk) throws IOException {
    ByteBuffer newest = null;
    for (long offset : HEADERS) {
      ByteBuffer header =
          readPart(disk, offset, HEADER_BYTES, ByteOrder.LITTLE_ENDIAN, "its header");
      boolean valid = header.getInt(0) == HEAD && checksum(header);
      if (valid && (newest == null || header.getLong(8) > newest.getLong(8))) {
        newest = header;
      }
    }
    if (newest == null) {
      throw damaged(disk, "neither of its headers is valid");
    }
    if (newest.getShort(66) != 1) {
      throw unsupported(disk, "has VHDX version " + newest.getShort(66) + ", which is not known");
    }
    return newest;
  }

  private static UUID guid(ByteBuffer bytes, int at) {
    long high =
        Integer.toUnsignedLong(bytes.getInt(at)) << 32
            | (bytes.getShort(at + 4) & 0xffffL) << 16
            | (bytes.getShort(at + 6) & 0xffffL);
    return new UUID(high, Long.reverseBytes(bytes.getLong(at + 8)));
  }

  private static Map<UUID, Region> regions(Disk disk) throws IOException {
    for (long offset : REGION_TABLES) {
      ByteBuffer bytes =
          readPart(disk, offset, REGION_TABLE_BYTES, ByteOrder.LITTLE_ENDIAN, "its region table");
      int count = bytes.getInt(8);
      if (bytes.getInt(0) != REGI || !checksum(bytes) || count < 0 || count > 2047) {
        continue;
      }
      Map<UUID, Region> regions = new HashMap<>();
      for (int i = 0; i < count; i++) {
        int at = 16 + 32 * i;
        UUID guid = guid(bytes, at);
        if (!guid.equals(TABLE) && !guid.equals(METADATA) && (bytes.getInt(at + 28) & 1) != 0) {
          throw unsupported(disk, "needs a region that is not known: " + guid);
        }
        long length = Integer.toUnsignedLong(bytes.getInt(at + 24));
        regions.put(guid, new Region(bytes.getLong(at + 16), length));
      }
      return regions;
    }
    throw damaged(disk, "neither of its region tables is valid");
  }

  private static Map<UUID, ByteBuffer> items(Disk disk, Region metadata) throws IOException {
    ByteBuffer table =
        readPart(
            disk, metadata.offset, METADATA_TABLE_BYTES, ByteOrder.LITTLE_ENDIAN, "its metadata");
    int count = table.getShort(10) & 0xffff;
    if (table.getLong(0) != METADATA_SIGNATURE || count > 2047) {
      throw damaged(disk, "its metadata table is none");
    }
    Map<UUID, ByteBuffer> items = new HashMap<>();
    for (int i = 0; i < count; i++) {
      int at = 32 + 32 * i;
      long offset = Integer.toUnsignedLong(table.getInt(at + 16));
      long length = Integer.toUnsignedLong(table.getInt(at + 20));
      if (length <= MAX_ITEM_BYTES && guid(table, at).equals(PARENT_LOCATOR) || length <= 64) {
        items.put(
            guid(table, at),
            readPart(
                disk, metadata.offset + offset, length, ByteOrder.LITTLE_ENDIAN, "its metadata"));
      }
    }
    return items;
  }

  private static ByteBuffer item(Disk disk, Map<UUID, ByteBuffer> items, UUID guid, int bytes)
      throws IOException {
    @Nullable ByteBuffer item = items.get(guid);
    if (item == null || item.limit() < bytes) {
      throw damaged(disk, "its metadata lacks " + guid);
    }
    return item;
  }

  @Override
  Run find(long offset, long length) throws IOException {
    long block = offset / blockBytes;
    long within = offset % blockBytes;
    long entry = table.getLong((int) (8 * (block + block / chunkRatio)));
    int state = (int) (entry & 7);
    long run = blockBytes - within;
    BlockDevice below = parent;
    if (state == STATE_FULLY_PRESENT) {
      return new Run.Stored(run, disk, (entry & ~0xfffffL) + within);
    }
    if (state == STATE_PARTIALLY_PRESENT) {
      if (below == null) {
        throw damaged(disk, "a block is partly present although there is no parent");
      }
      return findInBitmap(block, within, (entry & ~0xfffffL) + within, below);
    }
    if (state == STATE_NOT_PRESENT && below != null) {
      return new Run.Inherited(run, below, offset);
    }
    return new Run.Zeros(run);
  }

  /** Sectors of a partly present block: those with a one in the chunk's bitmap are here. */
  private Run findInBitmap(long block, long within, long stored, BlockDevice below)
      throws IOException {
    long chunk = block / chunkRatio;
    long entry = table.getLong((int) (8 * (chunk * (chunkRatio + 1) + chunkRatio)));
    if ((entry & 7) != STATE_FULLY_PRESENT) {
      throw damaged(disk, "a block is partly present and has no bitmap");
    }
    long firstSector = block % chunkRatio * (blockBytes / sectorBytes);
    int bytes = (int) (blockBytes / sectorBytes / 8);
    ByteBuffer bitmap =
        readPart(
            disk,
            (entry & ~0xfffffL) + firstSector / 8,
            bytes,
            ByteOrder.LITTLE_ENDIAN,
            "a bitmap");
    int sector = (int) (within / sectorBytes);
    int end = sector + 1;
    boolean here = bit(bitmap, sector);
    while (end < bytes * 8 && bit(bitmap, end) == here) {
      end++;
    }
    long run = (long) end * sectorBytes - within;
    return here
        ? new Run.Stored(run, disk, stored)
        : new Run.Inherited(run, below, block * blockBytes + within);
  }

  private static boolean bit(ByteBuffer bitmap, int index) {
    return (bitmap.get(index >> 3) >> (index & 7) & 1) != 0;
  }
}
