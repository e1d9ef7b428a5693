package io.anillo.storage.pool;

import static io.anillo.storage.pool.BlockPointer.UNIT_BYTES;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import io.anillo.storage.block.BufferPool;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * What happens to a block between the guest and the disks: compression, then encryption. A
 * compressed block begins with its length in 4 bytes and is padded with zeros to whole units.
 */
final class BlockCodec {
  private static final int LEVEL = 1;

  private final int blockBytes;
  private final int granuleBytes;
  private final boolean compressed;
  private final Optional<VolumeCipher> cipher;

  BlockCodec(
      int blockBytes, Redundancy redundancy, boolean compressed, Optional<VolumeCipher> cipher) {
    this.blockBytes = blockBytes;
    this.granuleBytes = redundancy.granule() * UNIT_BYTES;
    this.compressed = compressed;
    this.cipher = cipher;
  }

  /** Whether blocks are stored as they are. */
  boolean plain() {
    return !compressed && cipher.isEmpty();
  }

  /**
   * A block's stored form.
   *
   * @param bytes from {@link BufferPool}, to be given back
   */
  record Encoded(ByteBuffer bytes, boolean compressed) {}

  Encoded encode(long block, ByteBuffer plain) throws IOException {
    ByteBuffer stored = BufferPool.take((int) Zstd.compressBound(blockBytes) + 4 + granuleBytes);
    boolean packed = false;
    if (compressed) {
      stored.position(4);
      int length = Zstd.compress(stored, plain.duplicate(), LEVEL);
      int padded = (4 + length + granuleBytes - 1) / granuleBytes * granuleBytes;
      if (padded < blockBytes) {
        stored.putInt(0, length);
        stored.limit(padded).position(4 + length);
        BufferPool.putZeros(stored);
        packed = true;
      }
    }
    if (!packed) {
      stored.clear().limit(blockBytes);
      stored.put(plain.duplicate());
    }
    stored.flip();
    if (cipher.isPresent()) {
      cipher.get().encrypt(block * (blockBytes / UNIT_BYTES), stored);
    }
    return new Encoded(stored, packed);
  }

  /** Turns a stored block, checked already, into the guest's bytes; both buffers are left at 0. */
  void decode(long block, ByteBuffer stored, boolean packed, ByteBuffer plain) throws IOException {
    if (cipher.isPresent()) {
      cipher.get().decrypt(block * (blockBytes / UNIT_BYTES), stored);
    }
    if (!packed) {
      plain.clear().put(stored.duplicate()).flip();
      return;
    }
    int length = stored.getInt(0);
    if (length < 0 || length > stored.limit() - 4) {
      throw new IOException("a compressed block has an impossible length");
    }
    try {
      plain.clear().limit(blockBytes);
      int count = Zstd.decompress(plain, stored.duplicate().position(4).limit(4 + length));
      if (count != blockBytes) {
        throw new IOException("a compressed block has the wrong length");
      }
      plain.flip();
    } catch (ZstdException bad) {
      throw new IOException("a compressed block cannot be read", bad);
    }
  }
}
