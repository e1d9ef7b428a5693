package io.anillo.vmm.port;

/**
 * An Ethernet frame without its frame check sequence, and what is still to be done to it.
 *
 * @param data holds the frame at {@code offset}, {@code length} bytes
 * @param checksumStart where the bytes to be checksummed begin, counted from the frame's start, or
 *     -1 when the checksum is complete
 * @param checksumOffset where, counted from {@code checksumStart}, the 16-bit checksum is to be
 *     stored
 * @param segmentation how a frame larger than the MTU is to be cut
 * @param segmentBytes payload bytes per segment; 0 without segmentation
 */
public record NetworkFrame(
    byte[] data,
    int offset,
    int length,
    int checksumStart,
    int checksumOffset,
    Segmentation segmentation,
    int segmentBytes) {

  /** The kinds of segmentation offload (virtio 1.2 §5.1.6). */
  public enum Segmentation {
    NONE,
    TCP4,
    TCP6,
    UDP
  }

  /** A complete frame that fills the whole array. */
  public static NetworkFrame of(byte[] data) {
    return new NetworkFrame(data, 0, data.length, -1, 0, Segmentation.NONE, 0);
  }
}
