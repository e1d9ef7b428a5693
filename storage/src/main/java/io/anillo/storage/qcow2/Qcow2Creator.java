package io.anillo.storage.qcow2;

import io.anillo.storage.disk.Disk;
import java.io.IOException;

/** Writes new, empty images. */
public final class Qcow2Creator {
  private Qcow2Creator() {}

  /** Formats a disk as an empty image; what it held is lost. */
  public static void create(Disk disk, long sizeBytes, Qcow2Options options) throws IOException {
    if (sizeBytes < 0 || sizeBytes % 512 != 0) {
      throw new IOException("a size must be a multiple of 512 bytes, not " + sizeBytes);
    }
    Qcow2Header header = new Qcow2Header();
    header.version = options.version();
    header.clusterBits = Integer.numberOfTrailingZeros(options.clusterBytes());
    header.refcountOrder = Integer.numberOfTrailingZeros(options.refcountBits());
    header.sizeBytes = sizeBytes;
    header.compatible = options.lazyRefcounts() ? Qcow2Header.LAZY_REFCOUNTS : 0;
    if (options.extendedL2()) {
      header.incompatible |= Qcow2Header.EXTENDED_L2;
    }
    if (options.zstd()) {
      header.incompatible |= Qcow2Header.COMPRESSION_TYPE;
      header.compressionType = 1;
    }
    header.backingFile = options.backingFile();
    header.backingFormat = options.backingFormat();
    long entries = header.l1EntriesFor(sizeBytes);
    if (entries * 8 > 32L << 20) {
      throw new IOException(
          "%d bytes are too many for clusters of %d bytes; at most %d"
              .formatted(sizeBytes, options.clusterBytes(), (4L << 20) << header.l2CoverageBits()));
    }
    ImageFile file = new ImageFile(disk);
    if (!(disk.sizeBytes() == 0)) {
      file.disk.punch(0, Math.min(disk.sizeBytes(), 4L << header.clusterBits));
    }
    // cluster 0 is the header, cluster 1 the refcount table; everything else is allocated
    header.refcountTableOffset = header.clusterBytes();
    header.refcountTableClusters = 1;
    file.extendTo(2L << header.clusterBits);
    Refcounts counts = new Refcounts(file, header);
    counts.setHighWater(2);
    counts.set(0, 1);
    counts.set(1, 1);
    long bytes = Math.max(1, entries) * 8;
    header.l1Size = (int) entries;
    header.l1Offset =
        counts.allocateAdjacent((bytes + header.clusterBytes() - 1) >>> header.clusterBits);
    counts.takeDirty().write(file);
    file.writeWords(header.l1Offset, new long[(int) Math.max(1, entries)]);
    file.extendTo(counts.highWater() << header.clusterBits);
    file.flush();
    file.write(0, header.serialize());
    file.flush();
  }
}
