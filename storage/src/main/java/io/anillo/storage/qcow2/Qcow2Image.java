package io.anillo.storage.qcow2;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import io.anillo.storage.block.Extent;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.lock.RangeLocks;
import io.anillo.storage.lock.SharedFlush;
import io.anillo.storage.qcow2.ClusterMap.Kind;
import io.anillo.storage.qcow2.ClusterMap.Mapping;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * An open qcow2 image. Hot: {@code anillo bench storage} watches it.
 *
 * <p>Every request holds {@link #gate} shared, so whoever holds it alone knows that no request is
 * under way: only then are freed clusters given to new owners. {@link #metadata} guards the tables
 * for the short time of a change.
 */
public final class Qcow2Image implements BlockDevice {
  private static final long CACHE_BYTES = 64L << 20;

  final ImageFile file;
  final Qcow2Header header;
  final ReentrantReadWriteLock gate = new ReentrantReadWriteLock();
  final ReentrantLock metadata = new ReentrantLock();
  final RangeLocks ranges = new RangeLocks();
  final ClusterMap map;
  final @Nullable Refcounts refcounts;
  private final @Nullable BlockDevice backing;
  private final boolean readOnly;
  private final ClusterWriter writer;
  private final WriteBack writeBack;
  private volatile boolean flushWanted;
  private volatile @Nullable UnpackedCluster lastUnpacked;
  private boolean closed;

  private record UnpackedCluster(long entry, ByteBuffer bytes) {}

  /**
   * @param backing what unallocated clusters show, already open; closed with this image
   */
  Qcow2Image(
      ImageFile file,
      Qcow2Header header,
      ClusterMap map,
      @Nullable Refcounts refcounts,
      @Nullable BlockDevice backing) {
    this.file = file;
    this.header = header;
    this.map = map;
    this.refcounts = refcounts;
    this.backing = backing;
    this.readOnly = refcounts == null;
    this.writer = new ClusterWriter(this);
    this.writeBack = new WriteBack(this);
  }

  /** The header of an image file, without opening it for use. */
  public static Qcow2Info info(Disk disk) throws IOException {
    ImageFile file = new ImageFile(disk);
    Qcow2Header header = readHeader(file);
    return Qcow2Info.of(header, SnapshotTable.read(file, header));
  }

  static Qcow2Header readHeader(ImageFile file) throws IOException {
    int length = (int) Math.min(file.sizeBytes(), 1 << 21);
    ByteBuffer bytes = ByteBuffer.allocateDirect(length);
    file.read(0, bytes);
    return Qcow2Header.parse(bytes.flip(), file.name(), file.sizeBytes());
  }

  /**
   * Opens an image. A writable one that was not shut down is repaired first, as its dirty bit asks.
   *
   * @param backing the open backing device, when the header names one and it is wanted
   */
  public static Qcow2Image open(Disk disk, @Nullable BlockDevice backing) throws IOException {
    return open(disk, backing, CACHE_BYTES);
  }

  static Qcow2Image open(Disk disk, @Nullable BlockDevice backing, long cacheBytes)
      throws IOException {
    ImageFile file = new ImageFile(disk);
    Qcow2Header header = readHeader(file);
    boolean readOnly = disk.readOnly();
    if (!readOnly && (header.incompatible & Qcow2Header.CORRUPT) != 0) {
      throw new IOException(
          file.name() + " is marked as corrupt; repair it first: anillo disk check --repair all");
    }
    if (!readOnly && (header.incompatible & Qcow2Header.DIRTY) != 0) {
      Qcow2Check.run(disk, Qcow2Check.Repair.ALL);
      header = readHeader(file);
    }
    if (!readOnly && header.autoclear != 0) {
      header.autoclear = 0;
      file.write(0, header.serialize());
    }
    long[] l1 = file.readWords(header.l1Offset, header.l1Size);
    ClusterMap map = new ClusterMap(file, header, l1, cacheBytes);
    return new Qcow2Image(
        file, header, map, readOnly ? null : new Refcounts(file, header), backing);
  }

  /** Opens one internal snapshot for reading. */
  public static Qcow2Image openSnapshot(Disk disk, String nameOrId, @Nullable BlockDevice backing)
      throws IOException {
    ImageFile file = new ImageFile(disk);
    Qcow2Header header = readHeader(file);
    SnapshotTable.Entry entry = SnapshotTable.read(file, header).find(nameOrId, file.name());
    header.sizeBytes = entry.diskBytes();
    header.l1Size = entry.l1Size();
    header.l1Offset = entry.l1Offset();
    long[] l1 = file.readWords(header.l1Offset, header.l1Size);
    if (header.l1EntriesFor(header.sizeBytes) > l1.length) {
      throw Qcow2Header.damaged(file.name(), "a snapshot's L1 table is too small");
    }
    return new Qcow2Image(
        file, header, new ClusterMap(file, header, l1, CACHE_BYTES), null, backing);
  }

  @Override
  public long sizeBytes() {
    return header.sizeBytes;
  }

  @Override
  public int preferredBlockBytes() {
    return header.extendedL2() ? header.clusterBytes() / 32 : header.clusterBytes();
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  public @Nullable BlockDevice backing() {
    return backing;
  }

  public Qcow2Info info() throws IOException {
    return Qcow2Info.of(header, SnapshotTable.read(file, header));
  }

  Refcounts writableRefcounts() throws IOException {
    Refcounts counts = refcounts;
    if (counts == null) {
      throw new IOException("the disk is read-only");
    }
    return counts;
  }

  @Override
  public void requireWritable() throws IOException {
    if (readOnly) {
      throw new IOException("the disk is read-only");
    }
    writeBack.requireWorking();
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    gate.readLock().lock();
    try {
      requireInside(offset, destination.remaining());
      readMapped(offset, destination, new Mapping());
    } finally {
      gate.readLock().unlock();
    }
  }

  /** Reads guest bytes; the caller holds the gate. */
  void readMapped(long offset, ByteBuffer destination, Mapping mapping) throws IOException {
    long at = offset;
    int end = destination.limit();
    while (destination.position() < end) {
      lookUp(at, end - destination.position(), mapping);
      int part = (int) mapping.length;
      destination.limit(destination.position() + part);
      switch (mapping.kind) {
        case DATA -> file.read(mapping.host, destination);
        case ZERO -> BufferPool.putZeros(destination);
        case UNALLOCATED -> readBacking(at, destination);
        case COMPRESSED -> readCompressed(mapping.host, at, destination);
      }
      destination.limit(end);
      at += part;
    }
  }

  void lookUp(long guestOffset, long length, Mapping mapping) throws IOException {
    int index = map.l1Index(guestOffset);
    L2Table table = map.cached(index);
    if (table == null) {
      metadata.lock();
      try {
        table = map.load(index);
        flushWanted |= map.mostlyDirty();
      } finally {
        metadata.unlock();
      }
    }
    map.lookUp(table, guestOffset, length, mapping);
  }

  /** Whether unallocated bytes here read as zeros. */
  boolean backedByZeros(long offset) {
    return backing == null || offset >= backing.sizeBytes();
  }

  private void readBacking(long offset, ByteBuffer destination) throws IOException {
    if (backing == null || offset >= backing.sizeBytes()) {
      BufferPool.putZeros(destination);
      return;
    }
    int end = destination.limit();
    int present = (int) Math.min(destination.remaining(), backing.sizeBytes() - offset);
    destination.limit(destination.position() + present);
    backing.read(offset, destination);
    destination.limit(end);
    BufferPool.putZeros(destination);
  }

  private void readCompressed(long entry, long offset, ByteBuffer destination) throws IOException {
    UnpackedCluster unpacked = lastUnpacked;
    if (unpacked == null || unpacked.entry != entry) {
      unpacked = new UnpackedCluster(entry, CompressedCluster.read(file, header, entry));
      lastUnpacked = unpacked;
    }
    int within = (int) (offset & (header.clusterBytes() - 1));
    destination.put(
        unpacked.bytes.duplicate().position(within).limit(within + destination.remaining()));
  }

  void forgetUnpacked() {
    lastUnpacked = null;
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    requireWritable();
    flushIfWanted();
    gate.readLock().lock();
    try {
      requireInside(offset, source.remaining());
      Mapping mapping = new Mapping();
      long at = offset;
      int end = source.limit();
      while (source.position() < end) {
        lookUp(at, end - source.position(), mapping);
        int part = (int) mapping.length;
        if (mapping.kind == Kind.DATA && mapping.writable) {
          requireAllocated(mapping.host + part);
          source.limit(source.position() + part);
          file.write(mapping.host, source);
          source.limit(end);
        } else {
          part = writer.write(at, source, part, mapping);
        }
        at += part;
      }
    } finally {
      gate.readLock().unlock();
    }
  }

  /** A damaged table must not make the file as long as it likes. */
  private void requireAllocated(long hostEnd) throws IOException {
    if (hostEnd <= file.sizeBytes()) {
      return;
    }
    metadata.lock();
    try {
      if (hostEnd > writableRefcounts().highWater() << header.clusterBits) {
        throw Qcow2Header.damaged(
            file.name(), "a cluster at " + hostEnd + " lies beyond everything that is allocated");
      }
    } finally {
      metadata.unlock();
    }
  }

  /**
   * Stores a whole cluster in compressed form, or as it is when that saves nothing. For filling new
   * images; the cluster must not be allocated yet.
   */
  public void writeCompressed(long offset, ByteBuffer plain) throws IOException {
    requireWritable();
    flushIfWanted();
    gate.readLock().lock();
    boolean packed;
    try {
      requireInside(offset, Math.min(plain.remaining(), sizeBytes() - offset));
      packed = writer.writeCompressed(offset, plain);
    } finally {
      gate.readLock().unlock();
    }
    if (!packed) {
      int count = (int) Math.min(plain.remaining(), sizeBytes() - offset);
      write(offset, plain.duplicate().limit(plain.position() + count));
    }
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    requireWritable();
    flushIfWanted();
    gate.readLock().lock();
    try {
      requireInside(offset, length);
      writer.zero(
          offset, length, mayUnmap ? ClusterWriter.Zeroing.UNMAP : ClusterWriter.Zeroing.KEEP);
    } finally {
      gate.readLock().unlock();
    }
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    requireWritable();
    flushIfWanted();
    gate.readLock().lock();
    try {
      requireInside(offset, length);
      writer.zero(offset, length, ClusterWriter.Zeroing.DISCARD);
    } finally {
      gate.readLock().unlock();
    }
  }

  /** Frees clusters once no durable table names them; under the metadata lock. */
  void freeLater(long hostOffset, long length) {
    flushWanted |= writeBack.freeLater(hostOffset, length);
  }

  private void flushIfWanted() throws IOException {
    if (flushWanted) {
      flushWanted = false;
      flush();
    }
  }

  /** Runs with no request and no flush under way and nothing left to write back. */
  void alone(SharedFlush.Action action) throws IOException {
    requireWritable();
    writeBack.alone(action);
  }

  /** Makes all tables durable; for callers of {@link #alone}. */
  void writeTables() throws IOException {
    writeBack.writeTables();
  }

  @Override
  public void flush() throws IOException {
    if (!readOnly) {
      requireWritable();
      writeBack.flush();
    }
  }

  /** What this image itself stores, not looking into its backing device. */
  public LocalExtent localExtent(long offset, long length) throws IOException {
    gate.readLock().lock();
    try {
      requireInside(offset, length);
      Mapping mapping = new Mapping();
      lookUp(offset, length, mapping);
      boolean compressed = mapping.kind == Kind.COMPRESSED;
      return new LocalExtent(
          mapping.length,
          mapping.kind != Kind.UNALLOCATED,
          mapping.kind == Kind.ZERO,
          compressed,
          mapping.kind == Kind.DATA ? mapping.host : -1);
    } finally {
      gate.readLock().unlock();
    }
  }

  /**
   * A run of this image alone.
   *
   * @param allocated this image decides what it reads as, not its backing device
   * @param hostOffset where it lies in the file, or -1
   */
  public record LocalExtent(
      long lengthBytes, boolean allocated, boolean zero, boolean compressed, long hostOffset) {}

  @Override
  public Extent status(long offset, long length) throws IOException {
    gate.readLock().lock();
    try {
      requireInside(offset, length);
      Mapping mapping = new Mapping();
      Extent first = statusOnce(offset, length, mapping);
      long total = first.lengthBytes();
      while (total < length) {
        Extent next = statusOnce(offset + total, length - total, mapping);
        if (!next.sameKind(first)) {
          break;
        }
        total += next.lengthBytes();
      }
      return first.withLength(total);
    } finally {
      gate.readLock().unlock();
    }
  }

  private Extent statusOnce(long offset, long length, Mapping mapping) throws IOException {
    lookUp(offset, length, mapping);
    long run = mapping.length;
    return switch (mapping.kind) {
      case DATA, COMPRESSED -> Extent.data(run);
      case ZERO -> new Extent(run, !mapping.writable, true);
      case UNALLOCATED -> {
        BlockDevice below = backing;
        if (below == null || offset >= below.sizeBytes()) {
          yield Extent.hole(run);
        }
        yield below.status(offset, Math.min(run, below.sizeBytes() - offset));
      }
    };
  }

  @Override
  public void resize(long newSizeBytes) throws IOException {
    requireWritable();
    new Qcow2Resize(this).resize(newSizeBytes);
  }

  /** Internal snapshots: taken, listed, restored and deleted here. */
  public Qcow2Snapshots snapshots() throws IOException {
    return new Qcow2Snapshots(this);
  }

  /** Names another backing file; contents are not touched. */
  public void setBacking(@Nullable String backingFile, @Nullable String backingFormat)
      throws IOException {
    alone(() -> {
      header.backingFile = backingFile;
      header.backingFormat = backingFile == null ? null : backingFormat;
      writeHeader();
    });
  }

  /** Writes the header durably; everything it points to must be durable already. */
  void writeHeader() throws IOException {
    file.write(0, header.serialize());
    file.flush();
  }

  @Override
  public void close() throws IOException {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    try (BlockDevice below = backing;
        Disk disk = file.disk) {
      if (!readOnly) {
        writeBack.shutDown();
      }
    }
  }
}
