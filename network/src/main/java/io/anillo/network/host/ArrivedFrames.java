package io.anillo.network.host;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Frames as the kernel gives them, each behind its virtio-net header, until they are handed on:
 * several at a time, but no more bytes than stay near to the processor.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
final class ArrivedFrames {
  /** The length of a virtio-net header (struct virtio_net_hdr). */
  static final int HEADER = 10;

  private static final int ETHERNET_HEADER = 14;

  private final NetworkBackend.Receiver receiver;
  private final byte[] memory;
  private final NetworkFrame[] frames;
  private int count;
  private int used;

  /** Room for {@code most} frames of together {@code bytes}, which one frame may have. */
  ArrivedFrames(NetworkBackend.Receiver receiver, int most, int bytes) {
    this.receiver = receiver;
    this.memory = new byte[bytes];
    this.frames = new NetworkFrame[most];
  }

  /** Copies a frame of so many bytes with its header; what is too short to be one is left out. */
  void add(MemorySegment arrived, int bytes) {
    int length = bytes - HEADER;
    if (length <= ETHERNET_HEADER) {
      return;
    }
    if (count == frames.length || length > memory.length - used) {
      handOn();
    }
    MemorySegment.copy(arrived, ValueLayout.JAVA_BYTE, HEADER, memory, used, length);
    frames[count++] = decode(arrived, memory, used, length);
    used += length;
  }

  boolean full() {
    return count == frames.length;
  }

  /** Gives the frames to the receiver. */
  void handOn() {
    if (count > 0) {
      receiver.receive(frames, count);
      count = 0;
      used = 0;
    }
  }

  private static NetworkFrame decode(MemorySegment header, byte[] data, int at, int length) {
    int flags = header.get(ValueLayout.JAVA_BYTE, 0);
    int kind = header.get(ValueLayout.JAVA_BYTE, 1) & 0x7f;
    int segment = header.get(ValueLayout.JAVA_SHORT_UNALIGNED, 4) & 0xffff;
    int start = header.get(ValueLayout.JAVA_SHORT_UNALIGNED, 6) & 0xffff;
    int offset = header.get(ValueLayout.JAVA_SHORT_UNALIGNED, 8) & 0xffff;
    NetworkFrame.Segmentation segmentation =
        switch (kind) {
          case 1 -> NetworkFrame.Segmentation.TCP4;
          case 4 -> NetworkFrame.Segmentation.TCP6;
          case 3, 5 -> NetworkFrame.Segmentation.UDP;
          default -> NetworkFrame.Segmentation.NONE;
        };
    boolean partial = (flags & 1) != 0;
    return new NetworkFrame(
        data,
        at,
        length,
        partial ? start : -1,
        partial ? offset : 0,
        segmentation,
        segmentation == NetworkFrame.Segmentation.NONE ? 0 : segment);
  }
}
