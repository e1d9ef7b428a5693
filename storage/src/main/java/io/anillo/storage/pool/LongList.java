package io.anillo.storage.pool;

import java.util.Arrays;

/** A growing list of numbers without boxes. */
final class LongList {
  private long[] values = new long[64];
  private int size;

  void add(long value) {
    if (size == values.length) {
      values = Arrays.copyOf(values, size * 2);
    }
    values[size++] = value;
  }

  int size() {
    return size;
  }

  long[] array() {
    return values;
  }
}
