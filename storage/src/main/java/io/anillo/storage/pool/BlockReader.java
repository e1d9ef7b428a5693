package io.anillo.storage.pool;

import io.anillo.storage.pool.PoolEvent.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Reads single blocks with every means there is, and finds out which columns are wrong. */
final class BlockReader {
  private final SpaceAllocator allocator;
  private final GroupStorage storage;
  private final PoolListener listener;

  BlockReader(SpaceAllocator allocator, GroupStorage storage, PoolListener listener) {
    this.allocator = allocator;
    this.storage = storage;
    this.listener = listener;
  }

  /**
   * A block with all its columns put right.
   *
   * @param contents the block, checked
   * @param columns what each column has to hold
   * @param wrong the columns that held something else or could not be read
   */
  record Recovered(ByteBuffer contents, ByteBuffer[] columns, boolean[] wrong) {
    boolean clean() {
      for (boolean column : wrong) {
        if (column) {
          return false;
        }
      }
      return true;
    }
  }

  /** Reads all columns of a block; empty when too little of it is right. */
  @Nullable Recovered recover(long location, long check) throws IOException {
    Group group = allocator.group(BlockPointer.group(location));
    int unit = BlockPointer.unit(location);
    int units = BlockPointer.units(location);
    @Nullable ByteBuffer[] read = storage.readColumns(group, unit, units);
    return switch (group.redundancy.kind()) {
      case NONE, STRIPED, MIRROR -> recoverCopies(group, read, check);
      case PARITY -> recoverParity(group, read, units, check);
    };
  }

  private @Nullable Recovered recoverCopies(Group group, @Nullable ByteBuffer[] read, long check) {
    boolean[] wrong = new boolean[read.length];
    ByteBuffer good = null;
    for (int c = 0; c < read.length; c++) {
      ByteBuffer copy = read[c];
      wrong[c] = copy == null || DiskLabel.crc(copy.duplicate()) != BlockPointer.crc(check);
      if (copy != null && wrong[c]) {
        group.disks[c].checksumErrors.increment();
      } else if (copy != null && good == null) {
        good = copy;
      }
    }
    if (good == null) {
      return null;
    }
    ByteBuffer[] columns = new ByteBuffer[read.length];
    Arrays.fill(columns, good);
    return new Recovered(good.duplicate(), columns, wrong);
  }

  private @Nullable Recovered recoverParity(
      Group group, @Nullable ByteBuffer[] read, int units, long check) {
    int width = group.width();
    int columnBytes = units / group.redundancy.data() * BlockPointer.UNIT_BYTES;
    int absent = 0;
    for (ByteBuffer column : read) {
      absent += column == null ? 1 : 0;
    }
    // assume ever more columns wrong until what remains gives the right block
    for (int suspects = 0; absent + suspects <= group.redundancy.extra(); suspects++) {
      int[] chosen = new int[suspects];
      for (int i = 0; i < suspects; i++) {
        chosen[i] = i;
      }
      do {
        Recovered recovered = tryWithout(group, read, chosen, columnBytes, check);
        if (recovered != null) {
          for (int c = 0; c < width; c++) {
            if (recovered.wrong[c] && read[c] != null) {
              group.disks[c].checksumErrors.increment();
            }
          }
          return recovered;
        }
      } while (nextCombination(chosen, width));
    }
    return null;
  }

  private static boolean nextCombination(int[] chosen, int width) {
    for (int i = chosen.length - 1; i >= 0; i--) {
      if (chosen[i] < width - (chosen.length - i)) {
        chosen[i]++;
        for (int j = i + 1; j < chosen.length; j++) {
          chosen[j] = chosen[j - 1] + 1;
        }
        return true;
      }
    }
    return false;
  }

  private @Nullable Recovered tryWithout(
      Group group, @Nullable ByteBuffer[] read, int[] suspects, int columnBytes, long check) {
    ByteBuffer[] columns = new ByteBuffer[read.length];
    boolean[] present = new boolean[read.length];
    for (int c = 0; c < read.length; c++) {
      ByteBuffer column = read[c];
      present[c] = column != null;
      columns[c] = column == null ? ByteBuffer.allocateDirect(columnBytes) : column.duplicate();
    }
    for (int suspect : suspects) {
      if (!present[suspect]) {
        return null;
      }
      present[suspect] = false;
      columns[suspect] = ByteBuffer.allocateDirect(columnBytes);
    }
    if (!storage.reconstruct(group, columns, present)) {
      return null;
    }
    int data = group.redundancy.data();
    ByteBuffer contents = ByteBuffer.allocateDirect(columnBytes * data);
    for (int c = 0; c < data; c++) {
      contents.put(columns[c].duplicate().clear());
    }
    contents.clear();
    if (DiskLabel.crc(contents.duplicate()) != BlockPointer.crc(check)) {
      return null;
    }
    // the data is right: so must the parity be that it gives
    boolean[] wrong = new boolean[read.length];
    ByteBuffer[] right = new ByteBuffer[read.length];
    boolean[] dataOnly = new boolean[read.length];
    for (int c = 0; c < read.length; c++) {
      dataOnly[c] = c < data;
      right[c] = c < data ? columns[c] : ByteBuffer.allocateDirect(columnBytes);
    }
    storage.reconstruct(group, right, dataOnly);
    for (int c = 0; c < read.length; c++) {
      ByteBuffer column = read[c];
      wrong[c] =
          column == null || column.duplicate().clear().mismatch(right[c].duplicate().clear()) >= 0;
    }
    return new Recovered(contents, right, wrong);
  }

  /** Writes the right contents to the columns that held wrong ones; returns how many. */
  int heal(long location, Recovered recovered) throws IOException {
    Group group = allocator.group(BlockPointer.group(location));
    int healed = 0;
    if (group.redundancy.extra() == 0) {
      return 0;
    }
    for (int c = 0; c < recovered.wrong.length; c++) {
      if (recovered.wrong[c] && group.disks[c].usable()) {
        storage.writeOneColumn(group, BlockPointer.unit(location), c, recovered.columns[c], false);
        healed++;
        listener.event(
            new PoolEvent(
                Kind.HEALED,
                group.disks[c].name(),
                "a block of " + BlockPointer.describe(location) + " was wrong and is right again"));
      }
    }
    return healed;
  }
}
