package io.anillo.network.packet;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Big-endian reads and writes in byte arrays, bounds-checked by the array accesses themselves.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
public final class Bytes {
  private static final VarHandle SHORTS =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle INTS =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

  private Bytes() {}

  public static int getByte(byte[] data, int offset) {
    return data[offset] & 0xff;
  }

  public static int getShort(byte[] data, int offset) {
    return (short) SHORTS.get(data, offset) & 0xffff;
  }

  public static int getInt(byte[] data, int offset) {
    return (int) INTS.get(data, offset);
  }

  public static long getUnsignedInt(byte[] data, int offset) {
    return (int) INTS.get(data, offset) & 0xffffffffL;
  }

  public static long getLong(byte[] data, int offset) {
    return (long) LONGS.get(data, offset);
  }

  /** Six bytes, as Ethernet addresses have, in the low 48 bits. */
  public static long getAddress(byte[] data, int offset) {
    return ((long) getShort(data, offset) << 32) | getUnsignedInt(data, offset + 2);
  }

  public static void putByte(byte[] data, int offset, int value) {
    data[offset] = (byte) value;
  }

  public static void putShort(byte[] data, int offset, int value) {
    SHORTS.set(data, offset, (short) value);
  }

  public static void putInt(byte[] data, int offset, int value) {
    INTS.set(data, offset, value);
  }

  public static void putLong(byte[] data, int offset, long value) {
    LONGS.set(data, offset, value);
  }

  /** Stores the low 48 bits of {@code value}. */
  public static void putAddress(byte[] data, int offset, long value) {
    putShort(data, offset, (int) (value >>> 32));
    putInt(data, offset + 2, (int) value);
  }
}
