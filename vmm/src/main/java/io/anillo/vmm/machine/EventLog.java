package io.anillo.vmm.machine;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * The format of a recording: everything that entered a machine with one processor from outside,
 * each with the number of instructions after which it was applied.
 *
 * <p>A recording begins with {@link #MAGIC}, the version and the wall-clock origin. Entries follow:
 * a kind byte, the instruction count as the difference from the entry before, and what the kind
 * needs. All numbers are variable-length: seven bits a byte, least significant first, signed ones
 * zigzag-coded.
 */
final class EventLog {
  static final int MAGIC = 0x414E4C52;
  static final int VERSION = 1;

  /** A name gets the next number, from 0: length, UTF-8. */
  static final int DEFINE = 1;

  /** A channel's payload is applied: name number, length, bytes. */
  static final int PAYLOAD = 2;

  /** A timer expires: name number. */
  static final int EXPIRY = 3;

  /** The clock was read: difference from the reading before. */
  static final int CLOCK = 4;

  /** Entropy was taken: length, bytes. */
  static final int ENTROPY = 5;

  /** The recording ends. */
  static final int END = 6;

  private EventLog() {}

  static void writeUnsigned(OutputStream out, long value) throws IOException {
    long rest = value;
    while ((rest & ~0x7FL) != 0) {
      out.write((int) rest & 0x7F | 0x80);
      rest >>>= 7;
    }
    out.write((int) rest);
  }

  static void writeSigned(OutputStream out, long value) throws IOException {
    writeUnsigned(out, value << 1 ^ value >> 63);
  }

  static long readUnsigned(InputStream in) throws IOException {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      int next = in.read();
      if (next < 0) {
        throw new EOFException("the recording is truncated");
      }
      value |= (long) (next & 0x7F) << shift;
      if (next < 0x80) {
        return value;
      }
    }
    throw new IOException("the recording is damaged: a number has more than ten bytes");
  }

  static long readSigned(InputStream in) throws IOException {
    long value = readUnsigned(in);
    return value >>> 1 ^ -(value & 1);
  }
}
