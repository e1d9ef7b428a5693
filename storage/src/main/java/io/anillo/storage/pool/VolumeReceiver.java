package io.anillo.storage.pool;

import io.anillo.storage.pool.VolumeSender.Origin;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;

/** Reads what {@link VolumeSender} wrote. Nothing of it counts until its end has been checked. */
final class VolumeReceiver {
  private final CheckedInputStream checked;
  private final DataInputStream in;

  /**
   * What the stream begins with.
   *
   * @param from the snapshot that the receiver must have, if it does not hold everything
   */
  record Header(long sizeBytes, int blockBytes, Origin to, Optional<Origin> from) {}

  VolumeReceiver(InputStream source) {
    checked = new CheckedInputStream(new BufferedInputStream(source, 1 << 18), new CRC32C());
    in = new DataInputStream(checked);
  }

  private static IOException cutShort(EOFException end) {
    return new IOException("the stream ends too early; nothing of it was taken", end);
  }

  Header header() throws IOException {
    try {
      if (in.readLong() != VolumeSender.MAGIC) {
        throw new IOException("this is no stream of a sent volume");
      }
      int version = in.readInt();
      if (version != VolumeSender.VERSION) {
        throw new IOException("the stream has version " + version + "; only 1 is known");
      }
      long size = in.readLong();
      int block = in.readInt();
      Origin to = origin();
      Optional<Origin> from = in.readBoolean() ? Optional.of(origin()) : Optional.empty();
      if (size <= 0 || size % 512 != 0 || size > 1L << 50 || block <= 0) {
        throw new IOException("the stream describes an impossible volume");
      }
      PoolNames.requireValid(to.name());
      return new Header(size, block, to, from);
    } catch (EOFException end) {
      throw cutShort(end);
    } catch (IllegalArgumentException invalid) {
      throw new IOException(invalid.getMessage(), invalid);
    }
  }

  private Origin origin() throws IOException {
    return new Origin(in.readUTF(), in.readLong());
  }

  /** Writes the stream's contents to a volume, which has its size already, and checks them. */
  void contents(ThinVolume target) throws IOException {
    byte[] bytes = new byte[VolumeSender.MAX_DATA_BYTES];
    try {
      while (true) {
        byte kind = in.readByte();
        switch (kind) {
          case VolumeSender.DATA -> {
            long offset = in.readLong();
            int length = in.readInt();
            if (length <= 0 || length > bytes.length) {
              throw new IOException("the stream is damaged: a piece of " + length + " bytes");
            }
            in.readFully(bytes, 0, length);
            target.write(offset, ByteBuffer.wrap(bytes, 0, length));
          }
          case VolumeSender.ZEROS -> {
            long offset = in.readLong();
            target.writeZeroes(offset, in.readLong(), true);
          }
          case VolumeSender.END -> {
            int sum = (int) checked.getChecksum().getValue();
            if (in.readInt() != sum) {
              throw new IOException("the stream is damaged: its checksum is wrong");
            }
            return;
          }
          default -> throw new IOException("the stream is damaged: a piece of kind " + kind);
        }
      }
    } catch (EOFException end) {
      throw cutShort(end);
    }
  }
}
