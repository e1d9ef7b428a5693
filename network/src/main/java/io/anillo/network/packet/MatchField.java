package io.anillo.network.packet;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The fields a flow can match: the basic class of OpenFlow 1.3.5 §7.2.3.7, and those of Open
 * vSwitch's extensions that stateful security groups need.
 *
 * <p>The one table that the wire codec, the classifier, set-field and the conformance test read.
 */
public enum MatchField {
  IN_PORT("in_port", 0x8000, 0, 32, 0, 32, false, false, Prerequisite.NONE),
  IN_PHY_PORT("in_phy_port", 0x8000, 1, 32, 0, 0, false, false, Prerequisite.IN_PORT),
  METADATA("metadata", 0x8000, 2, 64, 1, 0, true, true, Prerequisite.NONE),
  ETH_DST("eth_dst", 0x8000, 3, 48, 3, 16, true, true, Prerequisite.NONE),
  ETH_SRC("eth_src", 0x8000, 4, 48, 4, 16, true, true, Prerequisite.NONE),
  ETH_TYPE("eth_type", 0x8000, 5, 16, 3, 0, false, false, Prerequisite.NONE),
  VLAN_VID("vlan_vid", 0x8000, 6, 13, 4, 3, true, true, Prerequisite.NONE),
  VLAN_PCP("vlan_pcp", 0x8000, 7, 3, 4, 0, false, true, Prerequisite.VLAN),
  IP_DSCP("ip_dscp", 0x8000, 8, 6, 5, 18, false, true, Prerequisite.IP),
  IP_ECN("ip_ecn", 0x8000, 9, 2, 5, 16, false, true, Prerequisite.IP),
  IP_PROTO("ip_proto", 0x8000, 10, 8, 5, 24, false, false, Prerequisite.IP),
  IPV4_SRC("ipv4_src", 0x8000, 11, 32, 6, 32, true, true, Prerequisite.IPV4),
  IPV4_DST("ipv4_dst", 0x8000, 12, 32, 6, 0, true, true, Prerequisite.IPV4),
  TCP_SRC("tcp_src", 0x8000, 13, 16, 5, 48, true, true, Prerequisite.TCP),
  TCP_DST("tcp_dst", 0x8000, 14, 16, 5, 32, true, true, Prerequisite.TCP),
  UDP_SRC("udp_src", 0x8000, 15, 16, 5, 48, true, true, Prerequisite.UDP),
  UDP_DST("udp_dst", 0x8000, 16, 16, 5, 32, true, true, Prerequisite.UDP),
  SCTP_SRC("sctp_src", 0x8000, 17, 16, 5, 48, true, true, Prerequisite.SCTP),
  SCTP_DST("sctp_dst", 0x8000, 18, 16, 5, 32, true, true, Prerequisite.SCTP),
  ICMPV4_TYPE("icmpv4_type", 0x8000, 19, 8, 5, 48, false, true, Prerequisite.ICMPV4),
  ICMPV4_CODE("icmpv4_code", 0x8000, 20, 8, 5, 32, false, true, Prerequisite.ICMPV4),
  ARP_OP("arp_op", 0x8000, 21, 16, 5, 48, false, true, Prerequisite.ARP),
  ARP_SPA("arp_spa", 0x8000, 22, 32, 6, 32, true, true, Prerequisite.ARP),
  ARP_TPA("arp_tpa", 0x8000, 23, 32, 6, 0, true, true, Prerequisite.ARP),
  ARP_SHA("arp_sha", 0x8000, 24, 48, 7, 16, true, true, Prerequisite.ARP),
  ARP_THA("arp_tha", 0x8000, 25, 48, 9, 16, true, true, Prerequisite.ARP),
  IPV6_SRC("ipv6_src", 0x8000, 26, 128, 7, 0, true, true, Prerequisite.IPV6),
  IPV6_DST("ipv6_dst", 0x8000, 27, 128, 9, 0, true, true, Prerequisite.IPV6),
  IPV6_FLABEL("ipv6_flabel", 0x8000, 28, 20, 11, 44, true, true, Prerequisite.IPV6),
  ICMPV6_TYPE("icmpv6_type", 0x8000, 29, 8, 5, 48, false, true, Prerequisite.ICMPV6),
  ICMPV6_CODE("icmpv6_code", 0x8000, 30, 8, 5, 32, false, true, Prerequisite.ICMPV6),
  IPV6_ND_TARGET("ipv6_nd_target", 0x8000, 31, 128, 12, 0, true, true, Prerequisite.ND),
  IPV6_ND_SLL("ipv6_nd_sll", 0x8000, 32, 48, 14, 16, true, true, Prerequisite.ND_SOLICITATION),
  IPV6_ND_TLL("ipv6_nd_tll", 0x8000, 33, 48, 15, 16, true, true, Prerequisite.ND_ADVERTISEMENT),
  MPLS_LABEL("mpls_label", 0x8000, 34, 20, 11, 15, false, true, Prerequisite.MPLS),
  MPLS_TC("mpls_tc", 0x8000, 35, 3, 11, 12, false, true, Prerequisite.MPLS),
  MPLS_BOS("mpls_bos", 0x8000, 36, 1, 11, 11, false, false, Prerequisite.MPLS),
  PBB_ISID("pbb_isid", 0x8000, 37, 24, 12, 40, true, true, Prerequisite.PBB),
  TUNNEL_ID("tunnel_id", 0x8000, 38, 64, 2, 0, true, true, Prerequisite.NONE),
  IPV6_EXTHDR("ipv6_exthdr", 0x8000, 39, 9, 11, 35, true, false, Prerequisite.IPV6),
  REG0("reg0", 1, 0, 32, 16, 32, true, true, Prerequisite.NONE),
  REG1("reg1", 1, 1, 32, 16, 0, true, true, Prerequisite.NONE),
  REG2("reg2", 1, 2, 32, 17, 32, true, true, Prerequisite.NONE),
  REG3("reg3", 1, 3, 32, 17, 0, true, true, Prerequisite.NONE),
  REG4("reg4", 1, 4, 32, 18, 32, true, true, Prerequisite.NONE),
  REG5("reg5", 1, 5, 32, 18, 0, true, true, Prerequisite.NONE),
  REG6("reg6", 1, 6, 32, 19, 32, true, true, Prerequisite.NONE),
  REG7("reg7", 1, 7, 32, 19, 0, true, true, Prerequisite.NONE),
  REG8("reg8", 1, 8, 32, 20, 32, true, true, Prerequisite.NONE),
  REG9("reg9", 1, 9, 32, 20, 0, true, true, Prerequisite.NONE),
  REG10("reg10", 1, 10, 32, 21, 32, true, true, Prerequisite.NONE),
  REG11("reg11", 1, 11, 32, 21, 0, true, true, Prerequisite.NONE),
  REG12("reg12", 1, 12, 32, 22, 32, true, true, Prerequisite.NONE),
  REG13("reg13", 1, 13, 32, 22, 0, true, true, Prerequisite.NONE),
  REG14("reg14", 1, 14, 32, 23, 32, true, true, Prerequisite.NONE),
  REG15("reg15", 1, 15, 32, 23, 0, true, true, Prerequisite.NONE),
  IP_FRAG("ip_frag", 1, 26, 8, 5, 0, true, false, Prerequisite.IP),
  NW_TTL("nw_ttl", 1, 29, 8, 5, 8, false, true, Prerequisite.IP),
  TUN_IPV4_SRC("tun_src", 1, 31, 32, 28, 32, true, true, Prerequisite.NONE),
  TUN_IPV4_DST("tun_dst", 1, 32, 32, 28, 0, true, true, Prerequisite.NONE),
  TCP_FLAGS("tcp_flags", 1, 34, 16, 14, 0, true, false, Prerequisite.TCP),
  CT_STATE("ct_state", 1, 105, 32, 24, 32, true, false, Prerequisite.NONE),
  CT_ZONE("ct_zone", 1, 106, 16, 25, 48, false, false, Prerequisite.NONE),
  CT_MARK("ct_mark", 1, 107, 32, 24, 0, true, true, Prerequisite.NONE),
  CT_LABEL("ct_label", 1, 108, 128, 26, 0, true, true, Prerequisite.NONE);

  /** What another field of the same match must say before a field means anything (§7.2.3.8). */
  public enum Prerequisite {
    NONE,
    IN_PORT,
    VLAN,
    IP,
    IPV4,
    IPV6,
    ARP,
    MPLS,
    PBB,
    TCP,
    UDP,
    SCTP,
    ICMPV4,
    ICMPV6,
    ND,
    ND_SOLICITATION,
    ND_ADVERTISEMENT
  }

  private static final Map<Integer, MatchField> BY_CLASS_AND_NUMBER = new HashMap<>();
  private static final MatchField[] NXM0 = {
    IN_PORT,
    ETH_DST,
    ETH_SRC,
    ETH_TYPE,
    null,
    null,
    IP_PROTO,
    IPV4_SRC,
    IPV4_DST,
    TCP_SRC,
    TCP_DST,
    UDP_SRC,
    UDP_DST,
    ICMPV4_TYPE,
    ICMPV4_CODE,
    ARP_OP,
    ARP_SPA,
    ARP_TPA
  };

  static {
    for (MatchField field : values()) {
      BY_CLASS_AND_NUMBER.put(field.oxmClass << 8 | field.number, field);
    }
    // Older names of the same fields, which Open vSwitch's tools still send inside actions.
    for (int i = 0; i < NXM0.length; i++) {
      if (NXM0[i] != null && i != 0) {
        BY_CLASS_AND_NUMBER.put(i, NXM0[i]);
      }
    }
    int[] nxm1 = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28};
    MatchField[] same = {
      TUNNEL_ID,
      ARP_SHA,
      ARP_THA,
      IPV6_SRC,
      IPV6_DST,
      ICMPV6_TYPE,
      ICMPV6_CODE,
      IPV6_ND_TARGET,
      IPV6_ND_SLL,
      IPV6_ND_TLL,
      IPV6_FLABEL,
      IP_ECN
    };
    for (int i = 0; i < nxm1.length; i++) {
      BY_CLASS_AND_NUMBER.put(1 << 8 | nxm1[i], same[i]);
    }
  }

  private final String label;
  private final int oxmClass;
  private final int number;
  private final int bits;
  private final int word;
  private final int shift;
  private final boolean maskable;
  private final boolean settable;
  private final Prerequisite prerequisite;

  MatchField(
      String label,
      int oxmClass,
      int number,
      int bits,
      int word,
      int shift,
      boolean maskable,
      boolean settable,
      Prerequisite prerequisite) {
    this.label = label;
    this.oxmClass = oxmClass;
    this.number = number;
    this.bits = bits;
    this.word = word;
    this.shift = shift;
    this.maskable = maskable;
    this.settable = settable;
    this.prerequisite = prerequisite;
  }

  /** The field with an OXM class and number, if this switch knows it. */
  public static Optional<MatchField> of(int oxmClass, int number) {
    return Optional.ofNullable(BY_CLASS_AND_NUMBER.get(oxmClass << 8 | number));
  }

  /** The field with a name as {@link #label} prints it. */
  public static Optional<MatchField> named(String label) {
    for (MatchField field : values()) {
      if (field.label.equals(label)) {
        return Optional.of(field);
      }
    }
    return Optional.empty();
  }

  public String label() {
    return label;
  }

  public int oxmClass() {
    return oxmClass;
  }

  public int number() {
    return number;
  }

  public int bits() {
    return bits;
  }

  /** Bytes of a value on the wire. */
  public int bytes() {
    // The labels of IPv6 flows and MPLS have 20 bits in four bytes (OpenFlow 1.3.5 table 12).
    return bits == 20 ? 4 : (bits + 7) / 8;
  }

  /** The key word that holds the field (its first, of two, for 128 bits). */
  public int word() {
    return word;
  }

  public int shift() {
    return shift;
  }

  public boolean maskable() {
    return maskable;
  }

  public boolean settable() {
    return settable;
  }

  public Prerequisite prerequisite() {
    return prerequisite;
  }

  public boolean basic() {
    return oxmClass == 0x8000;
  }

  public boolean wide() {
    return bits == 128;
  }

  /** All bits of the field's (last) word, right-aligned. */
  public long ones() {
    return bits >= 64 ? -1L : (1L << bits) - 1;
  }

  /** The four-byte OXM header. */
  public int header(boolean hasMask) {
    int length = hasMask ? bytes() * 2 : bytes();
    return oxmClass << 16 | number << 9 | (hasMask ? 0x100 : 0) | length;
  }

  /** The field's low 64 bits in a key. */
  public long low(long[] words) {
    return wide() ? words[word + 1] : (words[word] >>> shift) & ones();
  }

  /** The field's high 64 bits in a key; 0 unless it has 128. */
  public long high(long[] words) {
    return wide() ? words[word] : 0;
  }

  public void set(long[] words, long high, long low) {
    if (wide()) {
      words[word] = high;
      words[word + 1] = low;
    } else {
      words[word] = (words[word] & ~(ones() << shift)) | (low & ones()) << shift;
    }
  }

  /** Whether a match (or a packet, with all masks set) satisfies this field's prerequisite. */
  public boolean allowedBy(long[] value, long[] mask) {
    int type = exact(ETH_TYPE, value, mask);
    int protocol = exact(IP_PROTO, value, mask);
    boolean ip4 = type == 0x0800;
    boolean ip6 = type == 0x86dd;
    boolean ip = ip4 || ip6;
    return switch (prerequisite) {
      case NONE -> true;
      case IN_PORT -> exact(IN_PORT, value, mask) != -1;
      case VLAN -> (VLAN_VID.low(mask) & VLAN_VID.low(value) & 0x1000) != 0;
      case IP -> ip;
      case IPV4 -> ip4;
      case IPV6 -> ip6;
      case ARP -> type == 0x0806;
      case MPLS -> type == 0x8847 || type == 0x8848;
      case PBB -> type == 0x88e7;
      case TCP -> ip && protocol == 6;
      case UDP -> ip && protocol == 17;
      case SCTP -> ip && protocol == 132;
      case ICMPV4 -> ip4 && protocol == 1;
      case ICMPV6 -> ip6 && protocol == 58;
      case ND -> ip6 && protocol == 58 && nd(value, mask, 135, 136);
      case ND_SOLICITATION -> ip6 && protocol == 58 && nd(value, mask, 135, 135);
      case ND_ADVERTISEMENT -> ip6 && protocol == 58 && nd(value, mask, 136, 136);
    };
  }

  private static boolean nd(long[] value, long[] mask, int first, int second) {
    int type = exact(ICMPV6_TYPE, value, mask);
    return type == first || type == second;
  }

  /** The field's value where the match fixes all its bits, else -1. */
  private static int exact(MatchField field, long[] value, long[] mask) {
    return field.low(mask) == field.ones() ? (int) field.low(value) : -1;
  }
}
