package io.anillo.network.packet;

/**
 * Pushes and pops VLAN, MPLS and PBB tags and moves TTLs between headers (OpenFlow 1.3.5 §5.12).
 * Each operation parses the frame anew, and returns false where the frame cannot take it, which
 * drops the frame.
 */
public final class TagEditor {
  private TagEditor() {}

  static boolean isMpls(Packet packet) {
    int type = packet.key.etherType();
    return packet.network >= 0 && (type == 0x8847 || type == 0x8848);
  }

  /** Pushes a tag whose VLAN and priority are those of the outermost tag, or zero. */
  public static boolean pushVlan(Packet packet, int etherType) {
    if (!packet.hasRoomFor(4)) {
      return false;
    }
    int tag = packet.key.tags() > 0 ? Bytes.getShort(packet.data, packet.start + 14) : 0;
    packet.insertAfterAddresses(4);
    Bytes.putShort(packet.data, packet.start + 12, etherType);
    Bytes.putShort(packet.data, packet.start + 14, tag);
    packet.parse();
    return true;
  }

  public static boolean popVlan(Packet packet) {
    if (packet.key.tags() == 0) {
      return true;
    }
    packet.makeWritable();
    packet.removeAt(packet.start + 12, 4);
    packet.parse();
    return true;
  }

  /**
   * Pushes a label stack entry after any VLAN tags, copying label, class and TTL from the header it
   * covers.
   */
  public static boolean pushMpls(Packet packet, int etherType) {
    if (!packet.hasRoomFor(4)) {
      return false;
    }
    int entry;
    int type = packet.key.etherType();
    if (isMpls(packet)) {
      entry = Bytes.getInt(packet.data, packet.network) & ~0x100;
    } else if (packet.network >= 0 && type == 0x0800) {
      entry = 0x100 | Bytes.getByte(packet.data, packet.network + 8);
    } else if (packet.network >= 0 && type == 0x86dd) {
      entry = 0x100 | Bytes.getByte(packet.data, packet.network + 7);
    } else {
      entry = 0x100 | 64;
    }
    packet.makeWritable();
    packet.insertAt(packet.typeOffset + 2, 4);
    // The EtherType moved forward with the addresses; parse() finds it again behind the tags.
    int at = packet.typeOffset - 4;
    Bytes.putShort(packet.data, at, etherType);
    Bytes.putInt(packet.data, at + 2, entry);
    packet.parse();
    return true;
  }

  public static boolean popMpls(Packet packet, int etherType) {
    if (!isMpls(packet)) {
      return true;
    }
    packet.makeWritable();
    int at = packet.typeOffset;
    packet.removeAt(at + 2, 4);
    Bytes.putShort(packet.data, at + 4, etherType);
    packet.parse();
    return true;
  }

  /**
   * Pushes an 802.1ah service tag with copies of the addresses; a VLAN tag is taken for the
   * customer's.
   */
  public static boolean pushPbb(Packet packet, int etherType) {
    if (!packet.hasRoomFor(18)) {
      return false;
    }
    int service =
        packet.key.etherType() == 0x88e7 && packet.network >= 0
            ? Bytes.getInt(packet.data, packet.network) & 0xffffff
            : 0;
    int priority = packet.key.vlanPriority();
    packet.makeWritable();
    int old = packet.start;
    packet.insertAt(old, 18);
    int at = packet.start;
    System.arraycopy(packet.data, old, packet.data, at, 12);
    Bytes.putShort(packet.data, at + 12, etherType);
    Bytes.putInt(packet.data, at + 14, priority << 29 | service);
    packet.parse();
    return true;
  }

  public static boolean popPbb(Packet packet) {
    if (packet.key.etherType() != 0x88e7 || packet.network < 0 || packet.key.tags() != 0) {
      return true;
    }
    if (packet.length < 18 + 14) {
      return false;
    }
    packet.makeWritable();
    packet.removeAt(packet.start, 18);
    packet.parse();
    return true;
  }

  public static boolean setMplsTtl(Packet packet, int ttl) {
    if (isMpls(packet)) {
      packet.makeWritable();
      packet.data[packet.network + 3] = (byte) ttl;
    }
    return true;
  }

  /** Decrements the outermost label's TTL; false when it is spent. */
  public static boolean decrementMplsTtl(Packet packet) {
    if (!isMpls(packet)) {
      return true;
    }
    int ttl = Bytes.getByte(packet.data, packet.network + 3);
    if (ttl <= 1) {
      return false;
    }
    packet.makeWritable();
    packet.data[packet.network + 3] = (byte) (ttl - 1);
    return true;
  }

  public static boolean setNetworkTtl(Packet packet, int ttl) {
    if (isIp(packet)) {
      HeaderEditor.writeTtl(packet, ttl);
    }
    return true;
  }

  /** Decrements the IP TTL or hop limit; false when it is spent. */
  public static boolean decrementNetworkTtl(Packet packet) {
    if (!isIp(packet)) {
      return true;
    }
    int ttl = ttl(packet, packet.network, packet.key.etherType());
    if (ttl <= 1) {
      return false;
    }
    HeaderEditor.writeTtl(packet, ttl - 1);
    return true;
  }

  /** Copies the TTL from the next-to-outermost header to the outermost label. */
  public static boolean copyTtlOut(Packet packet) {
    if (!isMpls(packet)) {
      return true;
    }
    int inner = innerTtl(packet);
    if (inner >= 0) {
      packet.makeWritable();
      packet.data[packet.network + 3] = (byte) inner;
    }
    return true;
  }

  /** Copies the outermost label's TTL to the header behind it. */
  public static boolean copyTtlIn(Packet packet) {
    if (!isMpls(packet)) {
      return true;
    }
    packet.makeWritable();
    byte[] data = packet.data;
    int at = packet.network;
    int ttl = Bytes.getByte(data, at + 3);
    int end = packet.start + packet.length;
    int inner = at + 4;
    if ((data[at + 2] & 1) == 0) {
      if (end - inner >= 4) {
        data[inner + 3] = (byte) ttl;
      }
    } else if (end - inner >= 20 && data[inner] >>> 4 == 4) {
      int before = Bytes.getShort(data, inner + 8);
      int after = (before & 0xff) | ttl << 8;
      Bytes.putShort(data, inner + 8, after);
      int checksum = Bytes.getShort(data, inner + 10);
      Bytes.putShort(data, inner + 10, InternetChecksum.update(checksum, before, after));
    } else if (end - inner >= 40 && data[inner] >>> 4 == 6) {
      data[inner + 7] = (byte) ttl;
    }
    return true;
  }

  private static int innerTtl(Packet packet) {
    byte[] data = packet.data;
    int inner = packet.network + 4;
    int end = packet.start + packet.length;
    if ((data[packet.network + 2] & 1) == 0) {
      return end - inner >= 4 ? Bytes.getByte(data, inner + 3) : -1;
    }
    if (end - inner >= 20 && data[inner] >>> 4 == 4) {
      return Bytes.getByte(data, inner + 8);
    }
    return end - inner >= 40 && data[inner] >>> 4 == 6 ? Bytes.getByte(data, inner + 7) : -1;
  }

  private static boolean isIp(Packet packet) {
    int type = packet.key.etherType();
    return packet.network >= 0 && (type == 0x0800 || type == 0x86dd);
  }

  private static int ttl(Packet packet, int at, int type) {
    return Bytes.getByte(packet.data, type == 0x0800 ? at + 8 : at + 7);
  }
}
