package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.port.NetworkFrame;
import io.anillo.vmm.port.NetworkFrame.Segmentation;
import java.util.ArrayList;
import java.util.List;

/**
 * Does in software what a frame leaves to be done, for guests that did not accept it: stores
 * checksums and cuts TCP segments (virtio 1.2 §5.1.6; RFC 1071; RFC 9293 §3.1).
 */
final class FrameCompletion {
  private static final int FLAGS_ON_LAST_SEGMENT = 0x09; // FIN, PSH
  private static final int PROTOCOL_TCP = 6;

  /** IPv4 and TCP without options. */
  private static final int SMALLEST_HEADERS = 40;

  /** 64 KiB in segments of the smallest size that TCP must carry, 536 bytes, and some room. */
  private static final int MAXIMUM_SEGMENTS = 256;

  private FrameCompletion() {}

  /** The sum of 16-bit words in ones' complement, folded to 16 bits, not inverted. */
  static int sum(byte[] data, int from, int length, int start) {
    long total = start;
    int at = from;
    for (; at + 1 < from + length; at += 2) {
      total += (data[at] & 0xFF) << 8 | data[at + 1] & 0xFF;
    }
    if (at < from + length) {
      total += (data[at] & 0xFF) << 8;
    }
    while (total >>> 16 != 0) {
      total = (total & 0xFFFF) + (total >>> 16);
    }
    return (int) total;
  }

  private static int getShort(byte[] data, int at) {
    return (data[at] & 0xFF) << 8 | data[at + 1] & 0xFF;
  }

  private static void putShort(byte[] data, int at, int value) {
    data[at] = (byte) (value >>> 8);
    data[at + 1] = (byte) value;
  }

  /**
   * Completes a packet made by {@link NetworkHeader#encode}.
   *
   * @return complete packets with plain headers; empty when the frame cannot be cut
   */
  static List<byte[]> complete(byte[] packet) {
    NetworkFrame frame = NetworkHeader.view(packet);
    if (frame.segmentation() != Segmentation.NONE) {
      return segment(frame);
    }
    if (frame.checksumStart() >= 0) {
      checksum(packet, frame);
    }
    return List.of(packet);
  }

  /**
   * The field to be filled holds the pseudo header's sum, so that summing over it is all there is
   * to do.
   */
  private static void checksum(byte[] packet, NetworkFrame frame) {
    int start = frame.offset() + frame.checksumStart();
    int end = frame.offset() + frame.length();
    if (start + frame.checksumOffset() + 2 <= end) {
      int value = ~sum(packet, start, end - start, 0) & 0xFFFF;
      // An all-zero UDP checksum means "none": its other representation is sent.
      putShort(packet, start + frame.checksumOffset(), value == 0 ? 0xFFFF : value);
    }
    java.util.Arrays.fill(packet, 0, NetworkHeader.BYTES, (byte) 0);
  }

  private static List<byte[]> segment(NetworkFrame frame) {
    byte[] data = frame.data();
    int base = frame.offset();
    int tcp = frame.checksumStart();
    int network = networkOffset(data, base, frame.length());
    boolean version4 = frame.segmentation() == Segmentation.TCP4;
    if (frame.length() < network + SMALLEST_HEADERS) {
      return List.of();
    }
    int addressing = version4 ? (data[base + network] & 0xF) * 4 : 40;
    if (frame.segmentBytes() == 0
        || addressing < 20
        || tcp < network + addressing
        || tcp + 20 > frame.length()) {
      return List.of();
    }
    int headers = tcp + (data[base + tcp + 12] >>> 4 & 0xF) * 4;
    if (headers < tcp + 20 || headers > frame.length()) {
      return List.of();
    }
    int payload = frame.length() - headers;
    if (payload / frame.segmentBytes() > MAXIMUM_SEGMENTS) {
      return List.of();
    }
    List<byte[]> segments = new ArrayList<>();
    for (int at = 0; at == 0 || at < payload; at += frame.segmentBytes()) {
      int length = Math.min(frame.segmentBytes(), payload - at);
      byte[] packet = new byte[NetworkHeader.BYTES + headers + length];
      System.arraycopy(data, base, packet, NetworkHeader.BYTES, headers);
      System.arraycopy(data, base + headers + at, packet, NetworkHeader.BYTES + headers, length);
      boolean last = at + length == payload;
      describe(packet, network, tcp, headers + length, at, segments.size(), last, version4);
      segments.add(packet);
    }
    return segments;
  }

  private static int networkOffset(byte[] data, int base, int length) {
    boolean tagged = length >= 18 && getShort(data, base + 12) == 0x8100;
    return tagged ? NetworkHeader.ETHERNET_BYTES + 4 : NetworkHeader.ETHERNET_BYTES;
  }

  private static void describe(
      byte[] packet,
      int network,
      int tcp,
      int frameBytes,
      int sequenceOffset,
      int number,
      boolean last,
      boolean version4) {
    int ip = NetworkHeader.BYTES + network;
    int transport = NetworkHeader.BYTES + tcp;
    int transportBytes = frameBytes - tcp;
    int pseudo;
    if (version4) {
      putShort(packet, ip + 2, frameBytes - network);
      putShort(packet, ip + 4, getShort(packet, ip + 4) + number);
      putShort(packet, ip + 10, 0);
      putShort(packet, ip + 10, ~sum(packet, ip, (packet[ip] & 0xF) * 4, 0) & 0xFFFF);
      pseudo = sum(packet, ip + 12, 8, PROTOCOL_TCP + transportBytes);
    } else {
      putShort(packet, ip + 4, frameBytes - network - 40);
      pseudo = sum(packet, ip + 8, 32, PROTOCOL_TCP + transportBytes);
    }
    long sequence =
        ((long) getShort(packet, transport + 4) << 16 | getShort(packet, transport + 6))
            + sequenceOffset;
    putShort(packet, transport + 4, (int) (sequence >>> 16));
    putShort(packet, transport + 6, (int) sequence);
    if (!last) {
      packet[transport + 13] &= ~FLAGS_ON_LAST_SEGMENT;
    }
    putShort(packet, transport + 16, 0);
    putShort(packet, transport + 16, ~sum(packet, transport, transportBytes, pseudo) & 0xFFFF);
  }
}
