package io.anillo.network.packet;

import java.util.Arrays;

/**
 * Everything a flow can match on, laid out in {@value #WORDS} words of 64 bits.
 *
 * <p>Fields that cannot occur in one packet share bits (TCP and UDP ports, ICMP type and code, the
 * ARP operation); the prerequisites in {@link MatchField} keep them apart. Words 0 to 15 come from
 * the port and the frame, the rest from the pipeline and is zero when a frame enters it.
 *
 * <pre>
 *  0  in_port:32 in_phy_port:32          11  ipv6_flabel:20 ipv6_exthdr:9 mpls_label:20 mpls_tc:3 mpls_bos:1 tags:3 -:8
 *  1  metadata                           12  ipv6_nd_target (2 words), pbb_isid:24 in its top
 *  2  tunnel_id                          14  ipv6_nd_sll:48 tcp_flags:16
 *  3  eth_dst:48 eth_type:16             15  ipv6_nd_tll:48 -:16
 *  4  eth_src:48 vlan_vid:13 vlan_pcp:3  16  reg0:32 reg1:32, to word 23
 *  5  tp_src:16 tp_dst:16 ip_proto:8     24  ct_state:32 ct_mark:32
 *     dscp:6 ecn:2 ttl:8 frag:8        25  ct_zone:16 -:16 recirculation:32
 *  6  ipv4_src:32 ipv4_dst:32 (arp)      26  ct_label (2 words)
 *  7  ipv6_src (2 words), arp_sha:48     28  tun_ipv4_src:32 tun_ipv4_dst:32
 *  9  ipv6_dst (2 words), arp_tha:48
 * </pre>
 */
public final class FlowKey {
  public static final int WORDS = 29;

  /** Words that a frame entering the pipeline can set. */
  public static final int PACKET_WORDS = 16;

  public static final int PORT = 0;
  public static final int METADATA = 1;
  public static final int TUNNEL = 2;
  public static final int DESTINATION = 3;
  public static final int SOURCE = 4;
  public static final int TRANSPORT = 5;
  public static final int IPV4 = 6;
  public static final int IPV6_SOURCE = 7;
  public static final int IPV6_DESTINATION = 9;
  public static final int LABELS = 11;
  public static final int TARGET = 12;
  public static final int ND_SOURCE = 14;
  public static final int ND_TARGET_LINK = 15;
  public static final int REGISTERS = 16;
  public static final int CT_STATE = 24;
  public static final int CT_ZONE = 25;
  public static final int CT_LABEL = 26;
  public static final int TUNNEL_ENDPOINTS = 28;

  /** The mask of the number of VLAN tags in word {@link #LABELS}. */
  public static final long TAGS_MASK = 7L << 8;

  public final long[] words = new long[WORDS];

  public void clear() {
    Arrays.fill(words, 0);
  }

  public void copyFrom(FlowKey other) {
    System.arraycopy(other.words, 0, words, 0, WORDS);
  }

  public int inPort() {
    return (int) (words[PORT] >>> 32);
  }

  public void setInPort(int port) {
    words[PORT] = ((long) port << 32) | (port & 0xffffffffL);
  }

  public int etherType() {
    return (int) words[DESTINATION] & 0xffff;
  }

  public long destination() {
    return words[DESTINATION] >>> 16;
  }

  public long source() {
    return words[SOURCE] >>> 16;
  }

  /** VLAN identifier with the presence bit 0x1000, 0 without a tag. */
  public int vlan() {
    return (int) (words[SOURCE] >>> 3) & 0x1fff;
  }

  public int vlanPriority() {
    return (int) words[SOURCE] & 7;
  }

  public int tags() {
    return (int) (words[LABELS] >>> 8) & 7;
  }

  public int protocol() {
    return (int) (words[TRANSPORT] >>> 24) & 0xff;
  }

  public int transportSource() {
    return (int) (words[TRANSPORT] >>> 48);
  }

  public int transportDestination() {
    return (int) (words[TRANSPORT] >>> 32) & 0xffff;
  }

  public int ipv4Source() {
    return (int) (words[IPV4] >>> 32);
  }

  public int ipv4Destination() {
    return (int) words[IPV4];
  }

  /** Where the frame resumes in the pipeline, 0 at its start. */
  public int recirculation() {
    return (int) words[CT_ZONE];
  }

  public void setRecirculation(int id) {
    words[CT_ZONE] = (words[CT_ZONE] & 0xffffffff00000000L) | (id & 0xffffffffL);
  }

  /** A hash of all words. */
  public int hash() {
    long hash = 0;
    for (int i = 0; i < WORDS; i++) {
      hash = mix(hash, words[i]);
    }
    return finish(hash);
  }

  /** One round of the word-wise hash that all tables use. */
  public static long mix(long hash, long word) {
    hash ^= word * 0x9E3779B97F4A7C15L;
    return Long.rotateLeft(hash, 27) * 0xC2B2AE3D27D4EB4FL;
  }

  public static int finish(long hash) {
    hash ^= hash >>> 29;
    hash *= 0xBF58476D1CE4E5B9L;
    return (int) (hash >>> 32);
  }
}
