package io.anillo.storage.qcow2;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * Compressed clusters (qcow2 specification, "Compressed Clusters Descriptor"): a byte offset and a
 * number of sectors, holding raw deflate or a zstd frame followed by anything.
 */
final class CompressedCluster {
  private CompressedCluster() {}

  static long hostOffset(long entry, int clusterBits) {
    return entry & ((1L << offsetBits(clusterBits)) - 1);
  }

  /** The bytes to read: up to the end of the last sector the descriptor names. */
  static int length(long entry, int clusterBits) {
    long offset = hostOffset(entry, clusterBits);
    int more = (int) ((entry & ~(3L << 62)) >>> offsetBits(clusterBits));
    return (more + 1) * 512 - (int) (offset & 511);
  }

  static long entry(long hostOffset, int length, int clusterBits) throws IOException {
    if (hostOffset >>> offsetBits(clusterBits) != 0) {
      throw new IOException("the image is too long for another compressed cluster");
    }
    long more = ((hostOffset + length - 1) >>> 9) - (hostOffset >>> 9);
    return ClusterMap.COMPRESSED | more << offsetBits(clusterBits) | hostOffset;
  }

  private static int offsetBits(int clusterBits) {
    return 62 - (clusterBits - 8);
  }

  static ByteBuffer read(ImageFile file, Qcow2Header header, long entry) throws IOException {
    ByteBuffer packed = ByteBuffer.allocateDirect(length(entry, header.clusterBits));
    long offset = hostOffset(entry, header.clusterBits);
    if (offset >= file.sizeBytes()) {
      throw Qcow2Header.damaged(
          file.name(), "a compressed cluster at " + offset + " lies beyond the end of the file");
    }
    file.read(offset, packed);
    packed.flip();
    ByteBuffer plain = ByteBuffer.allocateDirect(header.clusterBytes());
    if (header.compressionType == 1) {
      unpackZstd(file.name(), packed, plain);
    } else {
      inflate(file.name(), packed, plain);
    }
    return plain.clear();
  }

  private static void inflate(String name, ByteBuffer packed, ByteBuffer plain) throws IOException {
    Inflater inflater = new Inflater(true);
    try {
      inflater.setInput(packed);
      while (plain.hasRemaining()) {
        if (inflater.inflate(plain) == 0) {
          throw Qcow2Header.damaged(name, "a compressed cluster ends too early");
        }
      }
    } catch (DataFormatException bad) {
      throw new IOException(name + " is damaged: a compressed cluster cannot be read", bad);
    } finally {
      inflater.end();
    }
  }

  private static void unpackZstd(String name, ByteBuffer packed, ByteBuffer plain)
      throws IOException {
    // the frame's end is not stored: it is decoded as a stream that stops when the cluster is full
    try (var stream =
        new com.github.luben.zstd.ZstdDirectBufferDecompressingStreamNoFinalizer(packed)) {
      while (plain.hasRemaining()) {
        int before = plain.position();
        stream.read(plain);
        if (plain.position() == before) {
          throw Qcow2Header.damaged(name, "a compressed cluster ends too early");
        }
      }
    } catch (ZstdException bad) {
      throw new IOException(name + " is damaged: a compressed cluster cannot be read", bad);
    }
  }

  /** Compresses a whole cluster; null when that saves nothing. */
  static @Nullable ByteBuffer pack(Qcow2Header header, ByteBuffer plain) {
    int limit = header.clusterBytes() - 1;
    if (header.compressionType == 1) {
      ByteBuffer packed =
          ByteBuffer.allocateDirect((int) Zstd.compressBound(header.clusterBytes()));
      Zstd.compress(packed, plain.duplicate(), 3);
      packed.flip();
      return packed.limit() > limit ? null : packed;
    }
    Deflater deflater = new Deflater(Deflater.DEFAULT_COMPRESSION, true);
    try {
      deflater.setInput(plain.duplicate());
      deflater.finish();
      ByteBuffer packed = ByteBuffer.allocateDirect(limit);
      while (!deflater.finished()) {
        if (!packed.hasRemaining()) {
          return null;
        }
        deflater.deflate(packed);
      }
      return packed.flip();
    } finally {
      deflater.end();
    }
  }
}
