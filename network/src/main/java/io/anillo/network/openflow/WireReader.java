package io.anillo.network.openflow;

import io.anillo.network.flow.FlowError;
import io.anillo.network.packet.Bytes;
import java.util.Arrays;

/**
 * Bytes being read, big-endian. Reading beyond the end is the sender's error, never an exception of
 * ours.
 */
public final class WireReader {
  /** OFPBRC_BAD_LEN of OpenFlow 1.3.5 §7.4.4.2. */
  private static final int BAD_LENGTH = 6;

  private final byte[] data;
  private final int end;
  private int position;

  public WireReader(byte[] data) {
    this(data, 0, data.length);
  }

  public WireReader(byte[] data, int offset, int length) {
    this.data = data;
    this.position = offset;
    this.end = offset + length;
  }

  public int remaining() {
    return end - position;
  }

  private int take(int count) throws FlowError {
    if (count < 0 || remaining() < count) {
      throw new FlowError(
          FlowError.BAD_REQUEST,
          BAD_LENGTH,
          "message ends " + (count - remaining()) + " bytes too early");
    }
    int at = position;
    position += count;
    return at;
  }

  public int u8() throws FlowError {
    return Bytes.getByte(data, take(1));
  }

  public int u16() throws FlowError {
    return Bytes.getShort(data, take(2));
  }

  public int u32() throws FlowError {
    return Bytes.getInt(data, take(4));
  }

  public long u64() throws FlowError {
    return Bytes.getLong(data, take(8));
  }

  /** A value of {@code count} bytes, at most eight. */
  public long unsigned(int count) throws FlowError {
    long value = 0;
    for (int i = 0; i < count; i++) {
      value = value << 8 | u8();
    }
    return value;
  }

  public byte[] bytes(int count) throws FlowError {
    int at = take(count);
    return Arrays.copyOfRange(data, at, at + count);
  }

  public String text(int count) throws FlowError {
    byte[] raw = bytes(count);
    int length = 0;
    while (length < count && raw[length] != 0) {
      length++;
    }
    return new String(raw, 0, length, java.nio.charset.StandardCharsets.US_ASCII);
  }

  public WireReader skip(int count) throws FlowError {
    take(count);
    return this;
  }

  /** A reader of the next {@code count} bytes, which this one skips. */
  public WireReader part(int count) throws FlowError {
    return new WireReader(data, take(count), count);
  }
}
