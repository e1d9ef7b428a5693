package io.anillo.storage.pool;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Metadata changes since the last checkpoint, appended to the journal area of up to three disks. A
 * record is 32 bytes of header and its payload, padded to 4 KiB:
 *
 * <pre>
 *  0  magic "AJRN"      4  payload length     8  era of the checkpoint it follows
 * 16  sequence         24  CRC32C of everything but this field    28  zero
 * </pre>
 */
final class Journal {
  private static final int MAGIC = 0x414a524e;
  private static final int HEADER_BYTES = 32;
  private static final int ALIGNMENT = 4096;
  private static final int COPIES = 3;

  private long era;
  private long sequence;
  private long position;

  /** Begins anew after a checkpoint. */
  void reset(long newEra, long nextSequence) {
    era = newEra;
    sequence = nextSequence;
    position = 0;
  }

  long nextSequence() {
    return sequence;
  }

  boolean fits(int payloadBytes) {
    return position + padded(payloadBytes) <= DiskLabel.JOURNAL_BYTES;
  }

  private static int padded(int payloadBytes) {
    return (HEADER_BYTES + payloadBytes + ALIGNMENT - 1) & -ALIGNMENT;
  }

  /** The disks that take records: the first three that are in use. */
  static List<PoolDisk> disksFor(Iterable<PoolDisk> disks) {
    List<PoolDisk> chosen = new ArrayList<>();
    for (PoolDisk disk : disks) {
      if (disk.usable() && chosen.size() < COPIES) {
        chosen.add(disk);
      }
    }
    return chosen;
  }

  /** The next record, ready to be written at {@link #offset()}. */
  ByteBuffer record(ByteBuffer payload) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(padded(payload.remaining()));
    bytes.putInt(MAGIC).putInt(payload.remaining()).putLong(era).putLong(sequence).putLong(0);
    bytes.put(payload.duplicate());
    bytes.putInt(24, DiskLabel.crc(bytes.duplicate().clear()));
    return bytes.clear();
  }

  long offset() {
    return DiskLabel.JOURNAL_OFFSET + position;
  }

  void advance(ByteBuffer record) {
    position += record.capacity();
    sequence++;
  }

  /** Reads the next record from whichever disk has it whole; empty at the end. */
  Optional<ByteBuffer> readNext(Iterable<PoolDisk> disks) {
    for (PoolDisk disk : disks) {
      if (!disk.present()) {
        continue;
      }
      try {
        Optional<ByteBuffer> payload = readFrom(disk);
        if (payload.isPresent()) {
          position += padded(payload.get().remaining());
          sequence++;
          return payload;
        }
      } catch (IOException unreadable) {
        // another disk has a copy
        disk.ioErrors.increment();
      }
    }
    return Optional.empty();
  }

  private Optional<ByteBuffer> readFrom(PoolDisk disk) throws IOException {
    long left = DiskLabel.JOURNAL_BYTES - position;
    if (left < ALIGNMENT) {
      return Optional.empty();
    }
    ByteBuffer head = ByteBuffer.allocateDirect(ALIGNMENT);
    disk.disk().read(offset(), head);
    head.clear();
    int length = head.getInt(4);
    if (head.getInt(0) != MAGIC
        || length < 0
        || length > left - HEADER_BYTES
        || padded(length) > left
        || head.getLong(8) != era
        || head.getLong(16) != sequence) {
      return Optional.empty();
    }
    ByteBuffer whole = ByteBuffer.allocateDirect(padded(length));
    disk.disk().read(offset(), whole);
    whole.clear();
    int crc = whole.getInt(24);
    whole.putInt(24, 0);
    if (crc != DiskLabel.crc(whole.duplicate())) {
      return Optional.empty();
    }
    ByteBuffer payload = ByteBuffer.allocate(length);
    payload.put(whole.position(HEADER_BYTES).limit(HEADER_BYTES + length));
    return Optional.of(payload.flip());
  }
}
