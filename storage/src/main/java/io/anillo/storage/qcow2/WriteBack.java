package io.anillo.storage.qcow2;

import io.anillo.storage.lock.SharedFlush;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Brings what changed in memory to the file, in an order that a power cut may end anywhere: data
 * and reference counts before tables that name them, tables before the frees they make possible.
 * Writes go on meanwhile; the locks are taken in the order flush, gate, metadata.
 */
final class WriteBack {
  private static final int FREES_BEFORE_FLUSH = 65536;

  private final Qcow2Image image;
  private final Qcow2Header header;
  private final ImageFile file;
  private final ClusterMap map;
  private final SharedFlush sharedFlush = new SharedFlush(this::flushOnce);
  private final PendingFrees frees = new PendingFrees();
  private volatile @Nullable IOException broken;

  WriteBack(Qcow2Image image) {
    this.image = image;
    this.header = image.header;
    this.file = image.file;
    this.map = image.map;
  }

  /**
   * Frees clusters once no durable table names them; under the metadata lock.
   *
   * @return whether so many wait that a flush should come soon
   */
  boolean freeLater(long hostOffset, long length) {
    frees.add(hostOffset, length);
    return frees.size() > FREES_BEFORE_FLUSH;
  }

  void requireWorking() throws IOException {
    IOException earlier = broken;
    if (earlier != null) {
      throw new IOException(
          file.name() + " takes no more writes, because one to its metadata failed", earlier);
    }
  }

  void flush() throws IOException {
    sharedFlush.flush();
  }

  private void flushOnce() throws IOException {
    try {
      writeBack();
    } catch (IOException failure) {
      broken = failure;
      throw failure;
    }
  }

  private void writeBack() throws IOException {
    Refcounts counts = image.writableRefcounts();
    boolean lazy = (header.compatible & Qcow2Header.LAZY_REFCOUNTS) != 0;
    Refcounts.Pending countsToWrite = new Refcounts.Pending();
    ClusterMap.Pending mapToWrite;
    List<PendingFrees.Free> freed;
    long endOfFile;
    image.metadata.lock();
    try {
      mapToWrite = map.takeDirty();
      if (!lazy) {
        countsToWrite = counts.takeDirty();
      }
      freed = frees.take();
      freed.addAll(counts.takeRetired());
      endOfFile = counts.highWater() << header.clusterBits;
      if (lazy && !mapToWrite.isEmpty() && (header.incompatible & Qcow2Header.DIRTY) == 0) {
        header.incompatible |= Qcow2Header.DIRTY;
        file.write(0, header.serialize());
      }
    } finally {
      image.metadata.unlock();
    }
    countsToWrite.write(file);
    if (!mapToWrite.isEmpty()) {
      file.extendTo(endOfFile);
    }
    file.flush();
    if (!mapToWrite.isEmpty()) {
      write(mapToWrite);
      image.metadata.lock();
      try {
        map.arrived(mapToWrite);
      } finally {
        image.metadata.unlock();
      }
    }
    if (!freed.isEmpty()) {
      release(counts, freed);
    }
  }

  /** Writes tables so that they are durable; what they point to is durable already. */
  private void write(ClusterMap.Pending pending) throws IOException {
    for (L2Table table : pending.l2()) {
      file.writeWords(table.hostOffset, table.words);
    }
    long[] l1 = pending.l1();
    if (l1 != null) {
      if (!pending.l2().isEmpty()) {
        file.flush();
      }
      file.writeWords(header.l1Offset, l1);
    }
    file.flush();
  }

  private void release(Refcounts counts, List<PendingFrees.Free> freed) throws IOException {
    image.gate.writeLock().lock();
    image.metadata.lock();
    try {
      counts.endCompressedRun();
      for (PendingFrees.Free free : freed) {
        counts.add(free.hostOffset(), free.length(), -1);
        if ((free.hostOffset() & (header.clusterBytes() - 1)) == 0
            && counts.get(free.hostOffset() >>> header.clusterBits) == 0) {
          file.disk.punch(free.hostOffset(), header.clusterBytes());
        }
      }
    } finally {
      image.metadata.unlock();
      image.gate.writeLock().unlock();
    }
  }

  /**
   * Runs with no request and no flush under way and nothing left to write back. A flush must not
   * be: the copies of tables that it has taken would come to the file after newer ones.
   */
  void alone(SharedFlush.Action action) throws IOException {
    sharedFlush.excluding(() -> {
      flushOnce();
      image.gate.writeLock().lock();
      image.metadata.lock();
      try {
        // what requests changed in between, and counts that the flush has lowered
        writeTables();
        action.run();
      } finally {
        image.metadata.unlock();
        image.gate.writeLock().unlock();
      }
    });
  }

  /** Makes all tables durable, counts first; for callers of {@link #alone}. */
  void writeTables() throws IOException {
    Refcounts counts = image.writableRefcounts();
    counts.takeDirty().write(file);
    file.extendTo(counts.highWater() << header.clusterBits);
    file.flush();
    ClusterMap.Pending pending = map.takeDirty();
    if (!pending.isEmpty()) {
      write(pending);
      map.arrived(pending);
    }
  }

  /** Leaves the file as one that needs no repair, if nothing went wrong before. */
  void shutDown() throws IOException {
    if (broken != null) {
      return;
    }
    flush();
    Refcounts counts = image.writableRefcounts();
    image.metadata.lock();
    try {
      Refcounts.Pending rest = counts.takeDirty();
      if (!rest.isEmpty()) {
        rest.write(file);
        file.flush();
      }
      if ((header.incompatible & Qcow2Header.DIRTY) != 0) {
        header.incompatible &= ~Qcow2Header.DIRTY;
        image.writeHeader();
      }
    } finally {
      image.metadata.unlock();
    }
  }
}
