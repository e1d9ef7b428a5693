package io.anillo.network.tenant;

import io.anillo.network.flow.FieldText;
import io.anillo.network.packet.Ipv4Address;

/** An IPv4 address or network as people write it: {@code 10.1.0.0/24}. Host bits are zero. */
public record Ipv4(int address, int prefixLength) {
  public static final Ipv4 ANY = new Ipv4(0, 0);

  public Ipv4 {
    if (prefixLength < 0 || prefixLength > 32) {
      throw new IllegalArgumentException("a prefix of /" + prefixLength + " is none");
    }
    if ((address & ~mask(prefixLength)) != 0) {
      throw new IllegalArgumentException(
          FieldText.ipv4(address)
              + "/"
              + prefixLength
              + " has bits beyond its prefix; the network is "
              + FieldText.ipv4(address & mask(prefixLength))
              + "/"
              + prefixLength);
    }
  }

  static int mask(int prefixLength) {
    return prefixLength == 0 ? 0 : -1 << 32 - prefixLength;
  }

  /**
   * Reads {@code 10.1.0.0/24}; without a prefix length it is one address.
   *
   * @throws IllegalArgumentException with one clear sentence
   */
  public static Ipv4 parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0) {
      return new Ipv4(Ipv4Address.parse(text), 32);
    }
    String length = text.substring(slash + 1);
    if (!length.matches("[0-9]{1,2}")) {
      throw new IllegalArgumentException("\"" + text + "\" is not a network such as 10.1.0.0/24");
    }
    return new Ipv4(Ipv4Address.parse(text.substring(0, slash)), Integer.parseInt(length));
  }

  public int mask() {
    return mask(prefixLength);
  }

  public boolean contains(int other) {
    return (other & mask()) == address;
  }

  boolean overlaps(Ipv4 other) {
    return contains(other.address) || other.contains(address);
  }

  /** The address that a logical switch's own services have: the first one. */
  int first() {
    return address + 1;
  }

  int last() {
    return address | ~mask();
  }

  @Override
  public String toString() {
    return FieldText.ipv4(address) + (prefixLength == 32 ? "" : "/" + prefixLength);
  }
}
