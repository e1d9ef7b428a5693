package io.anillo.network.conformance;

import io.anillo.network.packet.InternetChecksum;
import java.nio.ByteBuffer;
import java.util.HexFormat;

/** Frames to send through switches, in hexadecimal, with right checksums. */
final class Frames {
  static final String A = "020000000001";
  static final String B = "020000000002";
  static final byte[] PAYLOAD = "The quick brown fox jumps".getBytes();

  private Frames() {}

  static String ethernet(String type, String payload) {
    String frame = B + A + type + payload;
    return frame + "0".repeat(Math.max(0, 120 - frame.length()));
  }

  static String vlan(int tag, String frame) {
    return frame.substring(0, 24) + "8100" + String.format("%04x", tag) + frame.substring(24);
  }

  static String arp(int operation) {
    return ethernet(
        "0806",
        "000108000604" + String.format("%04x", operation) + A + "0a000001" + B + "0a000002");
  }

  static String ipv4(int protocol, int service, int ttl, byte[] body) {
    ByteBuffer header = ByteBuffer.allocate(20 + body.length);
    header.putShort((short) (0x4500 | service)).putShort((short) (20 + body.length));
    header.putInt(0x12340000).put((byte) ttl).put((byte) protocol).putShort((short) 0);
    header.putInt(0x0a000001).putInt(0x0a000002).put(body);
    byte[] packet = header.array();
    header.putShort(10, (short) InternetChecksum.of(packet, 0, 20));
    return ethernet("0800", HexFormat.of().formatHex(packet));
  }

  static String ipv6(int protocol, int traffic, int label, byte[] body) {
    ByteBuffer header = ByteBuffer.allocate(40 + body.length);
    header.putInt(6 << 28 | traffic << 20 | label).putShort((short) body.length);
    header.put((byte) protocol).put((byte) 64);
    header.putLong(0x20010db800000000L).putLong(1).putLong(0x20010db800000000L).putLong(2);
    header.put(body);
    return ethernet("86dd", HexFormat.of().formatHex(header.array()));
  }

  private static long pseudo(boolean ipv6, int protocol, int length) {
    byte[] addresses =
        HexFormat.of()
            .parseHex(
                ipv6
                    ? "20010db8000000000000000000000001" + "20010db8000000000000000000000002"
                    : "0a0000010a000002");
    return InternetChecksum.add(0, addresses, 0, addresses.length) + protocol + length;
  }

  static byte[] tcp(boolean ipv6, int flags) {
    ByteBuffer segment = ByteBuffer.allocate(20 + PAYLOAD.length);
    segment.putShort((short) 1000).putShort((short) 80).putInt(7).putInt(9);
    segment.putShort((short) (5 << 12 | flags)).putShort((short) 1024).putInt(0).put(PAYLOAD);
    byte[] bytes = segment.array();
    long sum = pseudo(ipv6, 6, bytes.length);
    segment.putShort(
        16, (short) InternetChecksum.complete(InternetChecksum.add(sum, bytes, 0, bytes.length)));
    return bytes;
  }

  static byte[] udp(boolean ipv6) {
    return udp(ipv6, 1000);
  }

  static byte[] udp(int source) {
    return udp(false, source);
  }

  private static byte[] udp(boolean ipv6, int source) {
    ByteBuffer datagram = ByteBuffer.allocate(8 + PAYLOAD.length);
    datagram.putShort((short) source).putShort((short) 53).putShort((short) (8 + PAYLOAD.length));
    datagram.putShort((short) 0).put(PAYLOAD);
    byte[] bytes = datagram.array();
    long sum = pseudo(ipv6, 17, bytes.length);
    datagram.putShort(
        6, (short) InternetChecksum.complete(InternetChecksum.add(sum, bytes, 0, bytes.length)));
    return bytes;
  }

  static byte[] sctp() {
    ByteBuffer chunk = ByteBuffer.allocate(12 + 16);
    chunk.putShort((short) 1000).putShort((short) 2905).putInt(77).putInt(0);
    chunk.putInt(0x0b000010);
    byte[] bytes = chunk.array();
    java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
    crc.update(bytes);
    chunk.putInt(8, Integer.reverseBytes((int) crc.getValue()));
    return bytes;
  }

  static byte[] icmp4(int type, int code) {
    ByteBuffer message = ByteBuffer.allocate(8 + PAYLOAD.length);
    message.put((byte) type).put((byte) code).putShort((short) 0).putInt(0x00010001).put(PAYLOAD);
    byte[] bytes = message.array();
    message.putShort(2, (short) InternetChecksum.of(bytes, 0, bytes.length));
    return bytes;
  }

  static byte[] icmp6(int type, int code, String rest) {
    byte[] body = HexFormat.of().parseHex(rest);
    ByteBuffer message = ByteBuffer.allocate(4 + body.length);
    message.put((byte) type).put((byte) code).putShort((short) 0).put(body);
    byte[] bytes = message.array();
    long sum = pseudo(true, 58, bytes.length);
    message.putShort(
        2, (short) InternetChecksum.complete(InternetChecksum.add(sum, bytes, 0, bytes.length)));
    return bytes;
  }

  static byte[] neighbour(int type) {
    String option = type == 135 ? "0101" + A : "0201" + B;
    return icmp6(type, 0, "00000000" + "20010db8000000000000000000000002" + option);
  }

  static String mpls(String frame, int... entries) {
    StringBuilder stack = new StringBuilder();
    for (int entry : entries) {
      stack.append(String.format("%08x", entry));
    }
    return frame.substring(0, 24) + "8847" + stack + frame.substring(28);
  }

  /** The frame behind an 802.1ah service tag, whose addresses are those of the frame. */
  static String backbone(int service, int priority, String frame) {
    return frame.substring(0, 24)
        + "88e7"
        + String.format("%08x", priority << 29 | service)
        + frame;
  }

  /**
   * TCP behind IPv6 extension headers (their numbers) of eight bytes each; nothing follows number
   * 59.
   */
  static String extended(int... headers) {
    StringBuilder chain = new StringBuilder();
    for (int i = 0; i < headers.length && headers[i] != 59; i++) {
      int next = i + 1 < headers.length ? headers[i + 1] : 6;
      // A first fragment of several; the others hold zeros: padding, or nothing to route.
      chain.append(
          String.format("%02x00%s", next, headers[i] == 44 ? "000100000007" : "000000000000"));
    }
    byte[] extensions = HexFormat.of().parseHex(chain);
    byte[] segment = headers[headers.length - 1] == 59 ? new byte[0] : tcp(true, 0x02);
    byte[] body = new byte[extensions.length + segment.length];
    System.arraycopy(extensions, 0, body, 0, extensions.length);
    System.arraycopy(segment, 0, body, extensions.length, segment.length);
    return ipv6(headers[0], 0, 0, body);
  }

  /** An IPv6 frame with another hop limit. */
  static String withHopLimit(String frame, int limit) {
    return frame.substring(0, 42) + String.format("%02x", limit) + frame.substring(44);
  }
}
