package io.anillo.storage.qcow2;

import io.anillo.storage.block.BufferPool;
import io.anillo.storage.lock.RangeLocks;
import io.anillo.storage.qcow2.ClusterMap.Kind;
import io.anillo.storage.qcow2.ClusterMap.Mapping;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Writes that change the mapping: first writes to a cluster, copies of shared ones, zeros and
 * discards. The caller holds the image's gate shared; whoever changes a cluster's mapping holds its
 * guest range.
 */
final class ClusterWriter {
  private static final long ALL_ALLOCATED = 0xffffffffL;
  private static final long ALL_ZERO = ALL_ALLOCATED << 32;

  /** What becomes of the space of a range that shall read as zeros. */
  enum Zeroing {
    KEEP,
    UNMAP,
    /** Contents do not matter; parts of clusters are left alone. */
    DISCARD
  }

  private final Qcow2Image image;
  private final Qcow2Header header;
  private final int clusterBits;
  private final int clusterBytes;

  ClusterWriter(Qcow2Image image) {
    this.image = image;
    this.header = image.header;
    this.clusterBits = header.clusterBits;
    this.clusterBytes = header.clusterBytes();
  }

  /**
   * Writes up to {@code length} bytes into clusters that cannot be written where they are.
   *
   * @return the bytes written; 0 when someone else has mapped the range meanwhile
   */
  int write(long offset, ByteBuffer source, int length, Mapping mapping) throws IOException {
    if (header.extendedL2()) {
      long inCluster = clusterBytes - (offset & (clusterBytes - 1));
      return writeExtended(offset, source, (int) Math.min(length, inCluster), mapping);
    }
    long first = offset >>> clusterBits;
    long last = (offset + length - 1) >>> clusterBits;
    try (RangeLocks.Range held = image.ranges.acquire(first, last)) {
      image.lookUp(offset, length, mapping);
      if (mapping.kind == Kind.DATA && mapping.writable) {
        return 0;
      }
      int wanted = (int) ((((offset + mapping.length - 1) >>> clusterBits) - first) + 1);
      Refcounts counts = image.writableRefcounts();
      Refcounts.Run run;
      image.metadata.lock();
      try {
        run = counts.allocate(wanted);
      } finally {
        image.metadata.unlock();
      }
      long end = Math.min(offset + mapping.length, (first + run.clusters()) << clusterBits);
      int count = (int) (end - offset);
      try {
        boolean zeros =
            mapping.kind == Kind.ZERO
                || (mapping.kind == Kind.UNALLOCATED && image.backedByZeros(first << clusterBits));
        fill(offset, source, count, run.hostOffset(), clusterBytes, zeros && run.fresh());
        image.metadata.lock();
        try {
          L2Table table = writableTable(image.map.l1Index(offset));
          for (int i = 0; i < run.clusters(); i++) {
            int index = image.map.wordIndex(offset + (long) i * clusterBytes);
            release(table.word(index));
            table.setWord(index, (run.hostOffset() + (long) i * clusterBytes) | ClusterMap.COPIED);
          }
        } finally {
          image.metadata.unlock();
        }
      } catch (IOException failure) {
        giveBack(counts, run.hostOffset(), (long) run.clusters() * clusterBytes);
        throw failure;
      }
      return count;
    }
  }

  private void giveBack(Refcounts counts, long hostOffset, long length) throws IOException {
    image.metadata.lock();
    try {
      counts.add(hostOffset, length, -1);
    } finally {
      image.metadata.unlock();
    }
  }

  /**
   * Writes guest bytes to newly owned space, with what surrounds them up to the unit's borders.
   *
   * @param host where the unit that contains {@code offset} begins in the file
   * @param blank the surroundings read as zeros already, in the guest and in the file
   */
  private void fill(long offset, ByteBuffer source, int count, long host, int unit, boolean blank)
      throws IOException {
    int before = (int) (offset & (unit - 1));
    int after = (int) (-(offset + count) & (unit - 1));
    int end = source.limit();
    int start = source.position();
    source.limit(start + count);
    try {
      if (blank || (before == 0 && after == 0)) {
        image.file.write(host + before, source);
        return;
      }
      ByteBuffer whole = BufferPool.take(before + count + after);
      try {
        readOld(offset - before, before, whole);
        whole.put(source);
        readOld(offset + count, after, whole);
        image.file.write(host, whole.flip());
      } finally {
        BufferPool.give(whole);
      }
    } finally {
      source.limit(end).position(start + count);
    }
  }

  private void readOld(long offset, int length, ByteBuffer target) throws IOException {
    if (length == 0) {
      return;
    }
    int end = target.limit();
    target.limit(target.position() + length);
    int inside = (int) Math.max(0, Math.min(length, header.sizeBytes - offset));
    target.limit(target.position() + inside);
    image.readMapped(offset, target, new Mapping());
    target.limit(target.position() + length - inside);
    BufferPool.putZeros(target);
    target.limit(end);
  }

  private int writeExtended(long offset, ByteBuffer source, int length, Mapping mapping)
      throws IOException {
    long cluster = offset >>> clusterBits;
    try (RangeLocks.Range held = image.ranges.acquire(cluster, cluster)) {
      image.lookUp(offset, length, mapping);
      if (mapping.kind == Kind.DATA && mapping.writable) {
        return 0;
      }
      // what others have allocated since we looked may be written where it is at this moment
      int count = (int) mapping.length;
      L2Table table = tableForReading(image.map.l1Index(offset));
      int index = image.map.wordIndex(offset);
      long entry = table == null ? 0 : table.word(index);
      long bitmap = table == null ? 0 : table.word(index + 1);
      boolean owned =
          (entry & ClusterMap.COPIED) != 0
              && (entry & ClusterMap.COMPRESSED) == 0
              && (entry & ClusterMap.OFFSET_MASK) != 0;
      boolean copyAll = !owned && (entry & (ClusterMap.OFFSET_MASK | ClusterMap.COMPRESSED)) != 0;
      Refcounts counts = image.writableRefcounts();
      long host = entry & ClusterMap.OFFSET_MASK;
      boolean fresh = false;
      if (!owned) {
        image.metadata.lock();
        try {
          Refcounts.Run run = counts.allocate(1);
          host = run.hostOffset();
          fresh = run.fresh();
        } finally {
          image.metadata.unlock();
        }
      }
      int unit = copyAll ? clusterBytes : clusterBytes / 32;
      long clusterStart = cluster << clusterBits;
      int within = (int) (offset - clusterStart);
      long unitHost = host + (within & -unit);
      try {
        boolean blank = fresh && !copyAll && bitmap == 0 && image.backedByZeros(clusterStart);
        fill(offset, source, count, unitHost, unit, blank);
      } catch (IOException failure) {
        if (!owned) {
          giveBack(counts, host, clusterBytes);
        }
        throw failure;
      }
      long newBitmap = ALL_ALLOCATED;
      if (!copyAll) {
        int firstSub = within / unit;
        int lastSub = (within + count - 1) / unit;
        long mask = ((1L << (lastSub - firstSub + 1)) - 1) << firstSub;
        newBitmap = (bitmap | mask) & ~(mask << 32);
      }
      image.metadata.lock();
      try {
        L2Table writable = writableTable(image.map.l1Index(offset));
        if (!owned) {
          release(entry);
        }
        writable.setWord(index, host | ClusterMap.COPIED);
        writable.setWord(index + 1, newBitmap);
      } finally {
        image.metadata.unlock();
      }
      return count;
    }
  }

  /** Stores a cluster in compressed form; false when that saves nothing. */
  boolean writeCompressed(long offset, ByteBuffer plain) throws IOException {
    long cluster = offset >>> clusterBits;
    ByteBuffer packed = CompressedCluster.pack(header, plain);
    if (packed == null) {
      return false;
    }
    int length = packed.remaining();
    try (RangeLocks.Range held = image.ranges.acquire(cluster, cluster)) {
      long host;
      image.metadata.lock();
      try {
        host = image.writableRefcounts().allocateCompressed(length);
      } finally {
        image.metadata.unlock();
      }
      image.file.write(host, packed);
      image.metadata.lock();
      try {
        L2Table table = writableTable(image.map.l1Index(offset));
        int index = image.map.wordIndex(offset);
        release(table.word(index));
        table.setWord(index, CompressedCluster.entry(host, length, clusterBits));
        if (header.extendedL2()) {
          table.setWord(index + 1, 0);
        }
      } finally {
        image.metadata.unlock();
      }
    }
    return true;
  }

  private @Nullable L2Table tableForReading(int l1Index) throws IOException {
    image.metadata.lock();
    try {
      return image.map.load(l1Index);
    } finally {
      image.metadata.unlock();
    }
  }

  /** The L2 table of an L1 entry, owned by the active mapping alone; under the metadata lock. */
  private L2Table writableTable(int l1Index) throws IOException {
    ClusterMap map = image.map;
    long entry = map.l1[l1Index];
    L2Table old = map.load(l1Index);
    if (old != null && (entry & ClusterMap.COPIED) != 0) {
      return old;
    }
    long host = image.writableRefcounts().allocate(1).hostOffset();
    long[] words = old == null ? new long[1 << (clusterBits - 3)] : old.words.clone();
    L2Table table = new L2Table(host, words);
    table.dirty = true;
    if (old == null) {
      map.install(l1Index, table);
    } else {
      map.replace(l1Index, table);
      image.freeLater(old.hostOffset, clusterBytes);
    }
    map.setL1(l1Index, host | ClusterMap.COPIED);
    return table;
  }

  /** Drops the reference that an L2 entry held; under the metadata lock. */
  private void release(long entry) {
    if ((entry & ClusterMap.COMPRESSED) != 0) {
      image.forgetUnpacked();
      image.freeLater(
          CompressedCluster.hostOffset(entry, clusterBits),
          CompressedCluster.length(entry, clusterBits));
    } else if ((entry & ClusterMap.OFFSET_MASK) != 0) {
      image.freeLater(entry & ClusterMap.OFFSET_MASK, clusterBytes);
    }
  }

  /** Makes a range read as zeros, or forgets it. */
  void zero(long offset, long length, Zeroing zeroing) throws IOException {
    long end = offset + length;
    long wholeStart = (offset + clusterBytes - 1) & -clusterBytes;
    // the last cluster counts as whole when the disk ends inside it
    long wholeEnd = end == header.sizeBytes ? end : end & -(long) clusterBytes;
    if (wholeStart >= wholeEnd) {
      zeroPart(offset, length, zeroing);
      return;
    }
    zeroPart(offset, wholeStart - offset, zeroing);
    long at = wholeStart;
    while (at < wholeEnd) {
      long tableEnd = ((at >>> header.l2CoverageBits()) + 1) << header.l2CoverageBits();
      long next = Math.min(wholeEnd, tableEnd);
      zeroClusters(at, next, zeroing);
      at = next;
    }
    zeroPart(wholeEnd, end - wholeEnd, zeroing);
  }

  private void zeroPart(long offset, long length, Zeroing zeroing) throws IOException {
    if (zeroing == Zeroing.DISCARD) {
      return;
    }
    Mapping mapping = new Mapping();
    long at = offset;
    long end = offset + length;
    while (at < end) {
      image.lookUp(at, end - at, mapping);
      boolean zeros =
          mapping.kind == Kind.ZERO
              || (mapping.kind == Kind.UNALLOCATED && image.backedByZeros(at));
      long part = mapping.length;
      if (!zeros) {
        int count = (int) Math.min(part, 1 << 20);
        ByteBuffer blank = BufferPool.take(count);
        try {
          BufferPool.putZeros(blank);
          blank.flip();
          if (mapping.kind == Kind.DATA && mapping.writable) {
            image.file.write(mapping.host, blank);
          } else {
            count = write(at, blank, count, mapping);
          }
        } finally {
          BufferPool.give(blank);
        }
        part = count;
      }
      at += part;
    }
  }

  private void zeroClusters(long start, long end, Zeroing zeroing) throws IOException {
    long first = start >>> clusterBits;
    long last = (end - 1) >>> clusterBits;
    boolean writeInstead = false;
    try (RangeLocks.Range held = image.ranges.acquire(first, last)) {
      image.metadata.lock();
      try {
        int l1Index = image.map.l1Index(start);
        L2Table table = image.map.load(l1Index);
        if (table == null && image.backedByZeros(start)) {
          return;
        }
        for (long cluster = first; cluster <= last && !writeInstead; cluster++) {
          long guest = cluster << clusterBits;
          boolean shows = !image.backedByZeros(guest);
          if (shows && header.version < 3) {
            writeInstead = true;
            break;
          }
          zeroCluster(l1Index, guest, shows, zeroing);
        }
      } finally {
        image.metadata.unlock();
      }
    }
    if (writeInstead) {
      zeroPart(start, end - start, zeroing);
    }
  }

  private void zeroCluster(int l1Index, long guest, boolean backingShows, Zeroing zeroing)
      throws IOException {
    L2Table table = image.map.load(l1Index);
    int index = image.map.wordIndex(guest);
    long entry = table == null ? 0 : table.word(index);
    boolean extended = header.extendedL2();
    long bitmap = extended && table != null ? table.word(index + 1) : 0;
    boolean allocated = (entry & (ClusterMap.OFFSET_MASK | ClusterMap.COMPRESSED)) != 0;
    boolean zeroMark = extended ? bitmap == ALL_ZERO : (entry & ClusterMap.ZERO) != 0;
    boolean keep =
        zeroing == Zeroing.KEEP
            && header.version >= 3
            && (entry & ClusterMap.COPIED) != 0
            && (entry & ClusterMap.COMPRESSED) == 0;
    if (!allocated && (backingShows ? zeroMark : bitmap == 0)) {
      return;
    }
    if (keep && zeroMark) {
      return;
    }
    boolean mark = keep || backingShows;
    L2Table writable = writableTable(l1Index);
    long host = keep ? entry & (ClusterMap.OFFSET_MASK | ClusterMap.COPIED) : 0;
    if (!keep) {
      release(entry);
    }
    if (extended) {
      writable.setWord(index, host);
      writable.setWord(index + 1, mark ? ALL_ZERO : 0);
    } else {
      writable.setWord(index, host | (mark ? ClusterMap.ZERO : 0));
    }
  }
}
