package io.anillo.storage.pool;

import io.anillo.storage.block.BufferPool;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;

/**
 * Writes a snapshot, or what it changed since an earlier one, as a stream that another pool
 * receives. The contents are those that a guest sees: neither compressed nor encrypted. Numbers are
 * big-endian:
 *
 * <pre>
 * header  magic "ANILSEND", version (4), volume's size (8), block bytes (4), snapshot's name,
 *         its creation time in ms (8), whether it builds on another (1), and if so the name and
 *         time of that one; names have a length in 2 bytes and are UTF-8
 * data    1, offset (8), length (4), bytes
 * zeros   2, offset (8), length (8)
 * end     3, CRC32C of everything up to and with the 3 (4)
 * </pre>
 */
final class VolumeSender {
  static final long MAGIC = 0x414e494c53454e44L;
  static final int VERSION = 1;
  static final byte DATA = 1;
  static final byte ZEROS = 2;
  static final byte END = 3;
  static final int MAX_DATA_BYTES = 1 << 20;

  private VolumeSender() {}

  /** A snapshot as both sides know it. */
  record Origin(String name, long createdMillis) {}

  static void send(
      Pool pool,
      ThinVolume contents,
      String volumeName,
      int blockBytes,
      Optional<Origin> from,
      Origin to,
      OutputStream target)
      throws IOException {
    CheckedOutputStream checked =
        new CheckedOutputStream(new BufferedOutputStream(target, 1 << 18), new CRC32C());
    DataOutputStream out = new DataOutputStream(checked);
    out.writeLong(MAGIC);
    out.writeInt(VERSION);
    out.writeLong(contents.sizeBytes());
    out.writeInt(blockBytes);
    write(to, out);
    out.writeBoolean(from.isPresent());
    if (from.isPresent()) {
      write(from.get(), out);
    }
    ByteBuffer buffer = BufferPool.take(MAX_DATA_BYTES);
    byte[] bytes = new byte[MAX_DATA_BYTES];
    try {
      pool.difference(
          volumeName,
          from.map(Origin::name),
          to.name(),
          (offset, length, stored) -> {
            if (!stored) {
              out.writeByte(ZEROS);
              out.writeLong(offset);
              out.writeLong(length);
              return;
            }
            for (long done = 0; done < length; ) {
              int count = (int) Math.min(MAX_DATA_BYTES, length - done);
              contents.read(offset + done, buffer.clear().limit(count));
              buffer.flip().get(bytes, 0, count);
              out.writeByte(DATA);
              out.writeLong(offset + done);
              out.writeInt(count);
              out.write(bytes, 0, count);
              done += count;
            }
          });
    } finally {
      BufferPool.give(buffer);
    }
    out.writeByte(END);
    out.writeInt((int) checked.getChecksum().getValue());
    out.flush();
  }

  private static void write(Origin origin, DataOutputStream out) throws IOException {
    out.writeUTF(origin.name());
    out.writeLong(origin.createdMillis());
  }
}
