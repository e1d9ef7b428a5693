package io.anillo.storage.qcow2;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The mapping of guest clusters to host clusters: one L1 table and the L2 tables that are in memory
 * (qcow2 specification, "Cluster mapping"). Look-ups take no lock once a table is loaded.
 */
final class ClusterMap {
  static final long COPIED = 1L << 63;
  static final long COMPRESSED = 1L << 62;
  static final long ZERO = 1;
  static final long OFFSET_MASK = 0x00fffffffffffe00L;

  /** How a run of guest bytes is stored. */
  enum Kind {
    UNALLOCATED,
    ZERO,
    DATA,
    COMPRESSED
  }

  /** The answer of a look-up; one per request, reused. */
  static final class Mapping {
    Kind kind = Kind.UNALLOCATED;

    /** For data: where the first byte asked for lies. For compressed clusters: the descriptor. */
    long host;

    long length;

    /** For data: it may be overwritten where it is. For zeros: clusters are allocated. */
    boolean writable;
  }

  private final ImageFile file;
  private final Qcow2Header header;
  private final int clusterBits;
  private final int l2Bits;
  private final int wordsPerEntry;
  private final boolean extended;
  private final int maximumTables;

  long[] l1;
  private AtomicReferenceArray<@Nullable L2Table> tables;
  private final List<Integer> loaded = new ArrayList<>();
  private int clockHand;
  private boolean l1Dirty;

  ClusterMap(ImageFile file, Qcow2Header header, long[] l1, long cacheBytes) {
    this.file = file;
    this.header = header;
    this.clusterBits = header.clusterBits;
    this.l2Bits = header.l2EntriesBits();
    this.extended = header.extendedL2();
    this.wordsPerEntry = extended ? 2 : 1;
    this.l1 = l1;
    this.tables = new AtomicReferenceArray<>(l1.length);
    this.maximumTables = (int) Math.max(4, cacheBytes >> clusterBits);
  }

  int wordIndex(long guestOffset) {
    return (int) ((guestOffset >>> clusterBits) & ((1L << l2Bits) - 1)) * wordsPerEntry;
  }

  int l1Index(long guestOffset) {
    return (int) (guestOffset >>> (clusterBits + l2Bits));
  }

  /** The table of an L1 entry if it is in memory. */
  @Nullable L2Table cached(int l1Index) {
    L2Table table = tables.get(l1Index);
    if (table != null && !table.used) {
      table.used = true;
    }
    return table;
  }

  /** Loads a table, under the metadata lock. Null when the entry has none. */
  @Nullable L2Table load(int l1Index) throws IOException {
    L2Table table = cached(l1Index);
    if (table != null) {
      return table;
    }
    long offset = l1[l1Index] & OFFSET_MASK;
    if (offset == 0) {
      return null;
    }
    requireCluster(offset, "an L2 table");
    if (offset >= file.sizeBytes()) {
      throw Qcow2Header.damaged(
          file.name(), "an L2 table at " + offset + " lies beyond the end of the file");
    }
    table = new L2Table(offset, file.readWords(offset, 1 << (clusterBits - 3)));
    install(l1Index, table);
    return table;
  }

  void install(int l1Index, L2Table table) {
    if (loaded.size() >= maximumTables) {
      evictOne();
    }
    tables.set(l1Index, table);
    loaded.add(l1Index);
  }

  void replace(int l1Index, L2Table table) {
    if (tables.getAndSet(l1Index, table) == null) {
      loaded.add(l1Index);
    }
  }

  private void evictOne() {
    for (int step = 0; step < 2 * loaded.size(); step++) {
      clockHand = clockHand >= loaded.size() ? 0 : clockHand;
      int index = loaded.get(clockHand);
      L2Table table = tables.get(index);
      if (table == null || (!table.dirty && !table.beingWritten && !table.used)) {
        tables.set(index, null);
        int last = loaded.removeLast();
        if (clockHand < loaded.size()) {
          loaded.set(clockHand, last);
        }
        return;
      }
      table.used = false;
      clockHand++;
    }
  }

  /** Whether so many tables wait to be written that nothing could be evicted soon. */
  boolean mostlyDirty() {
    if (loaded.size() < maximumTables) {
      return false;
    }
    int dirty = 0;
    for (int index : loaded) {
      L2Table table = tables.get(index);
      if (table != null && table.dirty) {
        dirty++;
      }
    }
    return dirty * 2 > loaded.size();
  }

  void requireCluster(long offset, String what) throws IOException {
    if ((offset & ((1L << clusterBits) - 1)) != 0) {
      throw Qcow2Header.damaged(file.name(), what + " at " + offset + " is not aligned");
    }
  }

  /** Finds the mapping of the run that starts at a guest offset, within one L2 table. */
  void lookUp(@Nullable L2Table table, long guestOffset, long length, Mapping mapping)
      throws IOException {
    long clusterBytes = 1L << clusterBits;
    long inTable =
        (1L << (clusterBits + l2Bits)) - (guestOffset & ((1L << (clusterBits + l2Bits)) - 1));
    long wanted = Math.min(length, inTable);
    if (table == null) {
      mapping.kind = Kind.UNALLOCATED;
      mapping.length = wanted;
      mapping.writable = false;
      return;
    }
    if (extended) {
      lookUpExtended(table, guestOffset, wanted, mapping);
      return;
    }
    int index = wordIndex(guestOffset);
    long entry = table.word(index);
    long within = guestOffset & (clusterBytes - 1);
    long run = clusterBytes - within;
    Kind kind = kind(entry);
    mapping.kind = kind;
    mapping.writable = (entry & COPIED) != 0;
    mapping.host = 0;
    switch (kind) {
      case COMPRESSED -> mapping.host = entry;
      case DATA -> {
        long host = entry & OFFSET_MASK;
        requireCluster(host, "a data cluster");
        mapping.host = host + within;
        while (run < wanted) {
          long next = table.word(++index);
          host += clusterBytes;
          if ((next & ~OFFSET_MASK) != (entry & ~OFFSET_MASK) || (next & OFFSET_MASK) != host) {
            break;
          }
          run += clusterBytes;
        }
      }
      case ZERO, UNALLOCATED -> {
        boolean allocated = (entry & OFFSET_MASK) != 0;
        if (kind == Kind.ZERO) {
          mapping.writable = allocated && mapping.writable;
        }
        while (run < wanted) {
          long next = table.word(++index);
          if (kind(next) != kind || ((next & OFFSET_MASK) != 0) != allocated) {
            break;
          }
          run += clusterBytes;
        }
      }
    }
    mapping.length = Math.min(run, wanted);
  }

  private void lookUpExtended(L2Table table, long guestOffset, long wanted, Mapping mapping)
      throws IOException {
    long clusterBytes = 1L << clusterBits;
    int index = wordIndex(guestOffset);
    long entry = table.word(index);
    long bitmap = table.word(index + 1);
    long within = guestOffset & (clusterBytes - 1);
    mapping.writable = (entry & COPIED) != 0;
    mapping.host = 0;
    if ((entry & COMPRESSED) != 0) {
      mapping.kind = Kind.COMPRESSED;
      mapping.host = entry;
      mapping.length = Math.min(wanted, clusterBytes - within);
      return;
    }
    int subBits = clusterBits - 5;
    int first = (int) (within >>> subBits);
    mapping.kind = subKind(entry, bitmap, first);
    int last = first;
    while (last < 31 && subKind(entry, bitmap, last + 1) == mapping.kind) {
      last++;
    }
    if (mapping.kind == Kind.DATA) {
      long host = entry & OFFSET_MASK;
      requireCluster(host, "a data cluster");
      mapping.host = host + within;
    }
    long run = ((long) (last + 1) << subBits) - within;
    if (last == 31) {
      long host = (entry & OFFSET_MASK) + clusterBytes;
      while (run < wanted) {
        index += 2;
        long next = table.word(index);
        long nextBitmap = table.word(index + 1);
        boolean whole = wholeKind(next, nextBitmap) == mapping.kind;
        if (!whole
            || (mapping.kind == Kind.DATA
                && ((next & OFFSET_MASK) != host || ((next ^ entry) & COPIED) != 0))) {
          break;
        }
        run += clusterBytes;
        host += clusterBytes;
      }
    }
    mapping.length = Math.min(run, wanted);
  }

  private static @Nullable Kind wholeKind(long entry, long bitmap) {
    if ((entry & COMPRESSED) != 0) {
      return null;
    }
    if ((entry & OFFSET_MASK) != 0 && bitmap == 0xffffffffL) {
      return Kind.DATA;
    }
    if (bitmap == 0xffffffff00000000L) {
      return Kind.ZERO;
    }
    return bitmap == 0 ? Kind.UNALLOCATED : null;
  }

  private Kind subKind(long entry, long bitmap, int sub) throws IOException {
    boolean allocated = (bitmap >>> sub & 1) != 0;
    boolean zero = (bitmap >>> (32 + sub) & 1) != 0;
    if (allocated && (zero || (entry & OFFSET_MASK) == 0)) {
      throw Qcow2Header.damaged(file.name(), "a subcluster is both allocated and not");
    }
    return zero ? Kind.ZERO : allocated ? Kind.DATA : Kind.UNALLOCATED;
  }

  Kind kind(long entry) {
    if ((entry & COMPRESSED) != 0) {
      return Kind.COMPRESSED;
    }
    if ((entry & ZERO) != 0 && header.version >= 3 && !extended) {
      return Kind.ZERO;
    }
    return (entry & OFFSET_MASK) == 0 ? Kind.UNALLOCATED : Kind.DATA;
  }

  void setL1(int index, long value) {
    l1[index] = value;
    l1Dirty = true;
  }

  /** Replaces the whole mapping, whose tables on disk are already right. */
  void replaceL1(long[] words) {
    l1 = words;
    tables = new AtomicReferenceArray<>(words.length);
    loaded.clear();
    clockHand = 0;
    l1Dirty = false;
  }

  /** Makes room for a larger disk; the caller has moved the table in the file. */
  void growL1(int entries) {
    long[] larger = java.util.Arrays.copyOf(l1, entries);
    AtomicReferenceArray<@Nullable L2Table> largerTables = new AtomicReferenceArray<>(entries);
    for (int i = 0; i < l1.length; i++) {
      largerTables.set(i, tables.get(i));
    }
    l1 = larger;
    tables = largerTables;
  }

  /**
   * The changed tables, copied so that they can be written without the lock.
   *
   * @param originals what was copied; they stay in memory until {@link #arrived}, for the file
   *     still has what they were before
   */
  record Pending(List<L2Table> l2, long @Nullable [] l1, List<L2Table> originals) {
    boolean isEmpty() {
      return l2.isEmpty() && l1 == null;
    }
  }

  Pending takeDirty() {
    List<L2Table> copies = new ArrayList<>();
    List<L2Table> originals = new ArrayList<>();
    for (int index : loaded) {
      L2Table table = tables.get(index);
      if (table != null && table.dirty) {
        copies.add(new L2Table(table.hostOffset, table.words.clone()));
        originals.add(table);
        table.dirty = false;
        table.beingWritten = true;
      }
    }
    long[] l1Copy = l1Dirty ? l1.clone() : null;
    l1Dirty = false;
    return new Pending(copies, l1Copy, originals);
  }

  /** Notes that everything pending has been written; under the metadata lock. */
  void arrived(Pending pending) {
    for (L2Table table : pending.originals()) {
      table.beingWritten = false;
    }
  }
}
