package io.anillo.vmm.boot;

import io.anillo.vmm.memory.GuestMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Bounds-checked little-endian reads from an image, which is hostile input. */
final class ImageReader {
  private static final int COPY_BYTES = 1 << 20;

  private final ByteBuffer bytes;
  private final String name;

  /**
   * Wraps an image.
   *
   * @param name what the image is, for messages
   */
  ImageReader(String name, ByteBuffer bytes) {
    this.name = name;
    this.bytes = bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN).rewind();
  }

  int size() {
    return bytes.limit();
  }

  /** Whether a range lies inside the image; false for negative and overflowing ones. */
  boolean contains(long offset, long length) {
    return offset >= 0 && length >= 0 && length <= size() && offset <= size() - length;
  }

  int u8(long offset) throws BootException {
    return bytes.get(checked(offset, 1)) & 0xFF;
  }

  int u16(long offset) throws BootException {
    return bytes.getShort(checked(offset, 2)) & 0xFFFF;
  }

  int i32(long offset) throws BootException {
    return bytes.getInt(checked(offset, 4));
  }

  long u32(long offset) throws BootException {
    return i32(offset) & 0xFFFF_FFFFL;
  }

  long i64(long offset) throws BootException {
    return bytes.getLong(checked(offset, 8));
  }

  /**
   * A zero-terminated string of at most {@code limit} bytes; empty where it does not lie inside the
   * image.
   */
  String string(long offset, int limit) {
    StringBuilder text = new StringBuilder();
    for (long at = offset; contains(at, 1) && text.length() < limit; at++) {
      byte next = bytes.get((int) at);
      if (next == 0) {
        break;
      }
      text.append(next >= 0x20 && next < 0x7F ? (char) next : '?');
    }
    return text.toString();
  }

  boolean matches(long offset, String ascii) {
    byte[] expected = ascii.getBytes(StandardCharsets.ISO_8859_1);
    if (!contains(offset, expected.length)) {
      return false;
    }
    for (int i = 0; i < expected.length; i++) {
      if (bytes.get((int) offset + i) != expected[i]) {
        return false;
      }
    }
    return true;
  }

  /** Copies a part of the image into guest memory; the caller has made sure that it is RAM. */
  void copyTo(GuestMemory memory, long address, long offset, long length) throws BootException {
    if (!contains(offset, length)) {
      throw truncated(offset + length);
    }
    byte[] chunk = new byte[(int) Math.min(COPY_BYTES, length)];
    for (long done = 0; done < length; done += chunk.length) {
      int count = (int) Math.min(chunk.length, length - done);
      bytes.get((int) (offset + done), chunk, 0, count);
      memory.write(address + done, chunk, 0, count);
    }
  }

  private int checked(long offset, int length) throws BootException {
    if (!contains(offset, length)) {
      throw truncated(offset + length);
    }
    return (int) offset;
  }

  private BootException truncated(long needed) {
    return new BootException(
        "the "
            + name
            + " is truncated or damaged: it refers to byte "
            + Long.toUnsignedString(needed)
            + " of "
            + size());
  }
}
