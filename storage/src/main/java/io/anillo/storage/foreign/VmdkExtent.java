package io.anillo.storage.foreign;

import static io.anillo.storage.foreign.MappedImage.damaged;
import static io.anillo.storage.foreign.MappedImage.readPart;
import static io.anillo.storage.foreign.MappedImage.unsupported;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.foreign.MappedImage.Run;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * A sparse extent of a VMDK (VMware's "Virtual Disk Format 5.0", "Hosted Sparse Extents" and
 * "Stream-Optimized Compressed Sparse Extents"): a directory of tables of grains. Little-endian.
 */
final class VmdkExtent {
  private static final int MAGIC = 0x564d444b;
  private static final int HEADER_BYTES = 512;
  private static final int SECTOR = 512;
  private static final int FLAG_ZERO_GRAINS = 4;
  private static final int FLAG_COMPRESSED = 1 << 16;
  private static final long DIRECTORY_AT_END = -1;
  private static final int MAX_DESCRIPTOR_BYTES = 1 << 20;
  private static final int TABLES_KEPT = 1024;

  private final Disk disk;
  private final ByteBuffer header;
  private final boolean compressed;
  private final boolean zeroGrains;
  private final long capacityBytes;
  private final long grainBytes;
  private final int tableEntries;
  private final ByteBuffer directory;
  private final Map<Integer, ByteBuffer> tables =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, ByteBuffer> eldest) {
          return size() > TABLES_KEPT;
        }
      };

  private long unpackedGrain = -1;
  private ByteBuffer unpacked = ByteBuffer.allocate(0);

  VmdkExtent(Disk disk) throws IOException {
    this.disk = disk;
    ByteBuffer first = readPart(disk, 0, HEADER_BYTES, ByteOrder.LITTLE_ENDIAN, "its header");
    if (first.getInt(0) != MAGIC) {
      throw unsupported(disk, "is no sparse extent of a VMDK that can be read");
    }
    if (first.getLong(56) == DIRECTORY_AT_END) {
      // written as a stream, the header is repeated, complete, before the end marker
      first =
          readPart(
              disk,
              disk.sizeBytes() - 2 * HEADER_BYTES,
              HEADER_BYTES,
              ByteOrder.LITTLE_ENDIAN,
              "its footer");
      if (first.getInt(0) != MAGIC) {
        throw damaged(disk, "the stream was cut short: it has no footer");
      }
    }
    this.header = first;
    int version = header.getInt(4);
    int flags = header.getInt(8);
    if (version < 1 || version > 3) {
      throw unsupported(disk, "has VMDK version " + version + ", which is not known");
    }
    this.compressed = (flags & FLAG_COMPRESSED) != 0;
    this.zeroGrains = (flags & FLAG_ZERO_GRAINS) != 0;
    if (compressed && header.getShort(77) != 1) {
      throw unsupported(disk, "is compressed in a way that is not known");
    }
    long capacity = header.getLong(12);
    long grain = header.getLong(20);
    this.tableEntries = header.getInt(44);
    if (capacity < 0 || capacity > 1L << 42) {
      throw damaged(disk, "a disk of " + capacity + " sectors");
    }
    if (grain < 1 || grain > 1 << 15 || Long.bitCount(grain) != 1) {
      throw damaged(disk, "grains of " + grain + " sectors");
    }
    if (tableEntries < 1 || tableEntries > 1 << 16) {
      throw damaged(disk, "grain tables of " + tableEntries + " entries");
    }
    this.capacityBytes = capacity * SECTOR;
    this.grainBytes = grain * SECTOR;
    long grains = (capacity + grain - 1) / grain;
    long directoryEntries = (grains + tableEntries - 1) / tableEntries;
    this.directory =
        readPart(
            disk,
            sectorOffset(header.getLong(56)),
            4 * directoryEntries,
            ByteOrder.LITTLE_ENDIAN,
            "its grain directory");
  }

  private long sectorOffset(long sector) throws IOException {
    if (sector < 0 || sector > Long.MAX_VALUE / SECTOR) {
      throw damaged(disk, "it points to sector " + sector);
    }
    return sector * SECTOR;
  }

  long capacityBytes() {
    return capacityBytes;
  }

  /** How far it is from an offset to the end of its grain. */
  long toGrainEnd(long offset) {
    return Math.min(grainBytes - offset % grainBytes, capacityBytes - offset);
  }

  /** The descriptor inside, empty if there is none. */
  String descriptor() throws IOException {
    ByteBuffer first = readPart(disk, 0, HEADER_BYTES, ByteOrder.LITTLE_ENDIAN, "its header");
    long bytes = first.getLong(36) * SECTOR;
    if (first.getLong(28) <= 0 || bytes <= 0) {
      return "";
    }
    if (bytes > MAX_DESCRIPTOR_BYTES) {
      throw damaged(disk, "a descriptor of " + bytes + " bytes");
    }
    ByteBuffer text =
        readPart(
            disk,
            sectorOffset(first.getLong(28)),
            bytes,
            ByteOrder.LITTLE_ENDIAN,
            "its descriptor");
    String whole = StandardCharsets.UTF_8.decode(text).toString();
    int end = whole.indexOf('\0');
    return end < 0 ? whole : whole.substring(0, end);
  }

  /** Finds a run; null where nothing is stored. */
  synchronized @Nullable Run find(long offset) throws IOException {
    long grain = offset / grainBytes;
    long within = offset % grainBytes;
    long run = Math.min(grainBytes - within, capacityBytes - offset);
    int index = (int) (grain / tableEntries);
    ByteBuffer table = table(index);
    int entry = table == null ? 0 : table.getInt(4 * (int) (grain % tableEntries));
    if (entry == 0) {
      return null;
    }
    if (entry == 1 && zeroGrains) {
      return new Run.Zeros(run);
    }
    long place = Integer.toUnsignedLong(entry) * SECTOR;
    if (!compressed) {
      return new Run.Stored(run, disk, place + within);
    }
    if (unpackedGrain != place) {
      unpacked = unpack(place);
      unpackedGrain = place;
    }
    return new Run.Unpacked(run, unpacked.duplicate().position((int) within));
  }

  private @Nullable ByteBuffer table(int index) throws IOException {
    int sector = directory.getInt(4 * index);
    if (sector == 0) {
      return null;
    }
    ByteBuffer table = tables.get(index);
    if (table == null) {
      table =
          readPart(
              disk,
              Integer.toUnsignedLong(sector) * SECTOR,
              4L * tableEntries,
              ByteOrder.LITTLE_ENDIAN,
              "a grain table");
      tables.put(index, table);
    }
    return table;
  }

  private ByteBuffer unpack(long place) throws IOException {
    ByteBuffer marker = readPart(disk, place, 12, ByteOrder.LITTLE_ENDIAN, "a grain");
    long length = Integer.toUnsignedLong(marker.getInt(8));
    if (length > 2 * grainBytes + 4096) {
      throw damaged(disk, "a compressed grain of " + length + " bytes");
    }
    ByteBuffer packed =
        readPart(disk, place + 12, length, ByteOrder.LITTLE_ENDIAN, "a compressed grain");
    ByteBuffer plain = ByteBuffer.allocate((int) grainBytes);
    Inflater inflater = new Inflater();
    try {
      inflater.setInput(packed);
      while (plain.hasRemaining() && !inflater.finished()) {
        if (inflater.inflate(plain) == 0 && inflater.needsInput()) {
          throw damaged(disk, "a compressed grain ends too early");
        }
      }
    } catch (DataFormatException bad) {
      throw new IOException(disk.name() + " is damaged: a grain cannot be unpacked", bad);
    } finally {
      inflater.end();
    }
    return plain.clear();
  }
}
