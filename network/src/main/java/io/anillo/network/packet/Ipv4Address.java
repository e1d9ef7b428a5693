package io.anillo.network.packet;

/** IPv4 addresses as people write them. */
public final class Ipv4Address {
  private Ipv4Address() {}

  /**
   * Reads {@code A.B.C.D}; the first number is in the highest byte.
   *
   * @throws IllegalArgumentException with one clear sentence when the text is no address
   */
  public static int parse(String text) {
    String[] parts = text.split("\\.", -1);
    int value = 0;
    for (String part : parts) {
      int octet = part.matches("[0-9]{1,3}") ? Integer.parseInt(part) : 256;
      if (parts.length != 4 || octet > 255) {
        throw new IllegalArgumentException("\"" + text + "\" is not an IPv4 address");
      }
      value = value << 8 | octet;
    }
    return value;
  }
}
