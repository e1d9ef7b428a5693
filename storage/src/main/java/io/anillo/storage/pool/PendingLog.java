package io.anillo.storage.pool;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;

/**
 * Changes to metadata that are made in memory and not yet durable, in their order, as the journal
 * will hold them; and the space that is free once they are.
 */
final class PendingLog {
  static final byte MAP = 1;
  static final byte SNAPSHOT = 2;
  static final byte VOLUME = 3;
  static final byte GROUP = 4;
  static final byte DISK_STATE = 5;
  static final byte VERSION = 6;
  static final byte REMOVE_VERSION = 7;
  static final byte REMOVE_VOLUME = 8;

  private static final int MAP_BYTES = 1 + 4 + 8 + 8 + 8;

  private ByteBuffer log = ByteBuffer.allocate(1 << 16);
  private LongList freed = new LongList();
  private long freedUnits;

  /** What was taken for a commit. */
  record Taken(ByteBuffer log, LongList freed) {
    boolean isEmpty() {
      return !log.hasRemaining() && freed.size() == 0;
    }
  }

  private void room(int bytes) {
    if (log.remaining() < bytes) {
      int capacity = Math.max(log.capacity() * 2, log.position() + bytes);
      log = ByteBuffer.allocate(capacity).put(log.flip());
    }
  }

  /** A block's new pointer. */
  synchronized void map(int version, long block, long location, long check) {
    room(MAP_BYTES);
    log.put(MAP).putInt(version).putLong(block).putLong(location).putLong(check);
  }

  /** Space that nothing names once the changes up to now are durable. */
  synchronized void free(long location) {
    freed.add(location);
    freedUnits += BlockPointer.units(location);
  }

  /** Writes the body of a rarer change. */
  @FunctionalInterface
  interface Body {
    void write(DataOutputStream out) throws IOException;
  }

  synchronized void add(byte kind, Body body) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      body.write(out);
    } catch (IOException impossible) {
      throw new UncheckedIOException("writing to memory failed", impossible);
    }
    room(5 + bytes.size());
    log.put(kind).putInt(bytes.size()).put(bytes.toByteArray());
  }

  synchronized int size() {
    return log.position();
  }

  /** Space that waits for the next commit. */
  synchronized long freedUnits() {
    return freedUnits;
  }

  synchronized Taken take() {
    Taken taken = new Taken(log.flip(), freed);
    log = ByteBuffer.allocate(1 << 16);
    freed = new LongList();
    freedUnits = 0;
    return taken;
  }
}
