package io.anillo.storage.foreign;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The log of a VHDX that was not closed cleanly ([MS-VHDX] §2.3): finds the newest sequence of
 * whole entries in the circular buffer and replays it into memory; the file stays as it is.
 */
final class VhdxLog {
  private static final int SECTOR = 4096;
  private static final int ENTRY_HEADER_BYTES = 64;
  private static final int DESCRIPTOR_BYTES = 32;
  private static final int LOGE = 0x65676f6c;
  private static final int ZERO = 0x6f72657a;
  private static final int DESC = 0x63736564;
  private static final int DATA = 0x61746164;
  private static final long MAX_LOG_BYTES = 16 << 20;
  private static final long MAX_FILE_BYTES = 128L << 40;

  private final Disk disk;

  /** The log, twice in a row, so that entries which wrap around lie in one piece. */
  private final ByteBuffer log;

  private final int length;
  private final long guidLow;
  private final long guidHigh;

  private VhdxLog(Disk disk, ByteBuffer once, long guidLow, long guidHigh) {
    this.disk = disk;
    this.length = once.limit();
    this.log = ByteBuffer.allocate(2 * length).put(once.duplicate()).put(once.duplicate()).flip();
    log.order(ByteOrder.LITTLE_ENDIAN);
    this.guidLow = guidLow;
    this.guidHigh = guidHigh;
  }

  /** An entry of which every part is whole. */
  private record Entry(int offset, int length, int tail, long sequence) {}

  /**
   * The file as it is after its log has been replayed.
   *
   * @param header the newest header, which says where the log is
   * @throws IOException when the log holds no whole sequence or the file was cut short
   */
  static Disk replay(Disk disk, ByteBuffer header) throws IOException {
    long length = Integer.toUnsignedLong(header.getInt(68));
    if (length == 0 || length % SECTOR != 0) {
      throw MappedImage.damaged(disk, "a log of " + length + " bytes");
    }
    if (length > MAX_LOG_BYTES) {
      throw MappedImage.unsupported(
          disk, "has a log of " + length + " bytes to replay; at most 16 MiB are");
    }
    ByteBuffer once =
        MappedImage.readPart(disk, header.getLong(72), length, ByteOrder.LITTLE_ENDIAN, "its log");
    return new VhdxLog(disk, once, header.getLong(48), header.getLong(56)).replay();
  }

  private Disk replay() throws IOException {
    List<Entry> active = activeSequence();
    if (active.isEmpty()) {
      throw MappedImage.damaged(disk, "its log has to be replayed and holds no whole entries");
    }
    long flushed = log.getLong(active.getLast().offset + 48);
    if (disk.sizeBytes() < flushed) {
      throw MappedImage.damaged(
          disk, "it had " + flushed + " bytes when its log was written and was cut short since");
    }
    OverlaidDisk overlaid = new OverlaidDisk(disk);
    for (Entry entry : active) {
      apply(entry, overlaid);
    }
    return overlaid;
  }

  private List<Entry> activeSequence() {
    Map<Integer, Entry> valid = new HashMap<>();
    for (int offset = 0; offset < length; offset += SECTOR) {
      Entry entry = entry(offset);
      if (entry != null) {
        valid.put(offset, entry);
      }
    }
    List<Entry> best = new ArrayList<>();
    for (Entry head : valid.values()) {
      // an entry is a head if everything from its tail up to it is there
      if (!best.isEmpty() && head.sequence <= best.getLast().sequence) {
        continue;
      }
      List<Entry> sequence = new ArrayList<>();
      Entry at = valid.get(head.tail);
      while (at != null && !at.equals(head) && sequence.size() <= valid.size()) {
        sequence.add(at);
        Entry next = valid.get((at.offset + at.length) % length);
        at = next != null && next.sequence == at.sequence + 1 ? next : null;
      }
      if (at != null && at.equals(head)) {
        sequence.add(head);
        best = sequence;
      }
    }
    return best;
  }

  /** Sectors that header and descriptors take. */
  private static int descriptorSectors(int count) {
    return (ENTRY_HEADER_BYTES + count * DESCRIPTOR_BYTES + SECTOR - 1) / SECTOR;
  }

  private @Nullable Entry entry(int offset) {
    if (log.getInt(offset) != LOGE) {
      return null;
    }
    long entryLength = Integer.toUnsignedLong(log.getInt(offset + 8));
    long tail = Integer.toUnsignedLong(log.getInt(offset + 12));
    long sequence = log.getLong(offset + 16);
    long count = Integer.toUnsignedLong(log.getInt(offset + 24));
    boolean plausible =
        entryLength >= SECTOR
            && entryLength <= length
            && entryLength % SECTOR == 0
            && tail < length
            && tail % SECTOR == 0
            && sequence > 0
            && count <= entryLength / DESCRIPTOR_BYTES
            && (long) descriptorSectors((int) count) * SECTOR <= entryLength
            && log.getLong(offset + 32) == guidLow
            && log.getLong(offset + 40) == guidHigh;
    if (!plausible || !checksum(offset, (int) entryLength)) {
      return null;
    }
    Entry entry = new Entry(offset, (int) entryLength, (int) tail, sequence);
    return descriptorsFit(entry, (int) count) ? entry : null;
  }

  private boolean checksum(int offset, int entryLength) {
    CRC32C crc = new CRC32C();
    crc.update(log.duplicate().position(offset).limit(offset + 4));
    crc.update(new byte[4]);
    crc.update(log.duplicate().limit(offset + entryLength).position(offset + 8));
    return (int) crc.getValue() == log.getInt(offset + 4);
  }

  private boolean descriptorsFit(Entry entry, int count) {
    int data = entry.offset + descriptorSectors(count) * SECTOR;
    for (int i = 0; i < count; i++) {
      int at = entry.offset + ENTRY_HEADER_BYTES + i * DESCRIPTOR_BYTES;
      long fileOffset = log.getLong(at + 16);
      if (log.getLong(at + 24) != entry.sequence
          || fileOffset < 0
          || fileOffset > MAX_FILE_BYTES
          || fileOffset % SECTOR != 0) {
        return false;
      }
      int signature = log.getInt(at);
      if (signature == ZERO) {
        long zeros = log.getLong(at + 8);
        if (zeros < 0 || zeros > MAX_FILE_BYTES || zeros % SECTOR != 0) {
          return false;
        }
      } else if (signature == DESC) {
        boolean whole =
            data + SECTOR <= entry.offset + entry.length
                && log.getInt(data) == DATA
                && Integer.toUnsignedLong(log.getInt(data + 4)) == entry.sequence >>> 32
                && log.getInt(data + SECTOR - 4) == (int) entry.sequence;
        if (!whole) {
          return false;
        }
        data += SECTOR;
      } else {
        return false;
      }
    }
    return true;
  }

  private void apply(Entry entry, OverlaidDisk target) {
    int count = log.getInt(entry.offset + 24);
    int data = entry.offset + descriptorSectors(count) * SECTOR;
    for (int i = 0; i < count; i++) {
      int at = entry.offset + ENTRY_HEADER_BYTES + i * DESCRIPTOR_BYTES;
      long fileOffset = log.getLong(at + 16);
      if (log.getInt(at) == ZERO) {
        long zeros = log.getLong(at + 8);
        if (zeros > 0) {
          target.putZeros(fileOffset, zeros);
        }
        continue;
      }
      // the first 8 and the last 4 bytes of a sector stand in its descriptor
      byte[] bytes = new byte[SECTOR];
      ByteBuffer sector = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      sector.putLong(log.getLong(at + 8));
      sector.put(log.duplicate().limit(data + SECTOR - 4).position(data + 8));
      sector.putInt(log.getInt(at + 4));
      target.put(fileOffset, bytes);
      data += SECTOR;
    }
    target.reach(Math.min(log.getLong(entry.offset + 56), MAX_FILE_BYTES));
  }
}
