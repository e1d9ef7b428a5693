package io.anillo.storage.foreign;

import io.anillo.storage.block.BufferPool;
import io.anillo.storage.disk.Disk;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** A file with changes that are only in memory, for reading: what replaying a log would make. */
final class OverlaidDisk implements ReadOnlyDisk {
  /** A changed range; without bytes it is zeros. */
  private record Change(long length, byte @Nullable [] bytes, int start) {
    Change part(long skip, long newLength) {
      return new Change(newLength, bytes, bytes == null ? 0 : start + (int) skip);
    }
  }

  private final Disk file;
  private final TreeMap<Long, Change> changes = new TreeMap<>();
  private long sizeBytes;

  OverlaidDisk(Disk file) throws IOException {
    this.file = file;
    this.sizeBytes = file.sizeBytes();
  }

  /** Lets the file be at least so long; what is added reads as zeros. */
  void reach(long size) {
    sizeBytes = Math.max(sizeBytes, size);
  }

  void put(long offset, byte[] bytes) {
    change(offset, new Change(bytes.length, bytes, 0));
  }

  void putZeros(long offset, long length) {
    change(offset, new Change(length, null, 0));
  }

  private void change(long offset, Change change) {
    long end = offset + change.length;
    Map.Entry<Long, Change> before = changes.lowerEntry(offset);
    if (before != null && before.getKey() + before.getValue().length > offset) {
      long start = before.getKey();
      Change old = before.getValue();
      changes.put(start, old.part(0, offset - start));
      if (start + old.length > end) {
        changes.put(end, old.part(end - start, start + old.length - end));
      }
    }
    Map.Entry<Long, Change> last = changes.lowerEntry(end);
    if (last != null && last.getKey() >= offset) {
      long lastEnd = last.getKey() + last.getValue().length;
      Change rest = last.getValue().part(end - last.getKey(), lastEnd - end);
      changes.subMap(offset, end).clear();
      if (lastEnd > end) {
        changes.put(end, rest);
      }
    }
    changes.put(offset, change);
    reach(end);
  }

  @Override
  public String name() {
    return file.name();
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    if (offset < 0 || offset > sizeBytes - destination.remaining()) {
      throw new EOFException(name() + " ends before byte " + (offset + destination.remaining()));
    }
    int end = destination.limit();
    long at = offset;
    while (destination.position() < end) {
      Map.Entry<Long, Change> floor = changes.floorEntry(at);
      long left = end - destination.position();
      if (floor != null && floor.getKey() + floor.getValue().length > at) {
        Change change = floor.getValue();
        long within = at - floor.getKey();
        int count = (int) Math.min(left, change.length - within);
        byte[] bytes = change.bytes;
        if (bytes == null) {
          BufferPool.putZeros(destination.limit(destination.position() + count));
        } else {
          destination.put(bytes, change.start + (int) within, count);
        }
        at += count;
      } else {
        Long next = changes.higherKey(at);
        int count = (int) Math.min(left, next == null ? left : next - at);
        readFile(at, destination.limit(destination.position() + count));
        at += count;
      }
      destination.limit(end);
    }
  }

  private void readFile(long offset, ByteBuffer destination) throws IOException {
    int end = destination.limit();
    long present = Math.max(0, file.sizeBytes() - offset);
    if (present > 0) {
      int count = (int) Math.min(present, destination.remaining());
      file.read(offset, destination.limit(destination.position() + count));
      destination.limit(end);
    }
    BufferPool.putZeros(destination);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
