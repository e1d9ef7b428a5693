package io.anillo.network.packet;

/**
 * The ones' complement sum of RFC 1071, and its incremental update (RFC 1624).
 *
 * <p>Sums are carried unfolded in a {@code long} so that parts can be added in any order; {@link
 * #fold} makes the 16-bit sum and {@link #complete} the value that goes into a header.
 */
public final class InternetChecksum {
  private InternetChecksum() {}

  /**
   * Adds {@code length} bytes to {@code sum}; an odd last byte counts as the high half of a word.
   */
  public static long add(long sum, byte[] data, int offset, int length) {
    int end = offset + length;
    int position = offset;
    while (end - position >= 8) {
      long value = Bytes.getLong(data, position);
      sum += (value >>> 32) + (value & 0xffffffffL);
      position += 8;
    }
    while (end - position >= 2) {
      sum += Bytes.getShort(data, position);
      position += 2;
    }
    if (position < end) {
      sum += (data[position] & 0xff) << 8;
    }
    return sum;
  }

  /** The sum as 16 bits with end-around carry. */
  public static int fold(long sum) {
    sum = (sum & 0xffffffffL) + (sum >>> 32);
    sum = (sum & 0xffff) + ((sum >>> 16) & 0xffff) + (sum >>> 32);
    sum = (sum & 0xffff) + (sum >>> 16);
    sum = (sum & 0xffff) + (sum >>> 16);
    return (int) sum;
  }

  /** The header value for a sum: its complement. */
  public static int complete(long sum) {
    return ~fold(sum) & 0xffff;
  }

  /** The checksum of a whole range, as it would be stored. */
  public static int of(byte[] data, int offset, int length) {
    return complete(add(0, data, offset, length));
  }

  /** The IPv4 pseudo-header's sum (RFC 793 §3.1) for the header at {@code ip}. */
  public static long pseudo4(byte[] data, int ip, int protocol, int length) {
    return Bytes.getUnsignedInt(data, ip + 12)
        + Bytes.getUnsignedInt(data, ip + 16)
        + protocol
        + length;
  }

  /** The IPv6 pseudo-header's sum (RFC 8200 §8.1) for the header at {@code ip}. */
  public static long pseudo6(byte[] data, int ip, int protocol, int length) {
    return add(0, data, ip + 8, 32) + protocol + length;
  }

  /**
   * The stored checksum after words that summed to {@code before} were replaced by words that sum
   * to {@code after}.
   */
  public static int update(int checksum, long before, long after) {
    return ~fold((~checksum & 0xffffL) + (~fold(before) & 0xffffL) + fold(after)) & 0xffff;
  }
}
