package io.anillo.storage.qcow2;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reference counts of host clusters and their allocation (qcow2 specification, "Host cluster
 * management"). Blocks are read when first needed and written back by {@link Pending}. All calls
 * are made under the image's metadata lock.
 */
final class Refcounts {
  private static final long OFFSET_MASK = ~0x1ffL;

  private final ImageFile file;
  private final Qcow2Header header;
  private final int clusterBits;
  private final int blockBits;
  private final int order;

  private long[] table;
  private @Nullable ByteBuffer[] blocks;
  private final BitSet dirtyBlocks = new BitSet();
  private final BitSet dirtyTable = new BitSet();
  private List<PendingFrees.Free> retired = new ArrayList<>();

  /** No cluster from here on was ever allocated: the file has no data there. */
  private long highWater;

  /** No cluster before this one is free. */
  private long searchFrom;

  private long compressedEnd;

  Refcounts(ImageFile file, Qcow2Header header) throws IOException {
    this.file = file;
    this.header = header;
    this.clusterBits = header.clusterBits;
    this.order = header.refcountOrder;
    this.blockBits = clusterBits + 3 - order;
    this.table =
        file.readWords(
            header.refcountTableOffset, header.refcountTableClusters << (clusterBits - 3));
    this.blocks = new ByteBuffer[table.length];
    this.highWater = (file.sizeBytes() + (1L << clusterBits) - 1) >>> clusterBits;
  }

  long highWater() {
    return highWater;
  }

  long tableLength() {
    return table.length;
  }

  /** Host offset of a refcount block, or 0. */
  long blockOffset(int index) {
    return table[index] & OFFSET_MASK;
  }

  int blockEntriesBits() {
    return blockBits;
  }

  long maximum() {
    return order == 6 ? Long.MAX_VALUE : (1L << (1 << order)) - 1;
  }

  long get(long cluster) throws IOException {
    ByteBuffer block = block(cluster >>> blockBits);
    return block == null ? 0 : entry(block, (int) (cluster & ((1 << blockBits) - 1)));
  }

  private @Nullable ByteBuffer block(long index) throws IOException {
    if (index >= table.length) {
      return null;
    }
    int i = (int) index;
    ByteBuffer block = blocks[i];
    if (block == null) {
      long offset = table[i] & OFFSET_MASK;
      if (offset == 0) {
        return null;
      }
      if ((offset & ((1L << clusterBits) - 1)) != 0 || offset < 0 || offset >= file.sizeBytes()) {
        throw Qcow2Header.damaged(
            file.name(), "refcount block " + i + " cannot lie at " + Long.toUnsignedString(offset));
      }
      block = ByteBuffer.allocateDirect(1 << clusterBits);
      file.read(offset, block);
      block.clear();
      blocks[i] = block;
    }
    return block;
  }

  private long entry(ByteBuffer block, int index) {
    return switch (order) {
      case 0, 1, 2 -> {
        int bits = 1 << order;
        int perByte = 8 >> order;
        int shift = (index % perByte) * bits;
        yield (block.get(index / perByte) >>> shift) & ((1 << bits) - 1);
      }
      case 3 -> block.get(index) & 0xff;
      case 4 -> block.getShort(index * 2) & 0xffff;
      case 5 -> block.getInt(index * 4) & 0xffffffffL;
      default -> block.getLong(index * 8);
    };
  }

  private void setEntry(ByteBuffer block, int index, long value) {
    switch (order) {
      case 0, 1, 2 -> {
        int bits = 1 << order;
        int perByte = 8 >> order;
        int shift = (index % perByte) * bits;
        int mask = ((1 << bits) - 1) << shift;
        int old = block.get(index / perByte);
        block.put(index / perByte, (byte) ((old & ~mask) | ((int) value << shift)));
      }
      case 3 -> block.put(index, (byte) value);
      case 4 -> block.putShort(index * 2, (short) value);
      case 5 -> block.putInt(index * 4, (int) value);
      default -> block.putLong(index * 8, value);
    }
  }

  void set(long cluster, long value) throws IOException {
    if (value < 0 || value > maximum()) {
      throw new IOException(
          "%s: cluster %d would be referenced %d times; at most %d fit"
              .formatted(file.name(), cluster, value, maximum()));
    }
    ByteBuffer block = ensureBlock(cluster >>> blockBits);
    setEntry(block, (int) (cluster & ((1 << blockBits) - 1)), value);
    dirtyBlocks.set((int) (cluster >>> blockBits));
    if (value == 0) {
      searchFrom = Math.min(searchFrom, cluster);
    }
    highWater = Math.max(highWater, cluster + 1);
  }

  /** Adds to the count of every cluster that a range of host bytes touches. */
  void add(long hostOffset, long length, long delta) throws IOException {
    long last = (hostOffset + Math.max(1, length) - 1) >>> clusterBits;
    for (long cluster = hostOffset >>> clusterBits; cluster <= last; cluster++) {
      long old = get(cluster);
      if (old + delta < 0) {
        throw Qcow2Header.damaged(
            file.name(), "cluster " + cluster + " is freed more often than it is used");
      }
      set(cluster, old + delta);
    }
  }

  /** A run of allocated clusters; {@code fresh} ones were never written and read as zeros. */
  record Run(long hostOffset, int clusters, boolean fresh) {}

  /** Allocates at least one and at most {@code wanted} adjacent clusters. */
  Run allocate(int wanted) throws IOException {
    long cluster = searchFrom;
    while (cluster < highWater && !free(cluster)) {
      cluster++;
    }
    // the block that counts this cluster may itself have to take it
    ensureBlock(cluster >>> blockBits);
    while (!free(cluster)) {
      cluster++;
      ensureBlock(cluster >>> blockBits);
    }
    boolean fresh = cluster >= highWater;
    int count = 1;
    while (count < wanted
        && ((cluster + count) & ((1L << blockBits) - 1)) != 0
        && cluster + count >= highWater == fresh
        && free(cluster + count)) {
      count++;
    }
    for (int i = 0; i < count; i++) {
      set(cluster + i, 1);
    }
    searchFrom = cluster + count;
    return new Run(cluster << clusterBits, count, fresh);
  }

  private boolean free(long cluster) throws IOException {
    if (cluster == 0) {
      return false;
    }
    ByteBuffer block = block(cluster >>> blockBits);
    return block == null || entry(block, (int) (cluster & ((1 << blockBits) - 1))) == 0;
  }

  /** Allocates exactly this many adjacent clusters, for tables. */
  long allocateAdjacent(long count) throws IOException {
    if (count == 1) {
      return allocate(1).hostOffset;
    }
    while (true) {
      long start = highWater;
      for (long cluster = start; cluster < start + count; cluster += 1L << blockBits) {
        ensureBlockOutside(cluster >>> blockBits, start, count);
      }
      ensureBlockOutside((start + count - 1) >>> blockBits, start, count);
      boolean allFree = true;
      for (long cluster = start; cluster < start + count && allFree; cluster++) {
        allFree = free(cluster);
      }
      if (allFree) {
        for (long cluster = start; cluster < start + count; cluster++) {
          set(cluster, 1);
        }
        return start << clusterBits;
      }
    }
  }

  private void ensureBlockOutside(long index, long start, long count) throws IOException {
    if (index < table.length && (table[(int) index] & OFFSET_MASK) != 0) {
      return;
    }
    if (index >= table.length) {
      growTable(index, start + count);
    }
    if ((table[(int) index] & OFFSET_MASK) == 0) {
      placeBlock(index, Math.max(start + count, highWater));
    }
  }

  private ByteBuffer ensureBlock(long index) throws IOException {
    if (index >= table.length) {
      growTable(index, Math.max(highWater, index << blockBits));
    }
    ByteBuffer block = block(index);
    if (block == null) {
      // a range without a block has no used cluster: the block takes its first one; only in an
      // image that is being made do the header and the refcount table come before it
      placeBlock(index, index == 0 ? Math.max(2, highWater) : index << blockBits);
      block = block(index);
    }
    if (block == null) {
      throw new IllegalStateException("refcount block " + index + " was not placed");
    }
    return block;
  }

  private void placeBlock(long index, long cluster) throws IOException {
    int i = (int) index;
    ByteBuffer block = ByteBuffer.allocateDirect(1 << clusterBits);
    blocks[i] = block;
    table[i] = cluster << clusterBits;
    dirtyBlocks.set(i);
    dirtyTable.set(i);
    set(cluster, 1);
  }

  /** Moves the refcount table to a larger one that counts at least the given block. */
  private void growTable(long index, long at) throws IOException {
    long needed = Math.max(index + 1, table.length + table.length / 2L);
    long perCluster = 1L << (clusterBits - 3);
    long start = at;
    // room for the blocks that count the new table and the blocks themselves
    needed = Math.max(needed, ((start + needed / perCluster + 64) >>> blockBits) + 2);
    long clusters = (needed + perCluster - 1) / perCluster;
    if (clusters << clusterBits > 8L << 20) {
      throw new IOException(file.name() + " cannot grow: its refcount table would exceed 8 MiB");
    }
    long oldOffset = header.refcountTableOffset;
    int oldClusters = header.refcountTableClusters;
    long[] larger = new long[(int) (clusters * perCluster)];
    System.arraycopy(table, 0, larger, 0, table.length);
    @Nullable ByteBuffer[] largerBlocks = new ByteBuffer[larger.length];
    System.arraycopy(blocks, 0, largerBlocks, 0, blocks.length);
    table = larger;
    blocks = largerBlocks;
    long next = start + clusters;
    for (long cluster = start; cluster < start + clusters; cluster++) {
      long block = cluster >>> blockBits;
      if ((table[(int) block] & OFFSET_MASK) == 0) {
        next = placeAfter(block, next);
      }
      set(cluster, 1);
    }
    // new blocks, then the table, then the header that points to it
    for (int i = dirtyBlocks.nextSetBit(0); i >= 0; i = dirtyBlocks.nextSetBit(i + 1)) {
      ByteBuffer block = blocks[i];
      if (block != null) {
        file.write(table[i] & OFFSET_MASK, block.duplicate().clear());
      }
    }
    file.writeWords(start << clusterBits, table);
    file.flush();
    header.refcountTableOffset = start << clusterBits;
    header.refcountTableClusters = (int) clusters;
    file.write(0, header.serialize());
    file.flush();
    dirtyTable.clear();
    retired.add(new PendingFrees.Free(oldOffset, (long) oldClusters << clusterBits));
  }

  /** Old places of the table. A flush may be writing to them until the next one takes them. */
  List<PendingFrees.Free> takeRetired() {
    List<PendingFrees.Free> taken = retired;
    retired = new ArrayList<>();
    return taken;
  }

  private long placeAfter(long block, long next) throws IOException {
    long cluster = next;
    long own = cluster >>> blockBits;
    if (own != block && own < table.length && (table[(int) own] & OFFSET_MASK) == 0) {
      cluster = placeAfter(own, cluster);
    }
    placeBlock(block, cluster);
    return cluster + 1;
  }

  /**
   * Allocates bytes for one compressed cluster, next to the last one when it still fits the same
   * host cluster or the next.
   */
  long allocateCompressed(int length) throws IOException {
    int mask = (1 << clusterBits) - 1;
    long start = compressedEnd;
    int room = (int) (-start & mask);
    if (start == 0 || room < length || get(start >>> clusterBits) >= maximum()) {
      start = allocate(1).hostOffset;
    } else {
      add(start, 1, 1);
    }
    compressedEnd = start + length;
    if ((compressedEnd & mask) == 0) {
      compressedEnd = 0;
    }
    return start;
  }

  /** Never continues a partly used cluster again: it may be freed from now on. */
  void endCompressedRun() {
    compressedEnd = 0;
  }

  /** Changed blocks and table entries, copied so that they can be written without the lock. */
  static final class Pending {
    private final List<Write> blockWrites = new ArrayList<>();
    private final List<Write> tableWrites = new ArrayList<>();

    private record Write(long offset, ByteBuffer bytes) {}

    boolean isEmpty() {
      return blockWrites.isEmpty() && tableWrites.isEmpty();
    }

    /** Writes blocks and then, once those are durable, the table that points to new ones. */
    void write(ImageFile file) throws IOException {
      for (Write write : blockWrites) {
        file.write(write.offset, write.bytes.clear());
      }
      if (!tableWrites.isEmpty()) {
        file.flush();
        for (Write write : tableWrites) {
          file.write(write.offset, write.bytes.clear());
        }
      }
    }
  }

  Pending takeDirty() {
    Pending pending = new Pending();
    for (int i = dirtyBlocks.nextSetBit(0); i >= 0; i = dirtyBlocks.nextSetBit(i + 1)) {
      ByteBuffer block = blocks[i];
      if (block != null) {
        ByteBuffer copy =
            ByteBuffer.allocateDirect(1 << clusterBits).put(block.duplicate().clear());
        pending.blockWrites.add(new Pending.Write(table[i] & OFFSET_MASK, copy));
      }
    }
    dirtyBlocks.clear();
    for (int i = dirtyTable.nextSetBit(0); i >= 0; i = dirtyTable.nextSetBit(i + 1)) {
      ByteBuffer entry = ByteBuffer.allocateDirect(8).putLong(0, table[i]);
      pending.tableWrites.add(new Pending.Write(header.refcountTableOffset + 8L * i, entry));
    }
    dirtyTable.clear();
    return pending;
  }

  /** Drops what was read, for a check that has rewritten the file. */
  void setHighWater(long cluster) {
    highWater = cluster;
    searchFrom = Math.min(searchFrom, cluster);
  }
}
