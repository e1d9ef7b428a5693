package io.anillo.network.tenant;

import io.anillo.network.flow.FieldText;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;

/** An IPv6 address or network as people write it: {@code fd00:5::/64}. Host bits are zero. */
public record Ipv6(long high, long low, int prefixLength) {
  /** All nodes on a link (RFC 4291 §2.7.1). */
  static final Ipv6 ALL_NODES = address(0xff02L << 48, 1);

  private static final long LINK_LOCAL = 0xfe80L << 48;

  /** What is meant for one link only (RFC 4291 §2.4). */
  static final Ipv6 LINK_LOCAL_NETWORK = new Ipv6(LINK_LOCAL, 0, 10);

  /** Addresses of groups. */
  static final Ipv6 GROUPS = new Ipv6(0xffL << 56, 0, 8);

  public Ipv6 {
    if (prefixLength < 0 || prefixLength > 128) {
      throw new IllegalArgumentException("a prefix of /" + prefixLength + " is none");
    }
    long maskHigh = maskHigh(prefixLength);
    long maskLow = maskLow(prefixLength);
    if ((high & ~maskHigh | low & ~maskLow) != 0) {
      throw new IllegalArgumentException(
          FieldText.ipv6(high, low)
              + "/"
              + prefixLength
              + " has bits beyond its prefix; the network is "
              + FieldText.ipv6(high & maskHigh, low & maskLow)
              + "/"
              + prefixLength);
    }
  }

  private static long maskHigh(int prefixLength) {
    return prefixLength == 0 ? 0 : prefixLength >= 64 ? -1L : -1L << 64 - prefixLength;
  }

  private static long maskLow(int prefixLength) {
    return prefixLength <= 64 ? 0 : -1L << 128 - prefixLength;
  }

  static Ipv6 address(long high, long low) {
    return new Ipv6(high, low, 128);
  }

  /** The address of a card on its link that it makes for itself (RFC 4291 §2.5.6). */
  static Ipv6 linkLocal(long ethernet) {
    return address(LINK_LOCAL, identifier(ethernet));
  }

  /** The modified EUI-64 of an Ethernet address (RFC 4291, appendix A). */
  private static long identifier(long ethernet) {
    return (ethernet >>> 24 ^ 0x020000) << 40 | 0xfffeL << 24 | ethernet & 0xffffff;
  }

  /**
   * Reads {@code fd00:5::/64}; without a prefix length it is one address.
   *
   * @throws IllegalArgumentException with one clear sentence
   */
  public static Ipv6 parse(String text) {
    int slash = text.indexOf('/');
    String address = slash < 0 ? text : text.substring(0, slash);
    String length = slash < 0 ? "128" : text.substring(slash + 1);
    if (!address.matches("[0-9a-fA-F:.]*:[0-9a-fA-F:.]*") || !length.matches("[0-9]{1,3}")) {
      throw wrong(text);
    }
    InetAddress parsed;
    try {
      parsed = InetAddress.ofLiteral(address);
    } catch (IllegalArgumentException e) {
      throw wrong(text);
    }
    if (!(parsed instanceof Inet6Address)) {
      throw wrong(text);
    }
    ByteBuffer bytes = ByteBuffer.wrap(parsed.getAddress());
    return new Ipv6(bytes.getLong(), bytes.getLong(), Integer.parseInt(length));
  }

  private static IllegalArgumentException wrong(String text) {
    return new IllegalArgumentException(
        "\"" + text + "\" is not an IPv6 address or network such as fd00:5::/64");
  }

  public boolean contains(Ipv6 other) {
    return (other.high & maskHigh(prefixLength)) == high
        && (other.low & maskLow(prefixLength)) == low;
  }

  boolean overlaps(Ipv6 other) {
    return contains(other) || other.contains(this);
  }

  long maskHigh() {
    return maskHigh(prefixLength);
  }

  long maskLow() {
    return maskLow(prefixLength);
  }

  /** The address in this network of 64 bits that a card makes for itself (RFC 4862 §5.5.3). */
  public Ipv6 of(long ethernet) {
    return address(high, identifier(ethernet));
  }

  /** The network of 64 bits that an address is in. */
  Ipv6 network64() {
    return new Ipv6(high, 0, 64);
  }

  boolean isLinkLocal() {
    return LINK_LOCAL_NETWORK.contains(this);
  }

  boolean isMulticast() {
    return GROUPS.contains(this);
  }

  /** The group in which the one with this address is asked for it (RFC 4291 §2.7.1). */
  Ipv6 solicitedNode() {
    return address(0xff02L << 48, 0x1_ff00_0000L | low & 0xffffff);
  }

  /** Where frames for this group go (RFC 2464 §7). */
  long multicastEthernet() {
    return 0x3333_0000_0000L | low & 0xffffffffL;
  }

  /** The address that a logical switch's gateway has: the first one. */
  Ipv6 first() {
    return address(high, low + 1);
  }

  @Override
  public String toString() {
    return FieldText.ipv6(high, low) + (prefixLength == 128 ? "" : "/" + prefixLength);
  }
}
