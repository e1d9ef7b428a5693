package io.anillo.storage.qcow2;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The table of internal snapshots (qcow2 specification, "Snapshot table"). */
record SnapshotTable(List<Entry> entries, long lengthBytes) {
  private static final int FIXED = 40;
  private static final long MAX_BYTES = 64L << 20;

  /** One snapshot, with its extra data as found. */
  record Entry(
      long l1Offset,
      int l1Size,
      String id,
      String name,
      int seconds,
      int nanoseconds,
      long vmClock,
      int vmStateSize,
      byte[] extra,
      long diskBytes) {

    Entry withL1(long offset) {
      return new Entry(
          offset, l1Size, id, name, seconds, nanoseconds, vmClock, vmStateSize, extra, diskBytes);
    }

    long vmStateBytes() {
      return extra.length >= 8
          ? ByteBuffer.wrap(extra).getLong(0)
          : Integer.toUnsignedLong(vmStateSize);
    }

    int length() {
      int raw = FIXED + extra.length + utf8(id).length + utf8(name).length;
      return (raw + 7) & ~7;
    }
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static SnapshotTable read(ImageFile file, Qcow2Header header) throws IOException {
    List<Entry> entries = new ArrayList<>();
    long at = header.snapshotsOffset;
    ByteBuffer fixed = ByteBuffer.allocate(FIXED);
    for (int i = 0; i < header.snapshotCount; i++) {
      file.read(at, fixed.clear());
      int idLength = fixed.getShort(12) & 0xffff;
      int nameLength = fixed.getShort(14) & 0xffff;
      int extraLength = fixed.getInt(36);
      if (extraLength < 0 || extraLength > 1024) {
        throw Qcow2Header.damaged(file.name(), "a snapshot's extra data is too long");
      }
      ByteBuffer rest = ByteBuffer.allocate(extraLength + idLength + nameLength);
      file.read(at + FIXED, rest);
      byte[] bytes = rest.array();
      byte[] extra = java.util.Arrays.copyOf(bytes, extraLength);
      String id = new String(bytes, extraLength, idLength, StandardCharsets.UTF_8);
      String name = new String(bytes, extraLength + idLength, nameLength, StandardCharsets.UTF_8);
      long diskBytes = extraLength >= 16 ? ByteBuffer.wrap(extra).getLong(8) : header.sizeBytes;
      long l1Offset = fixed.getLong(0);
      int l1Size = fixed.getInt(8);
      if (l1Size < 0
          || l1Size > 4 << 20
          || l1Offset < 0
          || (l1Offset & (header.clusterBytes() - 1)) != 0
          || l1Offset + 8L * l1Size > file.sizeBytes()
          || diskBytes < 0) {
        throw Qcow2Header.damaged(file.name(), "snapshot " + (i + 1) + " has no valid L1 table");
      }
      entries.add(
          new Entry(
              l1Offset,
              l1Size,
              id,
              name,
              fixed.getInt(16),
              fixed.getInt(20),
              fixed.getLong(24),
              fixed.getInt(32),
              extra,
              diskBytes));
      at += (FIXED + bytes.length + 7) & ~7;
      if (at - header.snapshotsOffset > MAX_BYTES) {
        throw Qcow2Header.damaged(file.name(), "its snapshot table is longer than 64 MiB");
      }
    }
    return new SnapshotTable(entries, at - header.snapshotsOffset);
  }

  Entry find(String nameOrId, String fileName) throws IOException {
    for (Entry entry : entries) {
      if (entry.id.equals(nameOrId)) {
        return entry;
      }
    }
    for (Entry entry : entries) {
      if (entry.name.equals(nameOrId)) {
        return entry;
      }
    }
    throw new IOException(fileName + " has no snapshot \"" + nameOrId + "\"");
  }

  static ByteBuffer serialize(List<Entry> entries) {
    int length = entries.stream().mapToInt(Entry::length).sum();
    ByteBuffer bytes = ByteBuffer.allocateDirect(length);
    int at = 0;
    for (Entry entry : entries) {
      bytes.position(at);
      byte[] id = utf8(entry.id);
      byte[] name = utf8(entry.name);
      bytes.putLong(entry.l1Offset).putInt(entry.l1Size);
      bytes.putShort((short) id.length).putShort((short) name.length);
      bytes.putInt(entry.seconds).putInt(entry.nanoseconds).putLong(entry.vmClock);
      bytes.putInt(entry.vmStateSize).putInt(entry.extra.length);
      bytes.put(entry.extra).put(id).put(name);
      at += entry.length();
    }
    return bytes.clear();
  }

  List<Qcow2Info.Snapshot> describe() {
    return entries.stream()
        .map(entry ->
            new Qcow2Info.Snapshot(
                entry.id,
                entry.name,
                entry.diskBytes,
                Integer.toUnsignedLong(entry.seconds),
                entry.vmStateBytes()))
        .toList();
  }
}
