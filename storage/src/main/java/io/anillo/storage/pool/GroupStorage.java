package io.anillo.storage.pool;

import static io.anillo.storage.pool.BlockPointer.UNIT_BYTES;

import io.anillo.storage.block.BufferPool;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Reads and writes runs of units of a group on its disks: copies for mirrors, columns with parity.
 * Hot: {@code anillo bench storage} watches it.
 */
final class GroupStorage {
  private final BiConsumer<PoolDisk, IOException> diskFailed;

  /** Held shared by writers, alone while a column changes its place. */
  private final ReentrantReadWriteLock layout = new ReentrantReadWriteLock();

  private final Map<Integer, ReedSolomon> codes = new ConcurrentHashMap<>();

  /**
   * @param diskFailed told of every failed call; has to take the disk out of use
   */
  GroupStorage(BiConsumer<PoolDisk, IOException> diskFailed) {
    this.diskFailed = diskFailed;
  }

  private ReedSolomon code(Redundancy redundancy) {
    int key = redundancy.data() * 16 + redundancy.extra();
    return codes.computeIfAbsent(
        key, absent -> new ReedSolomon(redundancy.data(), redundancy.extra()));
  }

  /** A column's place for a run of a block, in bytes within its slab. */
  private static long rowOffset(Group group, int unit) {
    return (long) (unit / group.redundancy.data()) * UNIT_BYTES;
  }

  /**
   * Writes a run of whole blocks, from the buffer's position to its limit.
   *
   * @param blockUnits units of one block; matters for parity, where each block is a stripe
   */
  void write(Group group, int unit, int blockUnits, ByteBuffer source) throws IOException {
    layout.readLock().lock();
    try {
      switch (group.redundancy.kind()) {
        case NONE, MIRROR -> writeCopies(group, unit, source);
        case STRIPED -> writeStriped(group, unit, source);
        case PARITY -> writeParity(group, unit, blockUnits, source);
      }
    } finally {
      layout.readLock().unlock();
    }
  }

  /**
   * Lets a column be read from its new place. It is still written to both, until what names the new
   * place is durable.
   */
  void swapTarget(Group group, int column) {
    layout.writeLock().lock();
    try {
      PoolDisk target = group.targetDisks[column];
      if (target == null) {
        throw new IllegalStateException("group " + group.id + " is not moving");
      }
      int slab = group.targetSlabs[column];
      group.targetDisks[column] = group.disks[column];
      group.targetSlabs[column] = group.slabs[column];
      group.disks[column] = target;
      group.slabs[column] = slab;
    } finally {
      layout.writeLock().unlock();
    }
  }

  /** Writes a column to its present place only. */
  void endTarget(Group group, int column) {
    layout.writeLock().lock();
    try {
      group.targetDisks[column] = null;
    } finally {
      layout.writeLock().unlock();
    }
  }

  private void writeCopies(Group group, int unit, ByteBuffer source) throws IOException {
    int start = source.position();
    int written = 0;
    for (int column = 0; column < group.width(); column++) {
      source.position(start);
      if (writeColumn(group, column, (long) unit * UNIT_BYTES, source)) {
        written++;
      }
    }
    source.position(source.limit());
    if (written == 0) {
      throw lost(group, "no disk of it can be written");
    }
  }

  /** Writes to a column and, if it is moving, to its new place too. */
  private boolean writeColumn(Group group, int column, long within, ByteBuffer source) {
    int start = source.position();
    PoolDisk target = group.targetDisks[column];
    if (target != null && target.usable()) {
      tryWrite(target, group.targetSlabs[column], within, source);
      source.position(start);
    }
    PoolDisk disk = group.disks[column];
    return disk.usable() && tryWrite(disk, group.slabs[column], within, source);
  }

  private boolean tryWrite(PoolDisk disk, int slab, long within, ByteBuffer source) {
    try {
      disk.write(slab, within, source);
      return true;
    } catch (IOException failure) {
      diskFailed.accept(disk, failure);
      return false;
    }
  }

  private void writeStriped(Group group, int unit, ByteBuffer source) throws IOException {
    int end = source.limit();
    int at = unit;
    while (source.position() < end) {
      int left = (end - source.position()) / UNIT_BYTES;
      int count = Math.min(left, Group.STRIPE_UNITS - at % Group.STRIPE_UNITS);
      source.limit(source.position() + count * UNIT_BYTES);
      if (!writeColumn(group, stripeColumn(group, at), stripeOffset(group, at), source)) {
        throw lost(group, "a striped disk failed");
      }
      source.limit(end);
      at += count;
    }
  }

  private static int stripeColumn(Group group, int unit) {
    return unit / Group.STRIPE_UNITS % group.width();
  }

  private static long stripeOffset(Group group, int unit) {
    int stripe = unit / Group.STRIPE_UNITS / group.width();
    return ((long) stripe * Group.STRIPE_UNITS + unit % Group.STRIPE_UNITS) * UNIT_BYTES;
  }

  private void writeParity(Group group, int unit, int blockUnits, ByteBuffer source)
      throws IOException {
    Redundancy redundancy = group.redundancy;
    int data = redundancy.data();
    int columnBytes = blockUnits / data * UNIT_BYTES;
    ByteBuffer parity = BufferPool.take(columnBytes * redundancy.extra());
    ByteBuffer[] columns = new ByteBuffer[redundancy.width()];
    try {
      int at = unit;
      while (source.hasRemaining()) {
        for (int c = 0; c < columns.length; c++) {
          columns[c] =
              c < data
                  ? source.slice(source.position() + c * columnBytes, columnBytes)
                  : parity.slice((c - data) * columnBytes, columnBytes);
        }
        code(redundancy).encode(columns);
        int written = 0;
        for (int c = 0; c < columns.length; c++) {
          if (writeColumn(group, c, rowOffset(group, at), columns[c])) {
            written++;
          }
        }
        if (written < data) {
          throw lost(group, "too many of its disks failed");
        }
        source.position(source.position() + data * columnBytes);
        at += blockUnits;
      }
    } finally {
      BufferPool.give(parity);
    }
  }

  /**
   * Reads a run without checking it, the quick way. False when a disk that it needs is not there,
   * in which case the blocks have to be read one by one.
   */
  boolean readQuick(Group group, int unit, int blockUnits, ByteBuffer target) {
    int start = target.position();
    try {
      switch (group.redundancy.kind()) {
        case NONE, MIRROR -> {
          int column = pick(group, unit);
          if (column < 0) {
            return false;
          }
          readColumn(group, column, (long) unit * UNIT_BYTES, target);
        }
        case STRIPED -> readStriped(group, unit, target);
        case PARITY -> readParity(group, unit, blockUnits, target);
      }
      return true;
    } catch (IOException failure) {
      target.position(start);
      return false;
    }
  }

  /** Spreads reads over the copies, by place so that neighbours come from one disk. */
  private static int pick(Group group, int unit) {
    int width = group.width();
    int first = (unit >>> 8) % width;
    for (int i = 0; i < width; i++) {
      int column = (first + i) % width;
      if (group.disks[column].usable()) {
        return column;
      }
    }
    return -1;
  }

  private void readColumn(Group group, int column, long within, ByteBuffer target)
      throws IOException {
    PoolDisk disk = group.disks[column];
    if (!disk.usable()) {
      throw new IOException(disk.name() + " is not in use");
    }
    try {
      disk.read(group.slabs[column], within, target);
    } catch (IOException failure) {
      diskFailed.accept(disk, failure);
      throw failure;
    }
  }

  private void readStriped(Group group, int unit, ByteBuffer target) throws IOException {
    int end = target.limit();
    int at = unit;
    try {
      while (target.position() < end) {
        int left = (end - target.position()) / UNIT_BYTES;
        int count = Math.min(left, Group.STRIPE_UNITS - at % Group.STRIPE_UNITS);
        target.limit(target.position() + count * UNIT_BYTES);
        readColumn(group, stripeColumn(group, at), stripeOffset(group, at), target);
        at += count;
      }
    } finally {
      target.limit(end);
    }
  }

  private void readParity(Group group, int unit, int blockUnits, ByteBuffer target)
      throws IOException {
    int data = group.redundancy.data();
    int columnBytes = blockUnits / data * UNIT_BYTES;
    int end = target.limit();
    int at = unit;
    try {
      while (target.position() < end) {
        for (int c = 0; c < data; c++) {
          target.limit(target.position() + columnBytes);
          readColumn(group, c, rowOffset(group, at), target);
        }
        at += blockUnits;
      }
    } finally {
      target.limit(end);
    }
  }

  /** What is stored of one block, column by column; null where a disk cannot give it. */
  @Nullable ByteBuffer[] readColumns(Group group, int unit, int blockUnits) {
    boolean parity = group.redundancy.kind() == Redundancy.Kind.PARITY;
    boolean striped = group.redundancy.kind() == Redundancy.Kind.STRIPED;
    int bytes =
        parity ? blockUnits / group.redundancy.data() * UNIT_BYTES : blockUnits * UNIT_BYTES;
    @Nullable ByteBuffer[] columns = new ByteBuffer[striped ? 1 : group.width()];
    for (int c = 0; c < columns.length; c++) {
      ByteBuffer bytesOfColumn = ByteBuffer.allocateDirect(bytes);
      try {
        if (striped) {
          readStriped(group, unit, bytesOfColumn);
        } else {
          long within = parity ? rowOffset(group, unit) : (long) unit * UNIT_BYTES;
          readColumn(group, c, within, bytesOfColumn);
        }
        columns[c] = bytesOfColumn.clear();
      } catch (IOException absent) {
        columns[c] = null;
      }
    }
    return columns;
  }

  /** Writes one column of one block, to heal it or to fill the place it moves to. */
  void writeOneColumn(Group group, int unit, int column, ByteBuffer bytes, boolean toTarget)
      throws IOException {
    boolean parity = group.redundancy.kind() == Redundancy.Kind.PARITY;
    long within = parity ? rowOffset(group, unit) : (long) unit * UNIT_BYTES;
    PoolDisk disk = toTarget ? group.targetDisks[column] : group.disks[column];
    int slab = toTarget ? group.targetSlabs[column] : group.slabs[column];
    if (disk != null && disk.usable()) {
      disk.write(slab, within, bytes.duplicate().clear());
    }
  }

  /** Writes one stripe piece or whole run to the place that a striped column moves to. */
  void writeStripedTarget(Group group, int unit, int column, ByteBuffer bytes) throws IOException {
    ByteBuffer source = bytes.duplicate().clear();
    int end = source.limit();
    int at = unit;
    while (source.position() < end) {
      int left = (end - source.position()) / UNIT_BYTES;
      int count = Math.min(left, Group.STRIPE_UNITS - at % Group.STRIPE_UNITS);
      source.limit(source.position() + count * UNIT_BYTES);
      PoolDisk disk = group.targetDisks[column];
      if (stripeColumn(group, at) == column && disk != null && disk.usable()) {
        disk.write(group.targetSlabs[column], stripeOffset(group, at), source);
      }
      source.position(source.limit()).limit(end);
      at += count;
    }
  }

  /** Rebuilds missing columns of a block with parity. */
  boolean reconstruct(Group group, ByteBuffer[] columns, boolean[] present) {
    return code(group.redundancy).reconstruct(columns, present);
  }

  private static IOException lost(Group group, String why) {
    return new IOException(
        "the pool cannot write " + group.redundancy + " group " + group.id + ": " + why);
  }
}
