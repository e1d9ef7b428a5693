package io.anillo.network.tenant;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.InternetChecksum;

/** Frames that the controller sends in a logical switch's name. */
final class FrameBuilder {
  static final int SYN = 0x02;
  static final int RESET = 0x04;
  private static final int HEADERS = 34;
  private static final int SHORTEST = 60;

  /** One side of a conversation. */
  record Side(long ethernet, int address, int port) {}

  private FrameBuilder() {}

  private static byte[] ipv4(Side from, Side to, int protocol, int length) {
    byte[] frame = new byte[Math.max(SHORTEST, HEADERS + length)];
    Bytes.putAddress(frame, 0, to.ethernet());
    Bytes.putAddress(frame, 6, from.ethernet());
    Bytes.putShort(frame, 12, FlowCompiler.IPV4);
    Bytes.putShort(frame, 14, 0x4500);
    Bytes.putShort(frame, 16, 20 + length);
    Bytes.putInt(frame, 18, 0x4000);
    Bytes.putByte(frame, 22, 64);
    Bytes.putByte(frame, 23, protocol);
    Bytes.putInt(frame, 26, from.address());
    Bytes.putInt(frame, 30, to.address());
    Bytes.putShort(frame, 24, InternetChecksum.of(frame, 14, 20));
    return frame;
  }

  private static void checksum(byte[] frame, int protocol, int length, int at) {
    long sum = InternetChecksum.pseudo4(frame, 14, protocol, length);
    Bytes.putShort(
        frame, at, InternetChecksum.complete(InternetChecksum.add(sum, frame, HEADERS, length)));
  }

  static byte[] udp(Side from, Side to, byte[] payload) {
    int length = 8 + payload.length;
    byte[] frame = ipv4(from, to, 17, length);
    Bytes.putShort(frame, HEADERS, from.port());
    Bytes.putShort(frame, HEADERS + 2, to.port());
    Bytes.putShort(frame, HEADERS + 4, length);
    System.arraycopy(payload, 0, frame, HEADERS + 8, payload.length);
    checksum(frame, 17, length, HEADERS + 6);
    return frame;
  }

  static byte[] tcp(Side from, Side to, int sequence, int flags) {
    byte[] frame = ipv4(from, to, 6, 20);
    Bytes.putShort(frame, HEADERS, from.port());
    Bytes.putShort(frame, HEADERS + 2, to.port());
    Bytes.putInt(frame, HEADERS + 4, sequence);
    Bytes.putShort(frame, HEADERS + 12, 5 << 12 | flags);
    Bytes.putShort(frame, HEADERS + 14, 1024);
    checksum(frame, 6, 20, HEADERS + 16);
    return frame;
  }

  /** An ICMP echo request of 28 bytes behind the network header. */
  static byte[] echo(Side from, Side to, int identifier, int sequence) {
    byte[] frame = ipv4(from, to, 1, 28);
    Bytes.putByte(frame, HEADERS, 8);
    Bytes.putShort(frame, HEADERS + 4, identifier);
    Bytes.putShort(frame, HEADERS + 6, sequence);
    Bytes.putShort(frame, HEADERS + 2, InternetChecksum.of(frame, HEADERS, 28));
    return frame;
  }

  /** A message of ICMPv6 that only neighbours take; its checksum is filled in. */
  static byte[] icmpv6(long ethernet, Ipv6 from, long toEthernet, Ipv6 to, byte[] body) {
    byte[] frame = new byte[54 + body.length];
    Bytes.putAddress(frame, 0, toEthernet);
    Bytes.putAddress(frame, 6, ethernet);
    Bytes.putShort(frame, 12, FlowCompiler.IPV6);
    Bytes.putInt(frame, 14, 0x60000000);
    Bytes.putShort(frame, 18, body.length);
    Bytes.putShort(frame, 20, 58 << 8 | 255);
    Bytes.putLong(frame, 22, from.high());
    Bytes.putLong(frame, 30, from.low());
    Bytes.putLong(frame, 38, to.high());
    Bytes.putLong(frame, 46, to.low());
    System.arraycopy(body, 0, frame, 54, body.length);
    long sum = InternetChecksum.pseudo6(frame, 14, 58, body.length);
    Bytes.putShort(
        frame, 56, InternetChecksum.complete(InternetChecksum.add(sum, frame, 54, body.length)));
    return frame;
  }

  static byte[] arpRequest(long ethernet, int address, int target) {
    byte[] frame = new byte[SHORTEST];
    Bytes.putAddress(frame, 0, 0xffffffffffffL);
    Bytes.putAddress(frame, 6, ethernet);
    Bytes.putShort(frame, 12, FlowCompiler.ARP);
    Bytes.putInt(frame, 14, 0x00010800);
    Bytes.putInt(frame, 18, 0x06040001);
    Bytes.putAddress(frame, 22, ethernet);
    Bytes.putInt(frame, 28, address);
    Bytes.putInt(frame, 38, target);
    return frame;
  }
}
