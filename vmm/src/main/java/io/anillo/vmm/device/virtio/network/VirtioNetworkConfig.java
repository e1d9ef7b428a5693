package io.anillo.vmm.device.virtio.network;

/**
 * How a network device is made.
 *
 * @param name unique on the board
 * @param mac the card's address, six bytes, the first in the highest of 48 bits; unicast
 * @param mtuBytes largest packet without its Ethernet header, 1280 to 65535
 * @param queuePairs receive and transmit queues, 1 to 8
 * @param queueSize entries per queue, a power of two from 16 to 1024
 */
public record VirtioNetworkConfig(
    String name, long mac, int mtuBytes, int queuePairs, int queueSize) {
  private static final int MAXIMUM_PAIRS = 8;

  public VirtioNetworkConfig {
    if (mac <= 0 || mac >>> 48 != 0 || (mac >>> 40 & 1) != 0) {
      throw new IllegalArgumentException(
          "0x" + Long.toHexString(mac) + " is not the address of a network card");
    }
    if (mtuBytes < 1280 || mtuBytes > 65535) {
      throw new IllegalArgumentException("MTU " + mtuBytes + " is not within 1280 to 65535");
    }
    if (queuePairs < 1 || queuePairs > MAXIMUM_PAIRS) {
      throw new IllegalArgumentException(
          "a network card has 1 to 8 queue pairs, not " + queuePairs);
    }
    if (Integer.bitCount(queueSize) != 1 || queueSize < 16 || queueSize > 1024) {
      throw new IllegalArgumentException(
          "queue size " + queueSize + " is not a power of two from 16 to 1024");
    }
  }

  /** A queue pair of 256 entries for each processor, as far as there may be, and Ethernet's MTU. */
  public static VirtioNetworkConfig of(String name, long mac, int processors) {
    return new VirtioNetworkConfig(name, mac, 1500, Math.min(processors, MAXIMUM_PAIRS), 256);
  }
}
