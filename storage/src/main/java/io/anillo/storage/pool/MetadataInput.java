package io.anillo.storage.pool;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Reads metadata from a disk that anybody may have written: whatever is in it, each read gives a
 * value within its bounds or ends in an {@link IOException}. What it promises to hold takes no
 * memory before it is there.
 */
final class MetadataInput {
  private final String part;
  private final ByteBuffer bytes;

  /**
   * @param part what is read, for messages
   */
  MetadataInput(String part, byte[] bytes) {
    this.part = part;
    this.bytes = ByteBuffer.wrap(bytes);
  }

  IOException damaged(String why) {
    return new IOException("the pool's " + part + " is damaged: " + why);
  }

  boolean hasRemaining() {
    return bytes.hasRemaining();
  }

  private void need(int length) throws IOException {
    if (bytes.remaining() < length) {
      throw damaged("it ends too early");
    }
  }

  int readInt() throws IOException {
    need(4);
    return bytes.getInt();
  }

  long readLong() throws IOException {
    need(8);
    return bytes.getLong();
  }

  int readByte() throws IOException {
    need(1);
    return bytes.get() & 0xff;
  }

  boolean readBoolean() throws IOException {
    return readByte() != 0;
  }

  /** A number between two others, both included. */
  int readInt(String name, int least, int most) throws IOException {
    int value = readInt();
    if (value < least || value > most) {
      throw damaged(name + " " + value);
    }
    return value;
  }

  /** A number between two others, both included. */
  long readLong(String name, long least, long most) throws IOException {
    long value = readLong();
    if (value < least || value > most) {
      throw damaged(name + " " + value);
    }
    return value;
  }

  /** How many entries follow, each of so many bytes at least. */
  int readCount(int bytesEach) throws IOException {
    // what remains behind the count, which is therefore read first
    int count = readInt();
    if (count < 0 || count > bytes.remaining() / bytesEach) {
      throw damaged("a count of " + count);
    }
    return count;
  }

  /** Bytes behind their length in 4 bytes. */
  byte[] readBytes() throws IOException {
    byte[] read = new byte[readCount(1)];
    bytes.get(read);
    return read;
  }

  /** Text as {@code DataOutput.writeUTF} writes it. */
  String readText() throws IOException {
    need(2);
    int length = 2 + (bytes.getShort(bytes.position()) & 0xffff);
    need(length);
    byte[] text = new byte[length];
    bytes.get(text);
    return new DataInputStream(new ByteArrayInputStream(text)).readUTF();
  }

  /** A name that a user may give. */
  String readName() throws IOException {
    String name = readText();
    if (!PoolNames.valid(name)) {
      throw damaged("a name that nobody can have given");
    }
    return name;
  }

  <E extends Enum<E>> E readConstant(E[] values) throws IOException {
    int ordinal = readByte();
    if (ordinal >= values.length) {
      throw damaged("the kind " + ordinal);
    }
    return values[ordinal];
  }

  Redundancy readRedundancy() throws IOException {
    Redundancy.Kind kind = readConstant(Redundancy.Kind.values());
    int data = readByte();
    int extra = readByte();
    if (!Redundancy.valid(kind, data, extra)) {
      throw damaged("a redundancy that does not exist");
    }
    return new Redundancy(kind, data, extra);
  }
}
