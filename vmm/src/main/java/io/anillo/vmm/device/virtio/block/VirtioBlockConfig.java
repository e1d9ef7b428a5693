package io.anillo.vmm.device.virtio.block;

import java.nio.charset.StandardCharsets;

/**
 * How a block device is made.
 *
 * @param name unique on the board
 * @param serial what the guest reads as the disk's identity: at most 20 bytes of ASCII (virtio 1.2
 *     §5.2.6)
 * @param queues request queues, 1 to 16
 * @param queueSize entries per queue, a power of two from 4 to 1024
 * @param logicalBlockBytes the unit a guest should address the disk in: a power of two from 512 to
 *     4096
 */
public record VirtioBlockConfig(
    String name, String serial, int queues, int queueSize, int logicalBlockBytes) {

  /** Length of the identity in bytes. */
  static final int SERIAL_BYTES = 20;

  public VirtioBlockConfig {
    if (serial.getBytes(StandardCharsets.US_ASCII).length > SERIAL_BYTES) {
      throw new IllegalArgumentException(
          "disk serial '" + serial + "' is longer than " + SERIAL_BYTES + " bytes");
    }
    if (queues < 1 || queues > 16) {
      throw new IllegalArgumentException("a disk has 1 to 16 queues, not " + queues);
    }
    if (Integer.bitCount(queueSize) != 1 || queueSize < 4 || queueSize > 1024) {
      throw new IllegalArgumentException(
          "queue size " + queueSize + " is not a power of two from 4 to 1024");
    }
    if (Integer.bitCount(logicalBlockBytes) != 1
        || logicalBlockBytes < 512
        || logicalBlockBytes > 4096) {
      throw new IllegalArgumentException(
          "logical block size " + logicalBlockBytes + " is not a power of two from 512 to 4096");
    }
  }

  /** One queue of 256 entries and 512-byte blocks. */
  public static VirtioBlockConfig of(String name, String serial) {
    return new VirtioBlockConfig(name, serial, 1, 256, 512);
  }
}
