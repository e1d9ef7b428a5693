package io.anillo.storage.qcow2;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The header of an image (qcow2 specification, "Header"): everything that lies in its first
 * cluster. Values are checked against the bounds that the format and memory allow.
 */
final class Qcow2Header {
  static final int MAGIC = 0x514649fb;
  static final int VERSION_3_LENGTH = 104;
  static final int LENGTH = 112;

  static final long DIRTY = 1;
  static final long CORRUPT = 2;
  static final long EXTERNAL_DATA = 4;
  static final long COMPRESSION_TYPE = 8;
  static final long EXTENDED_L2 = 16;
  static final long LAZY_REFCOUNTS = 1;

  private static final int EXTENSION_END = 0;
  private static final int EXTENSION_BACKING_FORMAT = 0xe2792aca;
  private static final int EXTENSION_FEATURE_NAMES = 0x6803f857;
  private static final int EXTENSION_BITMAPS = 0x23852875;
  private static final long MAX_L1_BYTES = 32L << 20;
  private static final long MAX_REFCOUNT_TABLE_BYTES = 8L << 20;
  private static final int MAX_SNAPSHOTS = 65536;
  private static final int MAX_BACKING_NAME = 1023;

  int version;
  int clusterBits;
  long sizeBytes;
  int l1Size;
  long l1Offset;
  long refcountTableOffset;
  int refcountTableClusters;
  int snapshotCount;
  long snapshotsOffset;
  long incompatible;
  long compatible;
  long autoclear;
  int refcountOrder = 4;
  int headerLength = LENGTH;
  int compressionType;
  @Nullable String backingFile;
  @Nullable String backingFormat;

  /** Extensions that this code does not know, kept as they are. */
  final List<Extension> unknownExtensions = new ArrayList<>();

  record Extension(int type, byte[] data) {}

  int clusterBytes() {
    return 1 << clusterBits;
  }

  boolean extendedL2() {
    return (incompatible & EXTENDED_L2) != 0;
  }

  int l2EntryBytes() {
    return extendedL2() ? 16 : 8;
  }

  int l2EntriesBits() {
    return clusterBits - (extendedL2() ? 4 : 3);
  }

  /** Guest bytes that one L2 table maps, as a power of two. */
  int l2CoverageBits() {
    return clusterBits + l2EntriesBits();
  }

  long l1EntriesFor(long size) {
    return (size + (1L << l2CoverageBits()) - 1) >>> l2CoverageBits();
  }

  /** Reads a header from the first bytes of the image, as many as there are up to a cluster. */
  static Qcow2Header parse(ByteBuffer bytes, String name, long fileBytes) throws IOException {
    Qcow2Header header = new Qcow2Header();
    if (bytes.limit() < 72 || bytes.getInt(0) != MAGIC) {
      throw new IOException(name + " is not a qcow2 image");
    }
    header.version = bytes.getInt(4);
    if (header.version != 2 && header.version != 3) {
      throw new IOException(name + " is qcow2 version " + header.version + "; 2 and 3 are known");
    }
    long backingOffset = bytes.getLong(8);
    int backingLength = bytes.getInt(16);
    header.clusterBits = bytes.getInt(20);
    if (header.clusterBits < 9 || header.clusterBits > 21) {
      throw damaged(name, "cluster bits " + header.clusterBits + " are not in 9..21");
    }
    header.sizeBytes = bytes.getLong(24);
    if (header.sizeBytes < 0 || header.sizeBytes > 1L << 56) {
      throw damaged(name, "the size " + Long.toUnsignedString(header.sizeBytes) + " is too large");
    }
    if (bytes.getInt(32) != 0) {
      throw new IOException(name + " is encrypted (method " + bytes.getInt(32) + "): unsupported");
    }
    header.l1Size = bytes.getInt(36);
    header.l1Offset = bytes.getLong(40);
    header.refcountTableOffset = bytes.getLong(48);
    header.refcountTableClusters = bytes.getInt(56);
    header.snapshotCount = bytes.getInt(60);
    header.snapshotsOffset = bytes.getLong(64);
    header.headerLength = 72;
    if (header.version == 3) {
      parseVersion3(header, bytes, name);
    }
    header.checkTables(name, fileBytes);
    header.parseExtensions(bytes, name, backingOffset);
    if (backingOffset != 0) {
      if (backingLength < 1
          || backingLength > MAX_BACKING_NAME
          || backingOffset < 0
          || backingOffset + backingLength > Math.min(bytes.limit(), header.clusterBytes())) {
        throw damaged(name, "its backing file name does not lie in the first cluster");
      }
      byte[] text = new byte[backingLength];
      bytes.get((int) backingOffset, text);
      header.backingFile = new String(text, StandardCharsets.UTF_8);
    }
    return header;
  }

  private static void parseVersion3(Qcow2Header header, ByteBuffer bytes, String name)
      throws IOException {
    if (bytes.limit() < VERSION_3_LENGTH) {
      throw damaged(name, "its header is cut short");
    }
    header.incompatible = bytes.getLong(72);
    header.compatible = bytes.getLong(80);
    header.autoclear = bytes.getLong(88);
    header.refcountOrder = bytes.getInt(96);
    header.headerLength = bytes.getInt(100);
    long unknown = header.incompatible & ~(DIRTY | CORRUPT | COMPRESSION_TYPE | EXTENDED_L2);
    if ((unknown & EXTERNAL_DATA) != 0) {
      throw new IOException(name + " keeps its data in another file: unsupported");
    }
    if (unknown != 0) {
      throw new IOException(
          name + " needs features that are not known: 0x" + Long.toHexString(unknown));
    }
    if (header.refcountOrder < 0 || header.refcountOrder > 6) {
      throw damaged(name, "refcount order " + header.refcountOrder + " is not in 0..6");
    }
    if (header.headerLength < VERSION_3_LENGTH
        || header.headerLength > header.clusterBytes()
        || header.headerLength > bytes.limit()
        || header.headerLength % 8 != 0) {
      throw damaged(name, "header length " + header.headerLength + " is impossible");
    }
    if ((header.incompatible & COMPRESSION_TYPE) != 0) {
      header.compressionType = header.headerLength > 104 ? bytes.get(104) & 0xff : 0;
      if (header.compressionType != 1) {
        throw new IOException(
            name + " uses compression type " + header.compressionType + ": unsupported");
      }
    }
    if (header.extendedL2() && header.clusterBits < 14) {
      throw damaged(name, "extended L2 entries need clusters of 16 KiB or more");
    }
  }

  private void checkTables(String name, long fileBytes) throws IOException {
    int mask = clusterBytes() - 1;
    if (l1Size < 0 || (long) l1Size * 8 > MAX_L1_BYTES) {
      throw damaged(name, "its L1 table of " + Integer.toUnsignedString(l1Size) + " is too large");
    }
    if (l1EntriesFor(sizeBytes) > l1Size) {
      throw damaged(name, "its L1 table is too small for its size");
    }
    checkTable(name, "L1 table", l1Offset, (long) l1Size * 8, fileBytes);
    if (refcountTableClusters < 1
        || (long) refcountTableClusters << clusterBits > MAX_REFCOUNT_TABLE_BYTES) {
      throw damaged(
          name, "its refcount table of " + refcountTableClusters + " clusters is impossible");
    }
    if ((refcountTableOffset & mask) != 0 || refcountTableOffset <= 0) {
      throw damaged(name, "its refcount table is not aligned");
    }
    if (snapshotCount < 0 || snapshotCount > MAX_SNAPSHOTS) {
      throw damaged(name, snapshotCount + " snapshots are too many");
    }
    if (snapshotCount > 0) {
      checkTable(name, "snapshot table", snapshotsOffset, 40L * snapshotCount, fileBytes);
    }
  }

  private void checkTable(String name, String what, long offset, long length, long fileBytes)
      throws IOException {
    if (offset < 0 || (offset & (clusterBytes() - 1)) != 0) {
      throw damaged(name, "its " + what + " is not aligned");
    }
    if (offset > fileBytes || length > fileBytes - offset) {
      throw damaged(name, "its " + what + " reaches beyond the end of the file");
    }
  }

  private void parseExtensions(ByteBuffer bytes, String name, long backingOffset)
      throws IOException {
    long end = Math.min(bytes.limit(), clusterBytes());
    if (backingOffset > headerLength && backingOffset < end) {
      end = backingOffset;
    }
    int at = headerLength;
    while (at + 8 <= end) {
      int type = bytes.getInt(at);
      int length = bytes.getInt(at + 4);
      if (type == EXTENSION_END) {
        return;
      }
      if (length < 0 || length > end - at - 8) {
        throw damaged(name, "a header extension is longer than the header");
      }
      byte[] data = new byte[length];
      bytes.get(at + 8, data);
      switch (type) {
        case EXTENSION_BACKING_FORMAT -> backingFormat = new String(data, StandardCharsets.UTF_8);
        case EXTENSION_FEATURE_NAMES -> {}
        case EXTENSION_BITMAPS -> {
          // Persistent bitmaps would go stale with our first write: the specification lets a
          // writer that does not know them clear the autoclear bit, after which they are ignored.
          unknownExtensions.add(new Extension(type, data));
        }
        default -> unknownExtensions.add(new Extension(type, data));
      }
      at += 8 + ((length + 7) & ~7);
    }
  }

  /** The first cluster's contents. */
  ByteBuffer serialize() throws IOException {
    ByteBuffer bytes = ByteBuffer.allocateDirect(clusterBytes());
    bytes.putInt(0, MAGIC).putInt(4, version);
    bytes.putInt(20, clusterBits).putLong(24, sizeBytes).putInt(32, 0);
    bytes.putInt(36, l1Size).putLong(40, l1Offset);
    bytes.putLong(48, refcountTableOffset).putInt(56, refcountTableClusters);
    bytes.putInt(60, snapshotCount).putLong(64, snapshotsOffset);
    int at = 72;
    if (version == 3) {
      at = LENGTH;
      bytes.putLong(72, incompatible).putLong(80, compatible).putLong(88, autoclear);
      bytes.putInt(96, refcountOrder).putInt(100, LENGTH).put(104, (byte) compressionType);
    }
    bytes.position(at);
    try {
      if (backingFormat != null) {
        putExtension(
            bytes, EXTENSION_BACKING_FORMAT, backingFormat.getBytes(StandardCharsets.UTF_8));
      }
      for (Extension extension : unknownExtensions) {
        putExtension(bytes, extension.type, extension.data);
      }
      putExtension(bytes, EXTENSION_END, new byte[0]);
      if (backingFile != null) {
        byte[] text = backingFile.getBytes(StandardCharsets.UTF_8);
        if (text.length > MAX_BACKING_NAME) {
          throw new IOException("the backing file's name is longer than 1023 bytes");
        }
        bytes.putLong(8, bytes.position()).putInt(16, text.length);
        bytes.put(text);
      }
    } catch (java.nio.BufferOverflowException full) {
      throw new IOException(
          "the header does not fit in a cluster of " + clusterBytes() + " bytes", full);
    }
    return bytes.clear();
  }

  private static void putExtension(ByteBuffer bytes, int type, byte[] data) {
    bytes.putInt(type).putInt(data.length).put(data);
    while (bytes.position() % 8 != 0) {
      bytes.put((byte) 0);
    }
  }

  static IOException damaged(String name, String what) {
    return new IOException(name + " is damaged: " + what);
  }
}
