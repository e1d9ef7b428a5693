package io.anillo.vmm.state;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * Reads what {@link StateWriter} wrote. Every mismatch is a {@link StateException} that names what
 * was expected.
 */
public final class StateReader {
  private final ByteBuffer in;

  public StateReader(byte[] bytes) {
    this.in = ByteBuffer.wrap(bytes);
  }

  /**
   * Enters a record.
   *
   * @return its version, between 1 and {@code newestVersion}
   */
  public int record(String name, int newestVersion) {
    try {
      expect(StateWriter.TAG_RECORD, name);
      byte[] utf = new byte[length(1)];
      in.get(utf);
      String found = new String(utf, StandardCharsets.UTF_8);
      if (!found.equals(name)) {
        throw new StateException(
            "state record '" + found + "' found where '" + name + "' was expected");
      }
      int version = in.getInt();
      if (version < 1 || version > newestVersion) {
        throw new StateException(
            "state record '"
                + name
                + "' has version "
                + version
                + "; this program reads 1 to "
                + newestVersion);
      }
      return version;
    } catch (BufferUnderflowException e) {
      throw truncated();
    }
  }

  public long getLong() {
    try {
      expect(StateWriter.TAG_LONG, "a number");
      return in.getLong();
    } catch (BufferUnderflowException e) {
      throw truncated();
    }
  }

  public int getInt() {
    return (int) getLong();
  }

  public boolean getBoolean() {
    return getLong() != 0;
  }

  public String getString() {
    return new String(getBytes(), StandardCharsets.UTF_8);
  }

  public byte[] getBytes() {
    try {
      expect(StateWriter.TAG_BYTES, "bytes");
      byte[] value = new byte[length(1)];
      in.get(value);
      return value;
    } catch (BufferUnderflowException e) {
      throw truncated();
    }
  }

  public long[] getLongs() {
    try {
      expect(StateWriter.TAG_LONGS, "numbers");
      long[] values = new long[length(8)];
      for (int i = 0; i < values.length; i++) {
        values[i] = in.getLong();
      }
      return values;
    } catch (BufferUnderflowException e) {
      throw truncated();
    }
  }

  /** Fills {@code destination}, which must have exactly the saved length. */
  public void getLongs(long[] destination) {
    long[] values = getLongs();
    if (values.length != destination.length) {
      throw new StateException(
          "state holds " + values.length + " numbers where " + destination.length + " belong");
    }
    System.arraycopy(values, 0, destination, 0, values.length);
  }

  /** Fills {@code destination}, which must have exactly the saved length. */
  public void getInts(int[] destination) {
    long[] values = new long[destination.length];
    getLongs(values);
    for (int i = 0; i < values.length; i++) {
      destination[i] = (int) values[i];
    }
  }

  public boolean atEnd() {
    return !in.hasRemaining();
  }

  private int length(int unitBytes) {
    int length = in.getInt();
    if (length < 0 || (long) length * unitBytes > in.remaining()) {
      throw truncated();
    }
    return length;
  }

  private void expect(int tag, String what) {
    int found = in.get();
    if (found != tag) {
      throw new StateException(
          "state is damaged: " + what + " expected at byte " + (in.position() - 1));
    }
  }

  private static StateException truncated() {
    return new StateException("state is truncated");
  }
}
