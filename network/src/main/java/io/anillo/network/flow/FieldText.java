package io.anillo.network.flow;

import io.anillo.network.packet.MatchField;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;

/** Field values as people write them. */
public final class FieldText {
  private FieldText() {}

  /** The field's value in {@code value} with its mask when it is partial. */
  public static String format(MatchField field, long[] value, long[] mask) {
    String text = format(field, field.high(value), field.low(value));
    boolean full = field.low(mask) == field.ones() && (!field.wide() || field.high(mask) == -1L);
    if (full) {
      return text;
    }
    return text + "/" + format(field, field.high(mask), field.low(mask));
  }

  public static String format(MatchField field, long high, long low) {
    return switch (field) {
      case IN_PORT, IN_PHY_PORT -> Ports.name((int) low);
      case ETH_DST, ETH_SRC, ARP_SHA, ARP_THA, IPV6_ND_SLL, IPV6_ND_TLL -> address(low);
      case IPV4_SRC, IPV4_DST, ARP_SPA, ARP_TPA, TUN_IPV4_SRC, TUN_IPV4_DST -> ipv4((int) low);
      case IPV6_SRC, IPV6_DST, IPV6_ND_TARGET -> ipv6(high, low);
      case ETH_TYPE, METADATA, TUNNEL_ID, VLAN_VID, CT_STATE, CT_MARK ->
          "0x" + Long.toHexString(low);
      case CT_LABEL ->
          "0x" + (high == 0 ? "" : Long.toHexString(high) + "_") + Long.toHexString(low);
      default -> Long.toUnsignedString(low);
    };
  }

  public static String address(long value) {
    StringBuilder text = new StringBuilder(17);
    for (int shift = 40; shift >= 0; shift -= 8) {
      text.append(Character.forDigit((int) (value >>> shift + 4) & 15, 16));
      text.append(Character.forDigit((int) (value >>> shift) & 15, 16));
      if (shift > 0) {
        text.append(':');
      }
    }
    return text.toString();
  }

  public static String ipv4(int value) {
    return (value >>> 24)
        + "."
        + (value >>> 16 & 255)
        + "."
        + (value >>> 8 & 255)
        + "."
        + (value & 255);
  }

  public static String ipv6(long high, long low) {
    byte[] bytes = ByteBuffer.allocate(16).putLong(high).putLong(low).array();
    try {
      return InetAddress.getByAddress(bytes).getHostAddress();
    } catch (UnknownHostException e) {
      throw new IllegalStateException("sixteen bytes are an IPv6 address", e);
    }
  }
}
