package io.anillo.network.flow;

import io.anillo.network.packet.MatchField;

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

  /** The longest run of two or more zero groups is left out, the first of equals (RFC 5952 §4). */
  public static String ipv6(long high, long low) {
    int[] groups = new int[8];
    for (int i = 0; i < 8; i++) {
      groups[i] = (int) ((i < 4 ? high : low) >>> 48 - 16 * (i & 3)) & 0xffff;
    }
    int from = 8;
    int longest = 1;
    for (int i = 0; i < 8; i++) {
      int end = i;
      while (end < 8 && groups[end] == 0) {
        end++;
      }
      if (end - i > longest) {
        from = i;
        longest = end - i;
      }
    }
    StringBuilder text = new StringBuilder(39);
    for (int i = 0; i < 8; i++) {
      if (i == from) {
        text.append(i == 0 ? "::" : ":");
        i += longest - 1;
      } else {
        text.append(Integer.toHexString(groups[i])).append(i < 7 ? ":" : "");
      }
    }
    return text.toString();
  }
}
