package io.anillo.storage.qcow2;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** One L2 table in memory. Read without a lock, changed under the image's metadata lock. */
final class L2Table {
  private static final VarHandle WORDS = MethodHandles.arrayElementVarHandle(long[].class);

  final long hostOffset;
  final long[] words;
  boolean dirty;

  /** A copy is on its way to the file, which has older words until it arrives. */
  boolean beingWritten;

  volatile boolean used = true;

  L2Table(long hostOffset, long[] words) {
    this.hostOffset = hostOffset;
    this.words = words;
  }

  long word(int index) {
    return (long) WORDS.getAcquire(words, index);
  }

  void setWord(int index, long value) {
    WORDS.setRelease(words, index, value);
    dirty = true;
  }
}
