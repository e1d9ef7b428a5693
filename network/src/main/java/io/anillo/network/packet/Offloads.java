package io.anillo.network.packet;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;

/**
 * Does in software what a sender left to the card: checksums and cutting large TCP frames into
 * segments (virtio 1.2 §5.1.6.2), for receivers that do not take such frames.
 */
public final class Offloads {
  /** Takes finished frames one by one. */
  @FunctionalInterface
  public interface Sink {
    void accept(NetworkFrame frame);
  }

  private final byte[] segment = new byte[2048 + 9216];

  /**
   * Completes the checksum that starts {@code checksumStart} bytes into the frame at {@code
   * offset}.
   */
  static void completeChecksum(
      byte[] data, int offset, int length, int checksumStart, int checksumOffset) {
    int from = offset + checksumStart;
    int checksum = InternetChecksum.of(data, from, length - checksumStart);
    // A UDP checksum of zero would mean "none"; all ones is the same number (RFC 768).
    Bytes.putShort(data, from + checksumOffset, checksum == 0 ? 0xffff : checksum);
  }

  /** Whether a receiver with these abilities takes the packet as it is. */
  public static boolean acceptable(Packet packet, NetworkBackend.Offloads accepted) {
    return switch (packet.segmentation()) {
      case NONE -> !packet.needsChecksum() || accepted.checksum();
      case TCP4 -> accepted.checksum() && accepted.segmentation4();
      case TCP6 -> accepted.checksum() && accepted.segmentation6();
      case UDP -> false;
    };
  }

  /**
   * Hands {@code packet} to {@code sink} with nothing left to do, as one frame or as several
   * segments.
   */
  public void complete(Packet packet, Sink sink) {
    if (packet.segmentation() == NetworkFrame.Segmentation.NONE) {
      if (packet.needsChecksum()) {
        byte[] copy = packet.toByteArray();
        sink.accept(NetworkFrame.of(copy));
      } else {
        sink.accept(packet.frame());
      }
      return;
    }
    if (packet.segmentation() == NetworkFrame.Segmentation.UDP
        || packet.transport < 0
        || packet.key.protocol() != 6) {
      return;
    }
    int headerBytes = packet.transport - packet.start + packet.tcpHeaderBytes;
    int payload = packet.length - headerBytes;
    int room = segment.length - headerBytes;
    int size = Math.min(packet.segmentBytes(), room);
    if (size <= 0) {
      return;
    }
    for (int sent = 0; sent < payload || sent == 0; sent += size) {
      int count = Math.min(size, payload - sent);
      System.arraycopy(packet.data, packet.start, segment, 0, headerBytes);
      System.arraycopy(packet.data, packet.start + headerBytes + sent, segment, headerBytes, count);
      finishSegment(packet, headerBytes, sent, count, sent + count >= payload, sent / size);
      sink.accept(
          new NetworkFrame(
              segment, 0, headerBytes + count, -1, 0, NetworkFrame.Segmentation.NONE, 0));
    }
  }

  private void finishSegment(
      Packet packet, int headerBytes, int sent, int count, boolean last, int index) {
    int network = packet.network - packet.start;
    int transport = packet.transport - packet.start;
    int segmentLength = headerBytes - transport + count;
    Bytes.putInt(segment, transport + 4, Bytes.getInt(segment, transport + 4) + sent);
    if (!last) {
      segment[transport + 13] &= (byte) ~0x09; // FIN and PSH belong to the last segment only.
    }
    if (index > 0) {
      segment[transport + 13] &= 0x7f; // CWR to the first.
    }
    Bytes.putShort(segment, transport + 16, 0);
    long pseudo;
    if (packet.key.etherType() == 0x0800) {
      Bytes.putShort(segment, network + 2, headerBytes - network + count);
      Bytes.putShort(segment, network + 4, Bytes.getShort(segment, network + 4) + index);
      Bytes.putShort(segment, network + 10, 0);
      Bytes.putShort(
          segment, network + 10, InternetChecksum.of(segment, network, transport - network));
      pseudo = InternetChecksum.pseudo4(segment, network, 6, segmentLength);
    } else {
      Bytes.putShort(segment, network + 4, headerBytes - network - 40 + count);
      pseudo = InternetChecksum.pseudo6(segment, network, 6, segmentLength);
    }
    Bytes.putShort(
        segment,
        transport + 16,
        InternetChecksum.complete(InternetChecksum.add(pseudo, segment, transport, segmentLength)));
  }
}
