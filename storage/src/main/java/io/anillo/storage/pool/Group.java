package io.anillo.storage.pool;

import java.io.DataOutputStream;
import java.io.IOException;
import java.util.BitSet;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Slabs of different disks that together hold blocks with one redundancy. Pointers name the group,
 * not the disk, so a slab can move without a pointer changing.
 */
final class Group {
  static final int STRIPE_UNITS = 16;

  final int id;
  final Redundancy redundancy;
  final boolean metadata;
  final int slabUnits;
  final PoolDisk[] disks;
  final int[] slabs;

  /** While a column moves or is rebuilt: where to. Written as well, not yet read. */
  final @Nullable PoolDisk[] targetDisks;

  final int[] targetSlabs;

  /** Units in use or waiting to be free. In granules. Guarded by the allocator, as what follows. */
  final FreeMap space;

  /** Of those in use, the ones given out since the last commit: nothing durable names them. */
  final BitSet young = new BitSet();

  /** Where the next run is looked for. */
  int cursor;

  /** Where the next long run is looked for. */
  int longCursor;

  /** Adjacent granules, or more, that are known not to be free. */
  int tooMany = Integer.MAX_VALUE;

  /** The place in its list. */
  int place;

  private @Nullable GroupList list;

  Group(
      int id,
      Redundancy redundancy,
      boolean metadata,
      int slabUnits,
      PoolDisk[] disks,
      int[] slabs) {
    this.id = id;
    this.redundancy = redundancy;
    this.metadata = metadata;
    this.slabUnits = slabUnits;
    this.disks = disks;
    this.slabs = slabs;
    this.targetDisks = new PoolDisk[disks.length];
    this.targetSlabs = new int[disks.length];
    this.space = new FreeMap(granules());
  }

  int width() {
    return disks.length;
  }

  /** Units that pointers can name. */
  int units() {
    return slabUnits * redundancy.data();
  }

  int granules() {
    return units() / redundancy.granule();
  }

  int freeGranules() {
    return space.free();
  }

  /** Whether it holds nothing and is not moving. */
  boolean empty() {
    for (PoolDisk target : targetDisks) {
      if (target != null) {
        return false;
      }
    }
    return space.free() == space.size();
  }

  int usedGranules() {
    return space.size() - space.free();
  }

  /** The list of the allocator that it is in. */
  GroupList list() {
    return Objects.requireNonNull(list);
  }

  void enter(GroupList entered, int placeInIt) {
    list = entered;
    place = placeInIt;
  }

  /** Whether no column is missing, so that new blocks get all their redundancy. */
  boolean whole() {
    for (PoolDisk disk : disks) {
      if (!disk.usable()) {
        return false;
      }
    }
    return true;
  }

  /** Columns that cannot be written now. */
  int missing() {
    int missing = 0;
    for (PoolDisk disk : disks) {
      if (!disk.usable()) {
        missing++;
      }
    }
    return missing;
  }

  boolean writable() {
    return missing() <= redundancy.extra();
  }

  boolean contains(PoolDisk disk) {
    for (int i = 0; i < disks.length; i++) {
      if (disks[i] == disk || targetDisks[i] == disk) {
        return true;
      }
    }
    return false;
  }

  void write(DataOutputStream out) throws IOException {
    out.writeInt(id);
    out.writeByte(redundancy.kind().ordinal());
    out.writeByte(redundancy.data());
    out.writeByte(redundancy.extra());
    out.writeBoolean(metadata);
    for (int i = 0; i < disks.length; i++) {
      out.writeInt(disks[i].id);
      out.writeInt(slabs[i]);
    }
  }

  /** Finds the disk of an id. */
  interface Disks {
    PoolDisk disk(int id) throws IOException;
  }

  static Group read(MetadataInput in, Disks known, int slabUnits) throws IOException {
    int id = in.readInt("group", 1, BlockPointer.MAX_GROUPS - 1);
    Redundancy redundancy = in.readRedundancy();
    boolean metadata = in.readBoolean();
    if (metadata && redundancy.data() != 1) {
      throw in.damaged("a group for metadata that is " + redundancy);
    }
    PoolDisk[] disks = new PoolDisk[redundancy.width()];
    int[] slabs = new int[disks.length];
    for (int i = 0; i < disks.length; i++) {
      disks[i] = known.disk(in.readInt());
      slabs[i] = in.readInt("slab", 0, disks[i].slabs - 1);
    }
    return new Group(id, redundancy, metadata, slabUnits, disks, slabs);
  }
}
