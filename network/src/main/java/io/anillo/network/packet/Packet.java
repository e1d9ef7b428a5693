package io.anillo.network.packet;

import io.anillo.vmm.port.NetworkFrame;
import java.util.Arrays;

/**
 * A frame on its way through the switch: its bytes, where its headers lie, its flow key and what is
 * left to offload.
 *
 * <p>A packet borrows the sender's array until something changes the frame; then it copies it into
 * its own buffer, which has room in front for tags. One packet object is used again and again by
 * one thread. Hot: allocates nothing but its buffer, once; watched by {@code anillo bench network}.
 */
public final class Packet {
  /** Room in front of a copied frame for pushed tags and tunnel headers. */
  public static final int HEADROOM = 128;

  /** The largest frame: an Ethernet header, tags and a 64 KiB IP packet. */
  public static final int MAXIMUM_BYTES = 65535 + 14 + 32;

  public final FlowKey key = new FlowKey();

  private static final byte[] NOTHING = new byte[0];

  /** Made when first needed: of several packets under way, few are changed. */
  private byte[] buffer = NOTHING;

  byte[] data = NOTHING;
  int start = HEADROOM;
  int length;
  private boolean owned;

  /** Offset in {@link #data} of the EtherType that follows all VLAN tags. */
  int typeOffset;

  /** Offset of the network header (IP, ARP, MPLS label stack), -1 when there is none. */
  int network = -1;

  /** Offset of the transport header, -1 when there is none or it is in another fragment. */
  int transport = -1;

  /** Offsets of the link-layer address options of neighbour discovery, -1 when absent. */
  int sourceOption = -1;

  int targetOption = -1;
  int tcpHeaderBytes;

  private int checksumStart = -1;
  private int checksumOffset;
  private NetworkFrame.Segmentation segmentation = NetworkFrame.Segmentation.NONE;
  private int segmentBytes;

  /** The queue of the output port, as set-queue chose it. */
  public int queue;

  /**
   * Borrows {@code frame} until the next call of {@code reset}; false when it is too short or long
   * to be a frame.
   */
  public boolean reset(NetworkFrame frame) {
    data = frame.data();
    start = frame.offset();
    length = frame.length();
    owned = false;
    checksumStart = frame.checksumStart();
    checksumOffset = frame.checksumOffset();
    segmentation = frame.segmentation();
    segmentBytes = frame.segmentBytes();
    queue = 0;
    boolean inside =
        start >= 0 && length >= 14 && length <= MAXIMUM_BYTES && start <= data.length - length;
    if (!inside) {
      return false;
    }
    if (checksumStart >= 0
        && (checksumStart < 14
            || checksumOffset < 0
            || checksumOffset > 1 << 16
            || checksumStart + checksumOffset + 2 > length)) {
      return false;
    }
    if (checksumStart < 0) {
      checksumStart = -1;
      if (segmentation != NetworkFrame.Segmentation.NONE) {
        return false;
      }
    }
    return segmentation == NetworkFrame.Segmentation.NONE || segmentBytes >= 8;
  }

  /** Borrows plain bytes. */
  public boolean reset(byte[] bytes, int offset, int count) {
    return reset(new NetworkFrame(bytes, offset, count, -1, 0, NetworkFrame.Segmentation.NONE, 0));
  }

  /** Takes over another packet's bytes (copied), key and offload state. */
  public void copyFrom(Packet other) {
    int moved = HEADROOM - other.start;
    if (buffer == NOTHING) {
      buffer = new byte[HEADROOM + MAXIMUM_BYTES + 32];
    }
    System.arraycopy(other.data, other.start, buffer, HEADROOM, other.length);
    data = buffer;
    start = HEADROOM;
    length = other.length;
    owned = true;
    typeOffset = other.typeOffset + moved;
    network = other.network < 0 ? -1 : other.network + moved;
    transport = other.transport < 0 ? -1 : other.transport + moved;
    sourceOption = other.sourceOption < 0 ? -1 : other.sourceOption + moved;
    targetOption = other.targetOption < 0 ? -1 : other.targetOption + moved;
    tcpHeaderBytes = other.tcpHeaderBytes;
    checksumStart = other.checksumStart;
    checksumOffset = other.checksumOffset;
    segmentation = other.segmentation;
    segmentBytes = other.segmentBytes;
    queue = other.queue;
    key.copyFrom(other.key);
  }

  /** The array that holds the frame at {@link #start()}; not to be kept. */
  public byte[] data() {
    return data;
  }

  public int start() {
    return start;
  }

  public int length() {
    return length;
  }

  /** Offset of the network header in {@link #data()}, -1 when there is none. */
  public int networkOffset() {
    return network;
  }

  /** Offset of the transport header in {@link #data()}, -1 when there is none. */
  public int transportOffset() {
    return transport;
  }

  public boolean needsChecksum() {
    return checksumStart >= 0;
  }

  public NetworkFrame.Segmentation segmentation() {
    return segmentation;
  }

  public int segmentBytes() {
    return segmentBytes;
  }

  int checksumStart() {
    return checksumStart;
  }

  int checksumOffset() {
    return checksumOffset;
  }

  /** The frame as a port takes it; valid until the packet changes. */
  public NetworkFrame frame() {
    return new NetworkFrame(
        data, start, length, checksumStart, checksumOffset, segmentation, segmentBytes);
  }

  /**
   * A copy of the frame's bytes with any outstanding checksum filled in (segmentation is not
   * applied).
   */
  public byte[] toByteArray() {
    byte[] copy = Arrays.copyOfRange(data, start, start + length);
    if (checksumStart >= 0) {
      Offloads.completeChecksum(copy, 0, length, checksumStart, checksumOffset);
    }
    return copy;
  }

  /** Makes the frame's bytes this packet's own, so that they can be changed. */
  public void makeWritable() {
    if (!owned) {
      copyFrom(this);
    }
  }

  /** Opens {@code count} bytes between the addresses and the rest; the caller fills them. */
  void insertAfterAddresses(int count) {
    makeWritable();
    System.arraycopy(data, start, data, start - count, 12);
    start -= count;
    length += count;
    if (checksumStart >= 0) {
      checksumStart += count;
    }
  }

  /**
   * Opens {@code count} bytes at offset {@code at} by moving everything before it forward, in a
   * writable packet.
   */
  void insertAt(int at, int count) {
    System.arraycopy(data, start, data, start - count, at - start);
    start -= count;
    length += count;
    if (checksumStart >= 0) {
      checksumStart += count;
    }
  }

  /**
   * Removes {@code count} bytes at offset {@code at} by moving everything before it back. The
   * packet must be writable already, since making it so moves its bytes.
   */
  void removeAt(int at, int count) {
    System.arraycopy(data, start, data, start + count, at - start);
    start += count;
    length -= count;
    if (checksumStart >= 0) {
      checksumStart = Math.max(0, checksumStart - count);
    }
  }

  /** Whether another tag of {@code count} bytes fits in front and in the largest frame. */
  boolean hasRoomFor(int count) {
    return length + count <= MAXIMUM_BYTES && (!owned || start >= count);
  }

  /** Whether the outstanding checksum is the transport header's. */
  boolean transportChecksumOutstanding() {
    return checksumStart >= 0 && transport == start + checksumStart;
  }

  /** Parses the frame from its first byte; see {@link PacketParser}. */
  public void parse() {
    PacketParser.parse(this);
  }
}
