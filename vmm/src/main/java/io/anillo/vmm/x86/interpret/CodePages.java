package io.anillo.vmm.x86.interpret;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;

/** What identifies a page of code from one run to the next: its content. */
public final class CodePages {
  private CodePages() {}

  /** A hash of a page's content. Two pages with one hash cost speed, nothing else. */
  public static long hash(byte[] page) {
    LongBuffer longs = ByteBuffer.wrap(page).order(ByteOrder.LITTLE_ENDIAN).asLongBuffer();
    long hash = page.length;
    while (longs.hasRemaining()) {
      hash = Long.rotateLeft((hash ^ longs.get()) * 0x9E37_79B9_7F4A_7C15L, 29);
    }
    return hash;
  }
}
