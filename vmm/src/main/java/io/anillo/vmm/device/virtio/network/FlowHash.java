package io.anillo.vmm.device.virtio.network;

/** Spreads flows over receive queues: all packets of one connection give the same number. */
final class FlowHash {
  private FlowHash() {}

  /**
   * A number from 0 up for a packet with its virtio header: from IP addresses and ports, or the
   * Ethernet addresses.
   */
  static int of(byte[] packet) {
    int ethernet = NetworkHeader.BYTES;
    int ip = ethernet + NetworkHeader.ETHERNET_BYTES;
    int type = (packet[ethernet + 12] & 0xFF) << 8 | packet[ethernet + 13] & 0xFF;
    int hash;
    if (type == 0x0800 && packet.length >= ip + 24) {
      boolean fragment = (packet[ip + 6] & 0x3F) != 0 || packet[ip + 7] != 0;
      int ports = ip + (packet[ip] & 0xF) * 4;
      hash = hash(packet, ip + 12, 8, packet[ip + 9]);
      hash = fragment || ports + 4 > packet.length ? hash : hash(packet, ports, 4, hash);
    } else if (type == 0x86DD && packet.length >= ip + 44) {
      hash = hash(packet, ip + 8, 32, packet[ip + 6]);
      hash = hash(packet, ip + 40, 4, hash);
    } else {
      hash = hash(packet, ethernet, 12, 0);
    }
    return (hash ^ hash >>> 16) & Integer.MAX_VALUE;
  }

  private static int hash(byte[] packet, int from, int length, int start) {
    int hash = start;
    for (int i = from; i < from + length; i++) {
      hash = (hash ^ packet[i] & 0xFF) * 0x01000193;
    }
    return hash;
  }
}
