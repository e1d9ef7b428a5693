package io.anillo.storage.image;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import io.anillo.storage.block.Extent;
import io.anillo.storage.qcow2.Qcow2Image;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.function.LongConsumer;

/** Copies, compares and merges the contents of block devices, passing over what is not stored. */
public final class ImageCopy {
  private static final int CHUNK_BYTES = 2 << 20;
  private static final int SPARSE_BYTES = 4096;

  private ImageCopy() {}

  /**
   * Copies everything from one device to another that reads as zeros.
   *
   * @param progress told the bytes done so far
   */
  public static void copy(BlockDevice source, BlockDevice target, LongConsumer progress)
      throws IOException {
    long size = source.sizeBytes();
    ByteBuffer buffer = BufferPool.take(CHUNK_BYTES);
    try {
      for (long at = 0; at < size; ) {
        Extent extent = source.status(at, size - at);
        long end = at + extent.lengthBytes();
        while (at < end && !extent.zero()) {
          int count = (int) Math.min(CHUNK_BYTES, end - at);
          source.read(at, buffer.clear().limit(count));
          writeSparse(target, at, buffer.flip());
          at += count;
          progress.accept(at);
        }
        at = end;
        progress.accept(at);
      }
    } finally {
      BufferPool.give(buffer);
    }
  }

  /** Writes what is not zero, in pieces of at least 4 KiB. */
  private static void writeSparse(BlockDevice target, long offset, ByteBuffer data)
      throws IOException {
    int length = data.limit();
    int at = 0;
    while (at < length) {
      while (at < length && isZero(data, at, Math.min(length, at + SPARSE_BYTES))) {
        at += SPARSE_BYTES;
      }
      int start = at;
      while (at < length && !isZero(data, at, Math.min(length, at + SPARSE_BYTES))) {
        at += SPARSE_BYTES;
      }
      if (start < length) {
        target.write(offset + start, data.limit(Math.min(at, length)).position(start));
        data.limit(length);
      }
    }
  }

  /** Whether a part of a buffer is all zeros. */
  public static boolean isZero(ByteBuffer data, int from, int to) {
    int at = from;
    for (; at + 8 <= to; at += 8) {
      if (data.getLong(at) != 0) {
        return false;
      }
    }
    for (; at < to; at++) {
      if (data.get(at) != 0) {
        return false;
      }
    }
    return true;
  }

  /** Like {@link #copy}, storing every cluster compressed. */
  public static void copyCompressed(BlockDevice source, Qcow2Image target, LongConsumer progress)
      throws IOException {
    long size = source.sizeBytes();
    int cluster = target.info().clusterBytes();
    ByteBuffer buffer = BufferPool.take(cluster);
    try {
      for (long at = 0; at < size; ) {
        Extent extent = source.status(at, size - at);
        if (extent.zero() && extent.lengthBytes() >= cluster) {
          at += extent.lengthBytes() / cluster * cluster;
          continue;
        }
        int count = (int) Math.min(cluster, size - at);
        source.read(at, buffer.clear().limit(count));
        BufferPool.putZeros(buffer.limit(cluster));
        buffer.flip();
        if (!isZero(buffer, 0, cluster)) {
          target.writeCompressed(at, buffer);
        }
        at += count;
        progress.accept(at);
      }
    } finally {
      BufferPool.give(buffer);
    }
  }

  /**
   * Finds the first difference; a longer device differs only by what is not zero.
   *
   * @return the offset of the first byte that differs, or -1
   */
  public static long firstDifference(BlockDevice one, BlockDevice other) throws IOException {
    long size = Math.max(one.sizeBytes(), other.sizeBytes());
    ByteBuffer first = BufferPool.take(CHUNK_BYTES);
    ByteBuffer second = BufferPool.take(CHUNK_BYTES);
    try {
      for (long at = 0; at < size; ) {
        long zeros = Math.min(zeroRun(one, at, size), zeroRun(other, at, size));
        if (zeros > 0) {
          at += zeros;
          continue;
        }
        int count = (int) Math.min(CHUNK_BYTES, size - at);
        readPadded(one, at, first.clear().limit(count));
        readPadded(other, at, second.clear().limit(count));
        int mismatch = first.flip().mismatch(second.flip());
        if (mismatch >= 0) {
          return at + mismatch;
        }
        at += count;
      }
      return -1;
    } finally {
      BufferPool.give(first);
      BufferPool.give(second);
    }
  }

  private static long zeroRun(BlockDevice device, long at, long size) throws IOException {
    long inside = device.sizeBytes() - at;
    if (inside <= 0) {
      return size - at;
    }
    Extent extent = device.status(at, inside);
    return extent.zero() ? extent.lengthBytes() : 0;
  }

  /** Reads, giving zeros beyond the end. */
  static void readPadded(BlockDevice device, long offset, ByteBuffer target) throws IOException {
    int end = target.limit();
    int inside = (int) Math.max(0, Math.min(target.remaining(), device.sizeBytes() - offset));
    target.limit(target.position() + inside);
    if (inside > 0) {
      device.read(offset, target);
    }
    target.limit(end);
    BufferPool.putZeros(target);
  }

  private static void readPadded(Optional<BlockDevice> device, long offset, ByteBuffer target)
      throws IOException {
    if (device.isPresent()) {
      readPadded(device.get(), offset, target);
    } else {
      BufferPool.putZeros(target);
    }
  }

  /** Writes everything an overlay itself stores into the device it builds on. */
  public static void commit(Qcow2Image overlay, BlockDevice base, LongConsumer progress)
      throws IOException {
    if (base.sizeBytes() < overlay.sizeBytes()) {
      base.resize(overlay.sizeBytes());
    }
    long size = overlay.sizeBytes();
    ByteBuffer buffer = BufferPool.take(CHUNK_BYTES);
    try {
      for (long at = 0; at < size; ) {
        Qcow2Image.LocalExtent extent = overlay.localExtent(at, size - at);
        long end = at + extent.lengthBytes();
        if (extent.allocated() && extent.zero()) {
          base.writeZeroes(at, end - at, true);
        } else if (extent.allocated()) {
          for (long part = at; part < end; ) {
            int count = (int) Math.min(CHUNK_BYTES, end - part);
            overlay.read(part, buffer.clear().limit(count));
            base.write(part, buffer.flip());
            part += count;
          }
        }
        at = end;
        progress.accept(at);
      }
      base.flush();
    } finally {
      BufferPool.give(buffer);
    }
  }

  /**
   * Copies into an overlay what differs between its present base and a new one, so that it reads
   * the same over the new one.
   *
   * @param overlay opened over the new base already
   * @param oldBase what it was written over, absent if nothing
   * @param newBase what it shall build on, absent if nothing
   */
  public static void adopt(
      Qcow2Image overlay,
      Optional<BlockDevice> oldBase,
      Optional<BlockDevice> newBase,
      LongConsumer progress)
      throws IOException {
    long size = overlay.sizeBytes();
    int cluster = overlay.info().clusterBytes();
    ByteBuffer before = BufferPool.take(cluster);
    ByteBuffer after = BufferPool.take(cluster);
    try {
      for (long at = 0; at < size; ) {
        int count = (int) Math.min(cluster - at % cluster, size - at);
        Qcow2Image.LocalExtent extent = overlay.localExtent(at, count);
        count = (int) extent.lengthBytes();
        if (!extent.allocated()) {
          readPadded(oldBase, at, before.clear().limit(count));
          readPadded(newBase, at, after.clear().limit(count));
          if (before.flip().mismatch(after.flip()) >= 0) {
            if (isZero(before, 0, count)) {
              overlay.writeZeroes(at, count, false);
            } else {
              overlay.write(at, before);
            }
          }
        }
        at += count;
        progress.accept(at);
      }
      overlay.flush();
    } finally {
      BufferPool.give(before);
      BufferPool.give(after);
    }
  }
}
