package io.anillo.storage.qcow2;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Checks an image that nobody uses: counts the references to every cluster by walking all tables,
 * compares with the stored counts, and repairs what it is told to.
 */
public final class Qcow2Check {
  private static final long MAX_CLUSTERS = 1L << 28;
  private static final int MAX_MESSAGES = 100;

  /** What to put right. */
  public enum Repair {
    NOTHING,
    LEAKS,
    ALL
  }

  /**
   * The outcome.
   *
   * @param corruptions places where data may be lost or mixed up
   * @param leaks clusters that take space for nothing
   * @param repaired what was put right
   * @param messages what was found, at most {@value #MAX_MESSAGES} lines
   * @param allocatedClusters guest clusters that have space here
   */
  public record Result(
      int corruptions,
      int leaks,
      int repaired,
      List<String> messages,
      long allocatedClusters,
      long totalClusters,
      long endOfData) {
    public boolean clean() {
      return corruptions == 0 && leaks == 0;
    }
  }

  private final ImageFile file;
  private final Qcow2Header header;
  private final Repair repair;
  private final ClusterCounts counted;
  private final List<String> messages = new ArrayList<>();
  private final Set<Long> refcountBlocks = new HashSet<>();
  private int corruptions;
  private int leaks;
  private int repaired;
  private long allocated;

  private Qcow2Check(ImageFile file, Qcow2Header header, Repair repair) throws IOException {
    this.file = file;
    this.header = header;
    this.repair = repair;
    long clusters = (file.sizeBytes() + header.clusterBytes() - 1) >>> header.clusterBits;
    if (clusters > MAX_CLUSTERS) {
      throw new IOException(
          "%s has %d clusters; checking more than %d needs too much memory"
              .formatted(file.name(), clusters, MAX_CLUSTERS));
    }
    this.counted = new ClusterCounts((int) clusters);
  }

  /** Checks and, if asked and the disk is writable, repairs. */
  public static Result run(Disk disk, Repair repair) throws IOException {
    ImageFile file = new ImageFile(disk);
    Qcow2Header header = Qcow2Image.readHeader(file);
    Qcow2Check check = new Qcow2Check(file, header, repair);
    check.countAll();
    if (repair == Repair.NOTHING) {
      check.compare();
    } else {
      check.repairCounts();
    }
    long end = 0;
    for (int i = check.counted.size() - 1; i >= 0 && end == 0; i--) {
      if (check.counted.get(i) != 0) {
        end = (long) (i + 1) << header.clusterBits;
      }
    }
    return new Result(
        check.corruptions,
        check.leaks,
        check.repaired,
        List.copyOf(check.messages),
        check.allocated,
        (header.sizeBytes + header.clusterBytes() - 1) >>> header.clusterBits,
        end);
  }

  private void say(String message) {
    if (messages.size() < MAX_MESSAGES) {
      messages.add(message);
    }
  }

  private boolean corrupt(String message) {
    say(message);
    if (repair == Repair.ALL) {
      repaired++;
      return true;
    }
    corruptions++;
    return false;
  }

  private boolean count(long offset, long length) {
    long last = (offset + Math.max(1, length) - 1) >>> header.clusterBits;
    boolean inside = true;
    for (long cluster = offset >>> header.clusterBits; cluster <= last; cluster++) {
      if (cluster < counted.size()) {
        counted.add((int) cluster, 1);
      } else {
        inside = false;
      }
    }
    return inside;
  }

  private void countAll() throws IOException {
    count(0, header.clusterBytes());
    countL1("the active L1 table", header.l1Offset, header.l1Size, true);
    SnapshotTable snapshots = SnapshotTable.read(file, header);
    for (SnapshotTable.Entry entry : snapshots.entries()) {
      countL1("the L1 table of snapshot " + entry.id(), entry.l1Offset(), entry.l1Size(), false);
    }
    if (snapshots.lengthBytes() > 0) {
      count(header.snapshotsOffset, snapshots.lengthBytes());
    }
    long tableBytes = (long) header.refcountTableClusters << header.clusterBits;
    if (!count(header.refcountTableOffset, tableBytes)) {
      corrupt("the refcount table reaches beyond the end of the file");
    }
    long[] table = file.readWords(header.refcountTableOffset, (int) (tableBytes / 8));
    boolean changed = false;
    for (int i = 0; i < table.length; i++) {
      long offset = table[i] & ~0x1ffL;
      if (offset == 0) {
        continue;
      }
      boolean bad =
          offset < 0 || (offset & (header.clusterBytes() - 1)) != 0 || offset >= file.sizeBytes();
      if (bad || !refcountBlocks.add(offset) || used(offset)) {
        if (corrupt("refcount block " + i + " cannot lie at " + offset)) {
          table[i] = 0;
          changed = true;
        }
      } else {
        count(offset, header.clusterBytes());
      }
    }
    if (changed) {
      file.writeWords(header.refcountTableOffset, table);
    }
  }

  private boolean used(long offset) {
    return counted.get((int) (offset >>> header.clusterBits)) != 0;
  }

  private void countL1(String what, long offset, int size, boolean active) throws IOException {
    if (size == 0) {
      return;
    }
    if (!count(offset, 8L * size)) {
      corrupt(what + " reaches beyond the end of the file");
      return;
    }
    long[] l1 = file.readWords(offset, size);
    boolean changed = false;
    for (int i = 0; i < size; i++) {
      long l2 = l1[i] & ClusterMap.OFFSET_MASK;
      if (l2 == 0) {
        continue;
      }
      if ((l2 & (header.clusterBytes() - 1)) != 0 || l2 >= file.sizeBytes()) {
        if (corrupt("entry " + i + " of " + what + " points to " + l2 + ", where no table is")) {
          l1[i] = 0;
          changed = true;
        }
        continue;
      }
      count(l2, header.clusterBytes());
      countL2(l2, active);
    }
    if (changed) {
      file.writeWords(offset, l1);
    }
  }

  private void countL2(long offset, boolean active) throws IOException {
    boolean extended = header.extendedL2();
    long[] words = file.readWords(offset, 1 << (header.clusterBits - 3));
    boolean changed = false;
    for (int i = 0; i < words.length; i += extended ? 2 : 1) {
      long entry = words[i];
      long host = entry & ClusterMap.OFFSET_MASK;
      boolean good = true;
      if ((entry & ClusterMap.COMPRESSED) != 0) {
        long start = CompressedCluster.hostOffset(entry, header.clusterBits);
        good = start < file.sizeBytes();
        if (good) {
          // the last sectors may lie beyond the end of the file
          count(
              start,
              Math.min(
                  CompressedCluster.length(entry, header.clusterBits), file.sizeBytes() - start));
        }
      } else if (host != 0) {
        good = (host & (header.clusterBytes() - 1)) == 0 && count(host, header.clusterBytes());
      } else {
        continue;
      }
      if (active) {
        allocated++;
      }
      if (!good
          && corrupt("L2 entry " + i + " at " + offset + " points to " + host + ", outside")) {
        words[i] = extended ? 0 : 1;
        if (extended) {
          words[i + 1] = 0xffffffffL << 32;
        }
        changed = true;
      }
    }
    if (changed) {
      file.writeWords(offset, words);
    }
  }

  private void compare() throws IOException {
    Refcounts counts = new Refcounts(file, header);
    for (int cluster = 0; cluster < counted.size(); cluster++) {
      long stored = counts.get(cluster);
      compareOne(cluster, stored);
    }
    compareOwnership();
  }

  private boolean compareOne(int cluster, long stored) {
    if (stored == counted.get(cluster)) {
      return true;
    }
    if (stored > counted.get(cluster)) {
      say("cluster %d leaks: counted %d, used %d".formatted(cluster, stored, counted.get(cluster)));
      if (repair == Repair.NOTHING) {
        leaks++;
      }
    } else {
      say("cluster %d: counted %d, used %d".formatted(cluster, stored, counted.get(cluster)));
      if (repair != Repair.ALL) {
        corruptions++;
      }
    }
    return false;
  }

  private void compareOwnership() throws IOException {
    long[] l1 = file.readWords(header.l1Offset, header.l1Size);
    boolean l1Changed = false;
    for (int i = 0; i < l1.length; i++) {
      long l2 = l1[i] & ClusterMap.OFFSET_MASK;
      if (l2 == 0 || l2 >= file.sizeBytes() || (l2 & (header.clusterBytes() - 1)) != 0) {
        continue;
      }
      if (wrongOwnership(l1[i], l2) && corrupt("L1 entry " + i + " is wrong about being alone")) {
        l1[i] ^= ClusterMap.COPIED;
        l1Changed = true;
      }
      long[] words = file.readWords(l2, 1 << (header.clusterBits - 3));
      boolean changed = false;
      for (int w = 0; w < words.length; w += header.extendedL2() ? 2 : 1) {
        long host = words[w] & ClusterMap.OFFSET_MASK;
        if ((words[w] & ClusterMap.COMPRESSED) == 0
            && host != 0
            && host < file.sizeBytes()
            && wrongOwnership(words[w], host)
            && corrupt("L2 entry " + w + " at " + l2 + " is wrong about being alone")) {
          words[w] ^= ClusterMap.COPIED;
          changed = true;
        }
      }
      if (changed) {
        file.writeWords(l2, words);
      }
    }
    if (l1Changed) {
      file.writeWords(header.l1Offset, l1);
    }
  }

  private boolean wrongOwnership(long entry, long offset) {
    boolean alone = counted.get((int) (offset >>> header.clusterBits)) == 1;
    return alone != ((entry & ClusterMap.COPIED) != 0);
  }

  private void repairCounts() throws IOException {
    Refcounts counts = new Refcounts(file, header);
    int original = counted.size();
    // marking used clusters first: blocks that have to be made must not take them
    for (int cluster = 0; cluster < original; cluster++) {
      long stored = counts.get(cluster);
      boolean tooLow = stored < counted.get(cluster);
      if (!compareOne(cluster, stored) && (repair == Repair.ALL || !tooLow)) {
        if (tooLow && stored == 0 && missingBlock(counts, cluster)) {
          rebuild();
          return;
        }
        counts.set(cluster, counted.get(cluster));
        repaired++;
      }
    }
    counts.takeDirty().write(file);
    file.flush();
    if (repair == Repair.ALL) {
      compareOwnership();
    }
    clearMarks();
  }

  private boolean missingBlock(Refcounts counts, long cluster) {
    long index = cluster >>> counts.blockEntriesBits();
    return index >= counts.tableLength() || counts.blockOffset((int) index) == 0;
  }

  /** Writes a new refcount structure behind everything else. */
  private void rebuild() throws IOException {
    int entriesBits = header.clusterBits + 3 - header.refcountOrder;
    long used = counted.size();
    // the old structure is given up
    long oldTable = header.refcountTableOffset >>> header.clusterBits;
    for (int i = 0; i < header.refcountTableClusters && oldTable + i < used; i++) {
      counted.add((int) (oldTable + i), -1);
    }
    for (long offset : refcountBlocks) {
      counted.add((int) (offset >>> header.clusterBits), -1);
    }
    long blocks = 0;
    long tableClusters = 0;
    while (true) {
      long total = used + blocks + tableClusters;
      long needBlocks = (total + (1L << entriesBits) - 1) >>> entriesBits;
      long needTable = (needBlocks * 8 + header.clusterBytes() - 1) >>> header.clusterBits;
      if (needBlocks == blocks && needTable == tableClusters) {
        break;
      }
      blocks = needBlocks;
      tableClusters = needTable;
    }
    long[] table = new long[(int) (tableClusters << (header.clusterBits - 3))];
    for (int i = 0; i < blocks; i++) {
      table[i] = (used + i) << header.clusterBits;
    }
    ByteBuffer empty = ByteBuffer.allocateDirect(header.clusterBytes());
    for (int i = 0; i < blocks; i++) {
      file.write(table[i], empty.clear());
    }
    long tableOffset = (used + blocks) << header.clusterBits;
    file.writeWords(tableOffset, table);
    file.flush();
    header.refcountTableOffset = tableOffset;
    header.refcountTableClusters = (int) tableClusters;
    Refcounts counts = new Refcounts(file, header);
    for (int cluster = 0; cluster < used; cluster++) {
      if (counted.get(cluster) != 0) {
        counts.set(cluster, counted.get(cluster));
      }
    }
    for (long cluster = used; cluster < used + blocks + tableClusters; cluster++) {
      counts.set(cluster, 1);
    }
    counts.takeDirty().write(file);
    file.flush();
    compareOwnership();
    repaired++;
    clearMarks();
  }

  private void clearMarks() throws IOException {
    if (repair == Repair.ALL) {
      header.incompatible &= ~(Qcow2Header.DIRTY | Qcow2Header.CORRUPT);
    }
    file.write(0, header.serialize());
    file.flush();
  }
}
