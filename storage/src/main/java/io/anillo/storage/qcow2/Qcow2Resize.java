package io.anillo.storage.qcow2;

import io.anillo.storage.block.BlockDevice;
import java.io.IOException;

/** Changes the size of an open image. */
final class Qcow2Resize {
  private final Qcow2Image image;
  private final Qcow2Header header;

  Qcow2Resize(Qcow2Image image) {
    this.image = image;
    this.header = image.header;
  }

  void resize(long newSize) throws IOException {
    if (newSize < 0 || newSize % 512 != 0) {
      throw new IOException("a size must be a multiple of 512 bytes, not " + newSize);
    }
    long oldSize = header.sizeBytes;
    if (newSize < oldSize) {
      shrink(newSize, oldSize);
    } else if (newSize > oldSize) {
      grow(newSize, oldSize);
    }
  }

  private void shrink(long newSize, long oldSize) throws IOException {
    if (header.snapshotCount > 0) {
      throw new IOException("an image with snapshots cannot shrink; delete them first");
    }
    // what is cut off must not come back when the disk grows again
    image.writeZeroes(newSize, oldSize - newSize, true);
    image.alone(() -> {
      header.sizeBytes = newSize;
      image.writeHeader();
    });
  }

  private void grow(long newSize, long oldSize) throws IOException {
    long entries = header.l1EntriesFor(newSize);
    if (entries * 8 > 32L << 20) {
      throw new IOException(
          "%d bytes are too many for clusters of %d bytes"
              .formatted(newSize, header.clusterBytes()));
    }
    image.alone(() -> {
      if (entries > header.l1Size) {
        moveL1((int) entries);
      }
      header.sizeBytes = newSize;
      image.writeHeader();
    });
    BlockDevice backing = image.backing();
    if (backing != null && backing.sizeBytes() > oldSize) {
      // the new part must not show what the backing device has there
      image.writeZeroes(oldSize, Math.min(newSize, backing.sizeBytes()) - oldSize, true);
      image.flush();
    }
  }

  private void moveL1(int entries) throws IOException {
    Refcounts counts = image.writableRefcounts();
    long oldOffset = header.l1Offset;
    int oldSize = header.l1Size;
    long clusters = (8L * entries + header.clusterBytes() - 1) >>> header.clusterBits;
    long offset = counts.allocateAdjacent(clusters);
    image.map.growL1(entries);
    counts.takeDirty().write(image.file);
    image.file.writeWords(offset, image.map.l1);
    image.file.extendTo(counts.highWater() << header.clusterBits);
    image.file.flush();
    header.l1Offset = offset;
    header.l1Size = entries;
    image.writeHeader();
    if (oldSize > 0) {
      counts.add(oldOffset, 8L * oldSize, -1);
    }
  }
}
