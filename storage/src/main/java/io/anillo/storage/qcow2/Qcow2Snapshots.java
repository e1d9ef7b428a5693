package io.anillo.storage.qcow2;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Internal snapshots of an open image. Each is a copy of the L1 table; everything it reaches has
 * one more reference. A cut in the middle leaks clusters and loses nothing.
 */
public final class Qcow2Snapshots {
  private final Qcow2Image image;
  private final Qcow2Header header;
  private final Refcounts counts;

  Qcow2Snapshots(Qcow2Image image) throws IOException {
    this.image = image;
    this.header = image.header;
    this.counts = image.writableRefcounts();
  }

  /** The snapshots, oldest first. */
  public List<Qcow2Info.Snapshot> list() throws IOException {
    return table().describe();
  }

  private SnapshotTable table() throws IOException {
    return SnapshotTable.read(image.file, header);
  }

  /** Takes a snapshot of the disk as it is now. */
  public void create(String name) throws IOException {
    image.alone(() -> {
      SnapshotTable old = table();
      long l1Bytes = 8L * header.l1Size;
      long l1Offset = l1Bytes == 0 ? 0 : counts.allocateAdjacent(clusters(l1Bytes));
      reference(image.map.l1, 1);
      clearOwnership();
      image.writeTables();
      if (l1Bytes > 0) {
        image.file.writeWords(l1Offset, image.map.l1);
      }
      long next = 1;
      for (SnapshotTable.Entry entry : old.entries()) {
        next = Math.max(next, number(entry.id()) + 1);
      }
      Instant now = Instant.now();
      ByteBuffer extra = ByteBuffer.allocate(24);
      extra.putLong(8, header.sizeBytes).putLong(16, -1L);
      List<SnapshotTable.Entry> entries = new ArrayList<>(old.entries());
      entries.add(
          new SnapshotTable.Entry(
              l1Offset,
              header.l1Size,
              Long.toString(next),
              name,
              (int) now.getEpochSecond(),
              now.getNano(),
              0,
              0,
              extra.array(),
              header.sizeBytes));
      replaceTable(old, entries);
    });
  }

  private static long number(String id) {
    try {
      return Long.parseLong(id);
    } catch (NumberFormatException notANumber) {
      return 0;
    }
  }

  /** Makes the disk what it was when the snapshot was taken. */
  public void restore(String nameOrId) throws IOException {
    image.alone(() -> {
      SnapshotTable.Entry entry = table().find(nameOrId, image.file.name());
      if (entry.diskBytes() != header.sizeBytes
          && header.l1EntriesFor(entry.diskBytes()) > header.l1Size) {
        throw new IOException(
            "the snapshot's disk of %d bytes is larger than the disk is now; resize it first"
                .formatted(entry.diskBytes()));
      }
      long[] words = image.file.readWords(entry.l1Offset(), entry.l1Size());
      long[] old = image.map.l1;
      long[] active = java.util.Arrays.copyOf(words, old.length);
      reference(active, 1);
      for (int i = 0; i < active.length; i++) {
        active[i] &= ~ClusterMap.COPIED;
      }
      image.writeTables();
      image.file.writeWords(header.l1Offset, active);
      header.sizeBytes = entry.diskBytes();
      image.writeHeader();
      reference(old, -1);
      image.map.replaceL1(active);
      image.forgetUnpacked();
      restoreOwnership();
      image.writeTables();
    });
  }

  /** Deletes a snapshot; the disk keeps what it shares with it. */
  public void delete(String nameOrId) throws IOException {
    image.alone(() -> {
      SnapshotTable old = table();
      SnapshotTable.Entry entry = old.find(nameOrId, image.file.name());
      long[] words = image.file.readWords(entry.l1Offset(), entry.l1Size());
      List<SnapshotTable.Entry> entries = new ArrayList<>(old.entries());
      entries.remove(entry);
      image.writeTables();
      replaceTable(old, entries);
      reference(words, -1);
      if (words.length > 0) {
        counts.add(entry.l1Offset(), 8L * words.length, -1);
      }
      counts.endCompressedRun();
      restoreOwnership();
      image.writeTables();
    });
  }

  private void replaceTable(SnapshotTable old, List<SnapshotTable.Entry> entries)
      throws IOException {
    long oldOffset = header.snapshotsOffset;
    long offset = 0;
    if (!entries.isEmpty()) {
      ByteBuffer bytes = SnapshotTable.serialize(entries);
      offset = counts.allocateAdjacent(clusters(bytes.limit()));
      image.file.write(offset, bytes);
      image.writeTables();
    }
    header.snapshotsOffset = offset;
    header.snapshotCount = entries.size();
    image.file.extendTo(counts.highWater() << header.clusterBits);
    image.writeHeader();
    if (oldOffset != 0 && old.lengthBytes() > 0) {
      counts.add(oldOffset, old.lengthBytes(), -1);
      image.writeTables();
    }
  }

  private long clusters(long bytes) {
    return (bytes + header.clusterBytes() - 1) >>> header.clusterBits;
  }

  /** Adds to the counts of everything that an L1 table reaches. */
  private void reference(long[] l1, long delta) throws IOException {
    boolean extended = header.extendedL2();
    for (long l1Entry : l1) {
      long offset = l1Entry & ClusterMap.OFFSET_MASK;
      if (offset == 0) {
        continue;
      }
      long[] words = image.file.readWords(offset, 1 << (header.clusterBits - 3));
      for (int i = 0; i < words.length; i += extended ? 2 : 1) {
        long entry = words[i];
        if ((entry & ClusterMap.COMPRESSED) != 0) {
          counts.add(
              CompressedCluster.hostOffset(entry, header.clusterBits),
              CompressedCluster.length(entry, header.clusterBits),
              delta);
        } else if ((entry & ClusterMap.OFFSET_MASK) != 0) {
          counts.add(entry & ClusterMap.OFFSET_MASK, header.clusterBytes(), delta);
        }
      }
      counts.add(offset, header.clusterBytes(), delta);
    }
  }

  /** Marks every entry of the active mapping as shared. */
  private void clearOwnership() throws IOException {
    for (int i = 0; i < image.map.l1.length; i++) {
      L2Table table = image.map.load(i);
      if (table == null) {
        continue;
      }
      for (int w = 0; w < table.words.length; w += header.extendedL2() ? 2 : 1) {
        if ((table.words[w] & ClusterMap.COPIED) != 0) {
          table.setWord(w, table.words[w] & ~ClusterMap.COPIED);
        }
      }
      image.map.setL1(i, image.map.l1[i] & ~ClusterMap.COPIED);
      flushWhenMany();
    }
  }

  /** Marks every entry of the active mapping with whether it is the only one. */
  private void restoreOwnership() throws IOException {
    for (int i = 0; i < image.map.l1.length; i++) {
      L2Table table = image.map.load(i);
      if (table == null) {
        continue;
      }
      for (int w = 0; w < table.words.length; w += header.extendedL2() ? 2 : 1) {
        long entry = table.words[w];
        long offset = entry & ClusterMap.OFFSET_MASK;
        if ((entry & ClusterMap.COMPRESSED) == 0 && offset != 0) {
          setOwned(table, w, entry, counts.get(offset >>> header.clusterBits) == 1);
        }
      }
      boolean owned = counts.get(table.hostOffset >>> header.clusterBits) == 1;
      long l1Entry = image.map.l1[i];
      if (owned != ((l1Entry & ClusterMap.COPIED) != 0)) {
        image.map.setL1(i, l1Entry ^ ClusterMap.COPIED);
      }
      flushWhenMany();
    }
  }

  private static void setOwned(L2Table table, int word, long entry, boolean owned) {
    if (owned != ((entry & ClusterMap.COPIED) != 0)) {
      table.setWord(word, entry ^ ClusterMap.COPIED);
    }
  }

  private void flushWhenMany() throws IOException {
    if (image.map.mostlyDirty()) {
      image.writeTables();
    }
  }
}
