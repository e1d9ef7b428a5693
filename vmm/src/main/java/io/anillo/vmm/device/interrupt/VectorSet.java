package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/** One of a local APIC's 256-bit registers: a bit for each vector. */
final class VectorSet {
  private final long[] words = new long[4];

  boolean contains(int vector) {
    return (words[vector >> 6] & 1L << vector) != 0;
  }

  void add(int vector) {
    words[vector >> 6] |= 1L << vector;
  }

  void remove(int vector) {
    words[vector >> 6] &= ~(1L << vector);
  }

  void clear() {
    java.util.Arrays.fill(words, 0);
  }

  /** Whether there is exactly one vector. */
  boolean single() {
    int count = 0;
    for (long word : words) {
      count += Long.bitCount(word);
    }
    return count == 1;
  }

  /** The highest vector, or -1. */
  int highest() {
    for (int i = 3; i >= 0; i--) {
      if (words[i] != 0) {
        return i * 64 + 63 - Long.numberOfLeadingZeros(words[i]);
      }
    }
    return -1;
  }

  /** One of the eight 32-bit registers. */
  int register(int index) {
    return (int) (words[index >> 1] >>> 32 * (index & 1));
  }

  void setRegister(int index, int value) {
    int shift = 32 * (index & 1);
    words[index >> 1] =
        words[index >> 1] & ~(0xFFFF_FFFFL << shift) | (value & 0xFFFF_FFFFL) << shift;
  }

  void save(StateWriter out) {
    out.putLongs(words);
  }

  void restore(StateReader in) {
    in.getLongs(words);
  }
}
