package io.anillo.network.openflow;

import io.anillo.network.packet.Bytes;
import java.util.Arrays;

/** Bytes being written, big-endian, growing as needed. */
public final class WireWriter {
  private byte[] data = new byte[256];
  private int length;

  private void reserve(int count) {
    if (length + count > data.length) {
      data = Arrays.copyOf(data, Math.max(data.length * 2, length + count));
    }
  }

  public int length() {
    return length;
  }

  public WireWriter u8(int value) {
    reserve(1);
    data[length++] = (byte) value;
    return this;
  }

  public WireWriter u16(int value) {
    reserve(2);
    Bytes.putShort(data, length, value);
    length += 2;
    return this;
  }

  public WireWriter u32(int value) {
    reserve(4);
    Bytes.putInt(data, length, value);
    length += 4;
    return this;
  }

  public WireWriter u64(long value) {
    reserve(8);
    Bytes.putLong(data, length, value);
    length += 8;
    return this;
  }

  /** The low {@code count} bytes of a value. */
  public WireWriter unsigned(long value, int count) {
    for (int shift = (count - 1) * 8; shift >= 0; shift -= 8) {
      u8((int) (value >>> shift));
    }
    return this;
  }

  public WireWriter zero(int count) {
    reserve(count);
    Arrays.fill(data, length, length + count, (byte) 0);
    length += count;
    return this;
  }

  public WireWriter bytes(byte[] source) {
    return bytes(source, 0, source.length);
  }

  public WireWriter bytes(byte[] source, int offset, int count) {
    reserve(count);
    System.arraycopy(source, offset, data, length, count);
    length += count;
    return this;
  }

  /** ASCII text, cut or filled with zeros to {@code count} bytes of which the last is zero. */
  public WireWriter text(String text, int count) {
    byte[] ascii = text.getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    int used = Math.min(ascii.length, count - 1);
    return bytes(ascii, 0, used).zero(count - used);
  }

  /** Fills up to a multiple of eight bytes counted from {@code start}. */
  public WireWriter padFrom(int start) {
    int over = (length - start) % 8;
    return over == 0 ? this : zero(8 - over);
  }

  public void patchU16(int at, int value) {
    Bytes.putShort(data, at, value);
  }

  public byte[] toByteArray() {
    return Arrays.copyOf(data, length);
  }
}
