package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.port.NetworkFrame;
import io.anillo.vmm.port.NetworkFrame.Segmentation;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/** The header before every frame in the queues: 12 bytes, little-endian (virtio 1.2 §5.1.6). */
final class NetworkHeader {
  static final int BYTES = 12;
  static final int BUFFERS_OFFSET = 10;
  static final int ETHERNET_BYTES = 14;

  private static final VarHandle SHORTS =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final int FLAG_NEEDS_CHECKSUM = 1;
  private static final int SEGMENTATION_NONE = 0;
  private static final int SEGMENTATION_TCP4 = 1;
  private static final int SEGMENTATION_TCP6 = 4;

  private NetworkHeader() {}

  private static int get(byte[] bytes, int at) {
    return (short) SHORTS.get(bytes, at) & 0xFFFF;
  }

  private static void put(byte[] bytes, int at, int value) {
    SHORTS.set(bytes, at, (short) value);
  }

  /**
   * Understands what the driver put before a frame.
   *
   * @param packet header and frame
   * @param length of both
   * @return null when the header asks for what was not negotiated or makes no sense
   */
  static @Nullable NetworkFrame decode(
      byte[] packet, int length, boolean checksum, boolean segmentation4, boolean segmentation6) {
    int frameBytes = length - BYTES;
    if (frameBytes < ETHERNET_BYTES) {
      return null;
    }
    int start = -1;
    int offset = 0;
    if ((packet[0] & FLAG_NEEDS_CHECKSUM) != 0) {
      start = get(packet, 6);
      offset = get(packet, 8);
      if (!checksum || start + offset + 2 > frameBytes) {
        return null;
      }
    }
    int segmentBytes = get(packet, 4);
    Segmentation segmentation;
    switch (packet[1]) {
      case SEGMENTATION_NONE -> {
        segmentation = Segmentation.NONE;
        segmentBytes = 0;
      }
      case SEGMENTATION_TCP4 -> segmentation = Segmentation.TCP4;
      case SEGMENTATION_TCP6 -> segmentation = Segmentation.TCP6;
      default -> {
        return null;
      }
    }
    if (segmentation != Segmentation.NONE) {
      boolean agreed = segmentation == Segmentation.TCP4 ? segmentation4 : segmentation6;
      // §5.1.6.2: segmentation needs the checksum left open.
      if (!agreed || segmentBytes == 0 || start < 0) {
        return null;
      }
    }
    return new NetworkFrame(packet, BYTES, frameBytes, start, offset, segmentation, segmentBytes);
  }

  /**
   * Header and frame in one new array, as the guest will find them; the number of buffers is still
   * 0.
   */
  static byte[] encode(NetworkFrame frame) {
    byte[] packet = new byte[BYTES + frame.length()];
    System.arraycopy(frame.data(), frame.offset(), packet, BYTES, frame.length());
    if (frame.checksumStart() >= 0) {
      packet[0] = FLAG_NEEDS_CHECKSUM;
      put(packet, 6, frame.checksumStart());
      put(packet, 8, frame.checksumOffset());
    }
    if (frame.segmentation() != Segmentation.NONE) {
      packet[1] =
          (byte)
              (frame.segmentation() == Segmentation.TCP4 ? SEGMENTATION_TCP4 : SEGMENTATION_TCP6);
      put(packet, 2, Math.min(frame.length(), frame.checksumStart() + 20));
      put(packet, 4, frame.segmentBytes());
    }
    return packet;
  }

  /** Reads back what {@link #encode} wrote. */
  static NetworkFrame view(byte[] packet) {
    boolean open = (packet[0] & FLAG_NEEDS_CHECKSUM) != 0;
    Segmentation segmentation =
        switch (packet[1]) {
          case SEGMENTATION_TCP4 -> Segmentation.TCP4;
          case SEGMENTATION_TCP6 -> Segmentation.TCP6;
          default -> Segmentation.NONE;
        };
    return new NetworkFrame(
        packet,
        BYTES,
        packet.length - BYTES,
        open ? get(packet, 6) : -1,
        open ? get(packet, 8) : 0,
        segmentation,
        get(packet, 4));
  }

  static void setBuffers(byte[] packet, int buffers) {
    put(packet, BUFFERS_OFFSET, buffers);
  }
}
