package io.anillo.vmm.state;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * Writes one state record: a sequence of typed, tagged values after a record name and version. The
 * tags let a reader tell a mismatch at once instead of reading one field as another.
 */
public final class StateWriter {
  static final int TAG_LONG = 1;
  static final int TAG_BYTES = 2;
  static final int TAG_RECORD = 3;
  static final int TAG_LONGS = 4;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final DataOutputStream out = new DataOutputStream(bytes);

  /** Begins a record of a component; {@code version} grows when its fields change. */
  public StateWriter record(String name, int version) {
    return write(() -> {
      out.writeByte(TAG_RECORD);
      byte[] utf = name.getBytes(StandardCharsets.UTF_8);
      out.writeInt(utf.length);
      out.write(utf);
      out.writeInt(version);
    });
  }

  public StateWriter putLong(long value) {
    return write(() -> {
      out.writeByte(TAG_LONG);
      out.writeLong(value);
    });
  }

  public StateWriter putInt(int value) {
    return putLong(value);
  }

  public StateWriter putBoolean(boolean value) {
    return putLong(value ? 1 : 0);
  }

  public StateWriter putString(String value) {
    return putBytes(value.getBytes(StandardCharsets.UTF_8));
  }

  public StateWriter putBytes(byte[] value) {
    return write(() -> {
      out.writeByte(TAG_BYTES);
      out.writeInt(value.length);
      out.write(value);
    });
  }

  public StateWriter putLongs(long[] values) {
    return write(() -> {
      out.writeByte(TAG_LONGS);
      out.writeInt(values.length);
      for (long value : values) {
        out.writeLong(value);
      }
    });
  }

  public StateWriter putInts(int[] values) {
    long[] wide = new long[values.length];
    for (int i = 0; i < values.length; i++) {
      wide[i] = values[i];
    }
    return putLongs(wide);
  }

  public byte[] toByteArray() {
    return bytes.toByteArray();
  }

  private interface Action {
    void run() throws IOException;
  }

  private StateWriter write(Action action) {
    try {
      action.run();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return this;
  }
}
