package io.anillo.storage.pool;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/** A disk as a member of a pool: its slabs, and whether it can be relied on. */
final class PoolDisk {
  /** Whether a disk takes part. */
  enum State {
    ONLINE,
    /** Waits to take the place of one that fails. */
    SPARE,
    /** Failed; what it holds is out of date. */
    FAULTED,
    /** Not found when the pool was opened. */
    MISSING
  }

  final int id;
  final UUID uuid;
  final int slabs;
  final BitSet usedSlabs = new BitSet();
  final LongAdder checksumErrors = new LongAdder();
  final LongAdder ioErrors = new LongAdder();
  private final long slabBytes;
  private volatile @Nullable Disk disk;
  private volatile State state;
  private volatile boolean leaving;
  private final AtomicBoolean dirty = new AtomicBoolean();

  PoolDisk(int id, UUID uuid, int slabs, long slabBytes, State state, @Nullable Disk disk) {
    this.id = id;
    this.uuid = uuid;
    this.slabs = slabs;
    this.slabBytes = slabBytes;
    this.state = state;
    this.disk = disk;
  }

  String name() {
    Disk present = disk;
    return present == null ? "disk " + id + " (" + uuid + ")" : present.name();
  }

  State state() {
    return state;
  }

  void setState(State next) {
    state = next;
  }

  /** No new slabs are taken on it, because it is about to be removed. */
  boolean leaving() {
    return leaving;
  }

  void setLeaving(boolean value) {
    leaving = value;
  }

  boolean usable() {
    return state == State.ONLINE && disk != null;
  }

  boolean present() {
    return disk != null;
  }

  Disk disk() throws IOException {
    Disk present = disk;
    if (present == null) {
      throw new IOException(name() + " is missing");
    }
    return present;
  }

  void detach() throws IOException {
    Disk present = disk;
    disk = null;
    if (present != null) {
      present.close();
    }
  }

  long slabOffset(int slab) {
    return DiskLabel.SLABS_OFFSET + slab * slabBytes;
  }

  void read(int slab, long within, ByteBuffer target) throws IOException {
    disk().read(slabOffset(slab) + within, target);
  }

  void write(int slab, long within, ByteBuffer source) throws IOException {
    dirty.set(true);
    disk().write(slabOffset(slab) + within, source);
  }

  void writeAt(long offset, ByteBuffer source) throws IOException {
    dirty.set(true);
    disk().write(offset, source);
  }

  /** Makes everything written before this call durable. */
  void flush() throws IOException {
    if (dirty.getAndSet(false)) {
      boolean done = false;
      try {
        disk().flush();
        done = true;
      } finally {
        if (!done) {
          dirty.set(true);
        }
      }
    }
  }

  int freeSlabs() {
    return slabs - usedSlabs.cardinality();
  }
}
