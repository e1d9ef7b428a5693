package io.anillo.vmm.device.serial;

/** A queue of bytes of bounded size. */
final class ByteRing {
  private final int capacity;
  private byte[] bytes = new byte[16];
  private int head;
  private int size;

  ByteRing(int capacity) {
    this.capacity = capacity;
  }

  int size() {
    return size;
  }

  /** Adds a byte; false when the queue is full. */
  boolean add(byte value) {
    if (size >= capacity) {
      return false;
    }
    if (size == bytes.length) {
      byte[] larger = new byte[Math.clamp(size * 2L, size + 1, Math.max(capacity, size + 1))];
      copyTo(larger);
      bytes = larger;
      head = 0;
    }
    bytes[(head + size++) % bytes.length] = value;
    return true;
  }

  /** Puts a byte back to the front, where it is the next that is taken; never refuses. */
  void putBack(byte value) {
    if (size == bytes.length) {
      byte[] larger = new byte[size * 2];
      copyTo(larger);
      bytes = larger;
      head = 0;
    }
    head = (head + bytes.length - 1) % bytes.length;
    bytes[head] = value;
    size++;
  }

  /** Adds what fits and tells how many bytes did not. */
  int add(byte[] values) {
    int lost = 0;
    for (byte value : values) {
      if (!add(value)) {
        lost++;
      }
    }
    return lost;
  }

  /** Takes the oldest byte, 0 to 255. There must be one. */
  int remove() {
    if (size == 0) {
      throw new IllegalStateException("the queue is empty");
    }
    int value = bytes[head] & 0xFF;
    head = (head + 1) % bytes.length;
    size--;
    return value;
  }

  void clear() {
    head = 0;
    size = 0;
  }

  byte[] toByteArray() {
    byte[] copy = new byte[size];
    copyTo(copy);
    return copy;
  }

  private void copyTo(byte[] destination) {
    for (int i = 0; i < size; i++) {
      destination[i] = bytes[(head + i) % bytes.length];
    }
  }
}
