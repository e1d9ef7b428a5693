package io.anillo.storage.pool;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * What is written once at the beginning of a pool's disk, twice over: which pool and which disk it
 * is, and how it is divided.
 */
record DiskLabel(UUID pool, UUID disk, int diskId, long slabBytes, int slabs) {
  static final long MAGIC = 0x414e494c4c4f504cL; // "ANILLOPL"
  static final int VERSION = 1;
  static final int LABEL_BYTES = 4096;
  static final int SUPERBLOCK_BYTES = 64 << 10;
  static final long SUPERBLOCK_OFFSET = 64 << 10;
  static final long JOURNAL_OFFSET = 256 << 10;
  static final long JOURNAL_BYTES = 4 << 20;
  static final long SLABS_OFFSET = JOURNAL_OFFSET + JOURNAL_BYTES;
  static final int MAX_SLABS = 1 << 22;
  static final long MAX_SLAB_BYTES = 1L << 30;

  static long superblockOffset(int slot) {
    return SUPERBLOCK_OFFSET + (long) slot * SUPERBLOCK_BYTES;
  }

  void write(Disk target) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocateDirect(LABEL_BYTES);
    bytes.putLong(MAGIC).putInt(VERSION).putInt(diskId);
    putUuid(bytes, pool);
    putUuid(bytes, disk);
    bytes.putLong(slabBytes).putInt(slabs);
    bytes.putInt(LABEL_BYTES - 4, crc(bytes.duplicate().clear().limit(LABEL_BYTES - 4)));
    target.write(0, bytes.clear());
    target.write(SUPERBLOCK_OFFSET / 2, bytes.clear());
  }

  /** Reads either copy; empty when the disk belongs to no pool. */
  static Optional<DiskLabel> read(Disk source) throws IOException {
    for (long offset : new long[] {0, SUPERBLOCK_OFFSET / 2}) {
      if (source.sizeBytes() < offset + LABEL_BYTES) {
        continue;
      }
      ByteBuffer bytes = ByteBuffer.allocateDirect(LABEL_BYTES);
      source.read(offset, bytes);
      bytes.clear();
      int crc = bytes.getInt(LABEL_BYTES - 4);
      if (bytes.getLong(0) != MAGIC || crc != crc(bytes.duplicate().limit(LABEL_BYTES - 4))) {
        continue;
      }
      if (bytes.getInt(8) != VERSION) {
        throw new IOException(
            source.name() + " has pool format " + bytes.getInt(8) + "; this is version 1");
      }
      bytes.position(12);
      int diskId = bytes.getInt();
      UUID pool = uuid(bytes);
      UUID disk = uuid(bytes);
      DiskLabel label = new DiskLabel(pool, disk, diskId, bytes.getLong(), bytes.getInt());
      label.requireFits(source);
      return Optional.of(label);
    }
    return Optional.empty();
  }

  private void requireFits(Disk source) throws IOException {
    boolean possible =
        slabBytes >= BlockPointer.UNIT_BYTES
            && slabBytes <= MAX_SLAB_BYTES
            && slabBytes % BlockPointer.UNIT_BYTES == 0
            && slabs >= 1
            && slabs <= MAX_SLABS;
    if (!possible) {
      throw new IOException(
          "the label of %s is damaged: %d slabs of %d bytes"
              .formatted(source.name(), slabs, slabBytes));
    }
    if (source.sizeBytes() < SLABS_OFFSET + slabs * slabBytes) {
      throw new IOException(
          "%s is shorter than its label says: %d slabs of %d bytes are no longer all there"
              .formatted(source.name(), slabs, slabBytes));
    }
  }

  static int crc(ByteBuffer bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    return (int) crc.getValue();
  }

  static void putUuid(ByteBuffer target, UUID uuid) {
    target.putLong(uuid.getMostSignificantBits()).putLong(uuid.getLeastSignificantBits());
  }

  static UUID uuid(ByteBuffer source) {
    return new UUID(source.getLong(), source.getLong());
  }
}
