package io.anillo.storage.pool;

import static io.anillo.storage.pool.BlockPointer.UNIT_BYTES;
import static io.anillo.storage.pool.TreeNode.FAN_OUT;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import io.anillo.storage.block.Extent;
import io.anillo.storage.lock.RangeLocks;
import io.anillo.storage.pool.PoolEvent.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * An open volume or snapshot. Every write goes to unused space; only then does the map change. Hot:
 * {@code anillo bench storage} watches it.
 */
public final class ThinVolume implements BlockDevice {
  private static final int BATCH = 256;

  private final Pool pool;
  private final PoolState state;
  private final VolumeFamily family;
  private final VolumeRecord record;
  private final BlockCodec codec;
  private final Throttle throttle;
  private final boolean readOnly;
  private final int blockUnits;
  private final int blockBytes;
  private final RangeLocks ranges;
  private volatile Version version;

  ThinVolume(
      Pool pool,
      PoolState state,
      VolumeRecord record,
      Version version,
      BlockCodec codec,
      Throttle throttle,
      RangeLocks ranges) {
    this.pool = pool;
    this.state = state;
    this.family = state.family(record.familyId());
    this.record = record;
    this.version = version;
    this.codec = codec;
    this.throttle = throttle;
    this.ranges = ranges;
    this.readOnly = version.isSnapshot();
    this.blockUnits = record.blockUnits();
    this.blockBytes = record.blockBytes();
  }

  public String name() {
    return record.name();
  }

  Version version() {
    return version;
  }

  /** The volume's present is another version from now on; the family's lock is held alone. */
  void moveTo(Version next) {
    version = next;
  }

  Throttle throttle() {
    return throttle;
  }

  @Override
  public long sizeBytes() {
    return version.sizeBytes;
  }

  @Override
  public int preferredBlockBytes() {
    return blockBytes;
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  /** Pointers of a batch of blocks, as found at one time. */
  private static final class Batch {
    final long[] locations = new long[BATCH];
    final long[] checks = new long[BATCH];
    final boolean[] loaded = new boolean[1];
  }

  private static final ThreadLocal<Batch> BATCHES = ThreadLocal.withInitial(Batch::new);

  private void lookUp(long firstBlock, int count, Batch batch) throws IOException {
    family.lock.readLock().lock();
    boolean complete;
    try {
      complete = lookUpLoaded(firstBlock, count, batch);
    } finally {
      family.lock.readLock().unlock();
    }
    if (complete) {
      return;
    }
    family.lock.writeLock().lock();
    try {
      Version now = version;
      for (int i = 0; i < count; i++) {
        TreeNode leaf = family.leaf(now, firstBlock + i);
        int slot = (int) (firstBlock + i) & (FAN_OUT - 1);
        batch.locations[i] = leaf == null ? 0 : leaf.location(slot);
        batch.checks[i] = leaf == null ? 0 : leaf.check(slot);
      }
    } finally {
      family.lock.writeLock().unlock();
    }
  }

  private boolean lookUpLoaded(long firstBlock, int count, Batch batch) {
    Version now = version;
    int done = 0;
    while (done < count) {
      TreeNode leaf = family.peekLeaf(now, firstBlock + done, batch.loaded);
      if (!batch.loaded[0]) {
        return false;
      }
      int slot = (int) (firstBlock + done) & (FAN_OUT - 1);
      int here = Math.min(count - done, FAN_OUT - slot);
      for (int i = 0; i < here; i++) {
        batch.locations[done + i] = leaf == null ? 0 : leaf.location(slot + i);
        batch.checks[done + i] = leaf == null ? 0 : leaf.check(slot + i);
      }
      done += here;
    }
    return true;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    requireInside(offset, destination.remaining());
    throttle.pass(destination.remaining());
    Batch batch = BATCHES.get();
    int start = destination.position();
    int end = destination.limit();
    long at = offset;
    while (destination.position() < end) {
      long block = at / blockBytes;
      long last = (at + end - destination.position() - 1) / blockBytes;
      int count = (int) Math.min(BATCH, last - block + 1);
      lookUp(block, count, batch);
      int within = (int) (at % blockBytes);
      for (int i = 0; i < count; ) {
        int blocks = 1;
        long location = batch.locations[i];
        int left = end - destination.position();
        if (location == 0) {
          while (i + blocks < count && batch.locations[i + blocks] == 0) {
            blocks++;
          }
          int bytes = (int) Math.min(left, (long) blocks * blockBytes - within);
          destination.limit(destination.position() + bytes);
          BufferPool.putZeros(destination);
        } else if (within == 0 && left >= blockBytes && codec.plain()) {
          while (i + blocks < count
              && left >= (blocks + 1) * blockBytes
              && batch.locations[i + blocks] == location + (long) blocks * blockUnits) {
            blocks++;
          }
          destination.limit(destination.position() + blocks * blockBytes);
          readRun(block + i, i, blocks, batch, destination);
        } else {
          int bytes = Math.min(left, blockBytes - within);
          destination.limit(destination.position() + bytes);
          readPart(block + i, location, batch.checks[i], within, destination);
        }
        destination.limit(end);
        within = 0;
        i += blocks;
      }
      at = offset + destination.position() - start;
    }
  }

  /** Reads adjacent whole blocks straight to where they are wanted. */
  private void readRun(long block, int index, int blocks, Batch batch, ByteBuffer destination)
      throws IOException {
    int start = destination.position();
    int end = destination.limit();
    long location = batch.locations[index];
    Group group = state.allocator.group(BlockPointer.group(location));
    boolean whole =
        state.storage.readQuick(group, BlockPointer.unit(location), blockUnits, destination);
    CRC32C crc = new CRC32C();
    for (int i = 0; i < blocks; i++) {
      destination.limit(start + (i + 1) * blockBytes).position(start + i * blockBytes);
      if (whole) {
        crc.reset();
        crc.update(destination);
        if ((int) crc.getValue() == BlockPointer.crc(batch.checks[index + i])) {
          continue;
        }
        destination.position(start + i * blockBytes);
      }
      ByteBuffer mended = readChecked(block + i);
      try {
        destination.put(mended);
      } finally {
        BufferPool.give(mended);
      }
    }
    destination.limit(end).position(end);
  }

  private void readPart(long block, long location, long check, int within, ByteBuffer destination)
      throws IOException {
    ByteBuffer plain = readStored(block, location, check);
    if (plain == null) {
      plain = readChecked(block);
    }
    try {
      plain.limit(within + destination.remaining()).position(within);
      destination.put(plain);
    } finally {
      BufferPool.give(plain);
    }
  }

  /** Reads and decodes a block the quick way; null when it does not match its checksum. */
  private @Nullable ByteBuffer readStored(long block, long location, long check)
      throws IOException {
    Group group = state.allocator.group(BlockPointer.group(location));
    int bytes = BlockPointer.units(location) * UNIT_BYTES;
    ByteBuffer stored = BufferPool.take(bytes);
    boolean read =
        state.storage.readQuick(
            group, BlockPointer.unit(location), BlockPointer.units(location), stored);
    if (!read || DiskLabel.crc(stored.flip()) != BlockPointer.crc(check)) {
      BufferPool.give(stored);
      return null;
    }
    return decode(block, location, stored.clear().limit(bytes));
  }

  private ByteBuffer decode(long block, long location, ByteBuffer stored) throws IOException {
    boolean packed = BlockPointer.compressed(location);
    if (packed ? codec.plain() || stored.limit() > blockBytes : stored.limit() != blockBytes) {
      int bytes = stored.limit();
      BufferPool.give(stored);
      throw new IOException(
          "block %d of volume %s is stored in %d bytes, which cannot be"
              .formatted(block, record.name(), bytes));
    }
    if (codec.plain()) {
      return stored;
    }
    ByteBuffer plain = BufferPool.take(blockBytes);
    codec.decode(block, stored, packed, plain);
    BufferPool.give(stored);
    return plain;
  }

  /**
   * Reads a block that did not match its checksum: it was moved meanwhile, or it is damaged and has
   * to be put right from what redundancy there is.
   */
  private ByteBuffer readChecked(long block) throws IOException {
    family.lock.writeLock().lock();
    try {
      TreeNode leaf = family.leaf(version, block);
      int slot = (int) block & (FAN_OUT - 1);
      long location = leaf == null ? 0 : leaf.location(slot);
      if (leaf == null || location == 0) {
        ByteBuffer zeros = BufferPool.take(blockBytes);
        BufferPool.putZeros(zeros);
        return zeros.flip();
      }
      // nobody can free the block while the lock is held, so it may also be mended in place
      BlockReader.Recovered recovered = state.reader.recover(location, leaf.check(slot));
      if (recovered == null) {
        state.listener.event(
            new PoolEvent(Kind.LOST, record.name(), "block " + block + " cannot be read any more"));
        throw new IOException(
            "block %d of volume %s is damaged on all disks that have it"
                .formatted(block, record.name()));
      }
      state.reader.heal(location, recovered);
      ByteBuffer stored = BufferPool.take(BlockPointer.units(location) * UNIT_BYTES);
      stored.put(recovered.contents().clear()).flip();
      return decode(block, location, stored);
    } finally {
      family.lock.writeLock().unlock();
    }
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    requireWritable();
    requireInside(offset, source.remaining());
    if (!source.hasRemaining()) {
      return;
    }
    throttle.pass(source.remaining());
    pool.upkeep().relieve();
    long first = offset / blockBytes;
    long last = (offset + source.remaining() - 1) / blockBytes;
    try (RangeLocks.Range held = ranges.acquire(first, last)) {
      long at = offset;
      int end = source.limit();
      while (source.position() < end) {
        int within = (int) (at % blockBytes);
        int left = end - source.position();
        if (within == 0 && left >= blockBytes && codec.plain()) {
          int bytes = left / blockBytes * blockBytes;
          source.limit(source.position() + bytes);
          writeBlocks(at / blockBytes, source);
          source.limit(end);
          at += bytes;
        } else {
          int bytes = Math.min(left, blockBytes - within);
          source.limit(source.position() + bytes);
          writePart(at / blockBytes, within, source);
          source.limit(end);
          at += bytes;
        }
      }
    }
  }

  @Override
  public void requireWritable() throws IOException {
    if (readOnly) {
      throw new IOException("a snapshot is read-only; clone it to write");
    }
    state.requireWorking();
  }

  private void writePart(long block, int within, ByteBuffer source) throws IOException {
    ByteBuffer whole = BufferPool.take(blockBytes);
    try {
      if (source.remaining() < blockBytes) {
        readWhole(block, whole);
      }
      whole.position(within).put(source);
      writeEncoded(block, whole.clear().limit(blockBytes));
    } finally {
      BufferPool.give(whole);
    }
  }

  private void readWhole(long block, ByteBuffer target) throws IOException {
    Batch batch = BATCHES.get();
    lookUp(block, 1, batch);
    if (batch.locations[0] == 0) {
      BufferPool.putZeros(target);
    } else {
      readPart(block, batch.locations[0], batch.checks[0], 0, target);
    }
    target.clear().limit(blockBytes);
  }

  private void writeEncoded(long block, ByteBuffer plain) throws IOException {
    if (codec.plain()) {
      writeBlocks(block, plain);
      return;
    }
    BlockCodec.Encoded encoded = codec.encode(block, plain);
    try {
      ByteBuffer bytes = encoded.bytes();
      int units = bytes.remaining() / UNIT_BYTES;
      int crc = DiskLabel.crc(bytes.duplicate());
      SpaceAllocator.Run run = pool.upkeep().allocate(record, units, units);
      long location =
          BlockPointer.location(run.group().id, run.unit(), units, encoded.compressed());
      store(run, units, bytes, block, new long[] {location}, new int[] {crc});
    } finally {
      BufferPool.give(encoded.bytes());
    }
  }

  /** Writes whole blocks as they are. */
  private void writeBlocks(long firstBlock, ByteBuffer source) throws IOException {
    long block = firstBlock;
    int end = source.limit();
    CRC32C crc = new CRC32C();
    while (source.position() < end) {
      int wanted = Math.min(BATCH, (end - source.position()) / blockBytes);
      SpaceAllocator.Run run = pool.upkeep().allocate(record, blockUnits, wanted * blockUnits);
      int count = run.units() / blockUnits;
      int start = source.position();
      int[] crcs = new int[count];
      long[] locations = new long[count];
      for (int i = 0; i < count; i++) {
        source.limit(start + (i + 1) * blockBytes).position(start + i * blockBytes);
        crc.reset();
        crc.update(source);
        crcs[i] = (int) crc.getValue();
        locations[i] =
            BlockPointer.location(run.group().id, run.unit() + i * blockUnits, blockUnits, false);
      }
      source.limit(start + count * blockBytes).position(start);
      store(run, blockUnits, source, block, locations, crcs);
      source.limit(end).position(start + count * blockBytes);
      block += count;
    }
  }

  private void store(
      SpaceAllocator.Run run,
      int units,
      ByteBuffer bytes,
      long firstBlock,
      long[] locations,
      int[] crcs)
      throws IOException {
    state.writers.readLock().lock();
    try {
      try {
        state.storage.write(run.group(), run.unit(), units, bytes);
      } catch (IOException failure) {
        state.allocator.giveBack(run);
        throw failure;
      }
      map(firstBlock, locations.length, locations, crcs);
    } finally {
      state.writers.readLock().unlock();
    }
  }

  /** Lets blocks point to what has been written, and frees what nobody else has. */
  private void map(long firstBlock, int count, long[] locations, int[] crcs) throws IOException {
    state.quiesce.readLock().lock();
    try {
      family.lock.writeLock().lock();
      try {
        if (locations[0] == 0) {
          for (int i = 0; i < count; i++) {
            unmap(version, firstBlock + i);
          }
        } else {
          PoolState.applyRun(state, family, version, firstBlock, locations, crcs);
        }
      } finally {
        family.lock.writeLock().unlock();
      }
    } finally {
      state.quiesce.readLock().unlock();
    }
  }

  private void unmap(Version now, long block) throws IOException {
    TreeNode present = family.leaf(now, block);
    if (present != null && present.location((int) block & (FAN_OUT - 1)) != 0) {
      state.log(now, block, 0, 0);
      PoolState.apply(state, family, now, block, 0, 0);
    }
  }

  @Override
  public void flush() throws IOException {
    if (!readOnly) {
      pool.commit();
    }
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    requireWritable();
    requireInside(offset, length);
    long first = (offset + blockBytes - 1) / blockBytes;
    long last =
        offset + length == sizeBytes()
            ? (sizeBytes() + blockBytes - 1) / blockBytes
            : (offset + length) / blockBytes;
    unmap(first, last);
  }

  private void unmap(long first, long last) throws IOException {
    if (first >= last) {
      return;
    }
    pool.upkeep().relieve();
    try (RangeLocks.Range held = ranges.acquire(first, last - 1)) {
      long[] nothing = new long[FAN_OUT];
      int[] noCrc = new int[FAN_OUT];
      for (long block = first; block < last; ) {
        int count = (int) Math.min(last - block, FAN_OUT - (block & (FAN_OUT - 1)));
        if (hasLeaf(block)) {
          map(block, count, nothing, noCrc);
          pool.upkeep().relieve();
        }
        block += count;
      }
    }
  }

  private boolean hasLeaf(long block) throws IOException {
    family.lock.writeLock().lock();
    try {
      return family.leaf(version, block) != null;
    } finally {
      family.lock.writeLock().unlock();
    }
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    requireWritable();
    requireInside(offset, length);
    long end = offset + length;
    long first = (offset + blockBytes - 1) / blockBytes;
    long last = end == sizeBytes() ? (end + blockBytes - 1) / blockBytes : end / blockBytes;
    if (first >= last) {
      zeroPart(offset, (int) length);
      return;
    }
    zeroPart(offset, (int) (first * blockBytes - offset));
    unmap(first, last);
    if (last * blockBytes < end) {
      zeroPart(last * blockBytes, (int) (end - last * blockBytes));
    }
  }

  private void zeroPart(long offset, int length) throws IOException {
    if (length > 0) {
      ByteBuffer zeros = BufferPool.take(length);
      try {
        BufferPool.putZeros(zeros);
        write(offset, zeros.flip());
      } finally {
        BufferPool.give(zeros);
      }
    }
  }

  @Override
  public Extent status(long offset, long length) throws IOException {
    requireInside(offset, length);
    Batch batch = BATCHES.get();
    long block = offset / blockBytes;
    long end = offset + length;
    long last = (end - 1) / blockBytes;
    boolean stored = false;
    long next = block;
    while (next <= last) {
      int count = (int) Math.min(BATCH, last - next + 1);
      lookUp(next, count, batch);
      for (int i = 0; i < count; i++) {
        boolean here = batch.locations[i] != 0;
        if (next + i == block) {
          stored = here;
        } else if (here != stored) {
          return extent(stored, (next + i) * blockBytes - offset);
        }
      }
      next += count;
    }
    return extent(stored, length);
  }

  private static Extent extent(boolean stored, long length) {
    return stored ? Extent.data(length) : Extent.hole(length);
  }

  @Override
  public void resize(long newSizeBytes) throws IOException {
    requireWritable();
    pool.resize(this, record.name(), newSizeBytes);
  }

  /** Forgets what lies beyond a new, smaller size. */
  void cut(long newSizeBytes) throws IOException {
    long size = sizeBytes();
    writeZeroes(newSizeBytes, size - newSizeBytes, true);
  }

  /** Closes this handle; the volume lives on in its pool. */
  @Override
  public void close() throws IOException {
    pool.closed(this);
    if (!readOnly && state.broken == null) {
      flush();
    }
  }
}
