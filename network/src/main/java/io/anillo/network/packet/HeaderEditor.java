package io.anillo.network.packet;

import java.util.zip.CRC32C;

/**
 * Changes header fields in place and keeps every checksum that covers them right, also the partial
 * one of a frame whose checksum is still to be offloaded. Fields that the packet does not have are
 * left alone.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
public final class HeaderEditor {
  private HeaderEditor() {}

  /**
   * Sets the masked bits of a field in the frame (if it lies in the frame) and in the packet's key.
   */
  public static void set(
      Packet packet, MatchField field, long high, long low, long maskHigh, long maskLow) {
    long[] words = packet.key.words;
    long newLow = (field.low(words) & ~maskLow) | (low & maskLow);
    long newHigh = (field.high(words) & ~maskHigh) | (high & maskHigh);
    if (write(packet, field, newHigh, newLow)) {
      field.set(words, newHigh, newLow);
    }
  }

  private static boolean write(Packet packet, MatchField field, long high, long low) {
    switch (field) {
      case ETH_DST, ETH_SRC -> {
        packet.makeWritable();
        Bytes.putAddress(packet.data, packet.start + (field == MatchField.ETH_DST ? 0 : 6), low);
        return true;
      }
      case VLAN_VID, VLAN_PCP -> {
        return writeTag(packet, field, (int) low);
      }
      case IP_DSCP, IP_ECN -> {
        return writeService(packet, field, (int) low);
      }
      case NW_TTL -> {
        if (!isIp(packet)) {
          return false;
        }
        writeTtl(packet, (int) low);
        return true;
      }
      case IPV4_SRC, IPV4_DST -> {
        if (packet.network < 0 || packet.key.etherType() != 0x0800) {
          return false;
        }
        writeAddress4(packet, field == MatchField.IPV4_SRC ? 12 : 16, (int) low);
        return true;
      }
      case IPV6_SRC, IPV6_DST -> {
        if (packet.network < 0 || packet.key.etherType() != 0x86dd) {
          return false;
        }
        writeAddress6(packet, field == MatchField.IPV6_SRC ? 8 : 24, high, low);
        return true;
      }
      case IPV6_FLABEL -> {
        if (packet.network < 0 || packet.key.etherType() != 0x86dd) {
          return false;
        }
        packet.makeWritable();
        int first = Bytes.getInt(packet.data, packet.network);
        Bytes.putInt(packet.data, packet.network, (first & 0xfff00000) | (int) low);
        return true;
      }
      case TCP_SRC, TCP_DST -> {
        return writePort(packet, 6, field == MatchField.TCP_SRC ? 0 : 2, (int) low);
      }
      case UDP_SRC, UDP_DST -> {
        return writePort(packet, 17, field == MatchField.UDP_SRC ? 0 : 2, (int) low);
      }
      case SCTP_SRC, SCTP_DST -> {
        return writePort(packet, 132, field == MatchField.SCTP_SRC ? 0 : 2, (int) low);
      }
      case ICMPV4_TYPE, ICMPV4_CODE -> {
        return writeIcmp(packet, 1, field == MatchField.ICMPV4_TYPE ? 0 : 1, (int) low);
      }
      case ICMPV6_TYPE, ICMPV6_CODE -> {
        return writeIcmp(packet, 58, field == MatchField.ICMPV6_TYPE ? 0 : 1, (int) low);
      }
      case ARP_OP, ARP_SPA, ARP_TPA, ARP_SHA, ARP_THA -> {
        return writeArp(packet, field, low);
      }
      case IPV6_ND_TARGET, IPV6_ND_SLL, IPV6_ND_TLL -> {
        return writeNeighbour(packet, field, high, low);
      }
      case MPLS_LABEL, MPLS_TC, MPLS_BOS -> {
        return writeMpls(packet, field, (int) low);
      }
      case PBB_ISID -> {
        if (packet.network < 0 || packet.key.etherType() != 0x88e7) {
          return false;
        }
        packet.makeWritable();
        int tag = Bytes.getInt(packet.data, packet.network);
        Bytes.putInt(packet.data, packet.network, (tag & 0xff000000) | (int) low);
        return true;
      }
      default -> {
        return true; // Lives in the key only: metadata, tunnel, registers, connection marks.
      }
    }
  }

  private static boolean isIp(Packet packet) {
    int type = packet.key.etherType();
    return packet.network >= 0 && (type == 0x0800 || type == 0x86dd);
  }

  private static boolean writeTag(Packet packet, MatchField field, int value) {
    if (packet.key.tags() == 0) {
      return false;
    }
    packet.makeWritable();
    int at = packet.start + 14;
    int tag = Bytes.getShort(packet.data, at);
    tag =
        field == MatchField.VLAN_VID
            ? (tag & 0xf000) | (value & 0xfff)
            : (tag & 0x1fff) | value << 13;
    Bytes.putShort(packet.data, at, tag);
    return true;
  }

  private static boolean writeService(Packet packet, MatchField field, int value) {
    if (!isIp(packet)) {
      return false;
    }
    packet.makeWritable();
    byte[] data = packet.data;
    int at = packet.network;
    int before = Bytes.getShort(data, at);
    if (packet.key.etherType() == 0x0800) {
      int after =
          field == MatchField.IP_DSCP ? (before & 0xff03) | value << 2 : (before & 0xfffc) | value;
      Bytes.putShort(data, at, after);
      Bytes.putShort(
          data, at + 10, InternetChecksum.update(Bytes.getShort(data, at + 10), before, after));
    } else {
      int after =
          field == MatchField.IP_DSCP
              ? (before & 0xf03f) | value << 6
              : (before & 0xffcf) | value << 4;
      Bytes.putShort(data, at, after);
    }
    return true;
  }

  static void writeTtl(Packet packet, int value) {
    packet.makeWritable();
    byte[] data = packet.data;
    int at = packet.network;
    if (packet.key.etherType() == 0x0800) {
      int before = Bytes.getShort(data, at + 8);
      int after = (before & 0xff) | value << 8;
      Bytes.putShort(data, at + 8, after);
      Bytes.putShort(
          data, at + 10, InternetChecksum.update(Bytes.getShort(data, at + 10), before, after));
    } else {
      data[at + 7] = (byte) value;
    }
    MatchField.NW_TTL.set(packet.key.words, 0, value);
  }

  private static void writeAddress4(Packet packet, int field, int value) {
    packet.makeWritable();
    byte[] data = packet.data;
    int at = packet.network;
    int old = Bytes.getInt(data, at + field);
    if (old == value) {
      return;
    }
    Bytes.putInt(data, at + field, value);
    long before = (old >>> 16) + (old & 0xffffL);
    long after = (value >>> 16) + (value & 0xffffL);
    Bytes.putShort(
        data, at + 10, InternetChecksum.update(Bytes.getShort(data, at + 10), before, after));
    int protocol = packet.key.protocol();
    if (protocol == 6 || protocol == 17) {
      updateTransport(packet, protocol, before, after, true);
    }
  }

  private static void writeAddress6(Packet packet, int field, long high, long low) {
    packet.makeWritable();
    byte[] data = packet.data;
    int at = packet.network + field;
    long before = InternetChecksum.fold(InternetChecksum.add(0, data, at, 16));
    Bytes.putLong(data, at, high);
    Bytes.putLong(data, at + 8, low);
    long after = InternetChecksum.fold(InternetChecksum.add(0, data, at, 16));
    int protocol = packet.key.protocol();
    if (protocol == 6 || protocol == 17 || protocol == 58) {
      updateTransport(packet, protocol, before, after, true);
    }
  }

  /**
   * Corrects the TCP, UDP or ICMP checksum; {@code pseudo} when the change was in the
   * pseudo-header.
   */
  private static void updateTransport(
      Packet packet, int protocol, long before, long after, boolean pseudo) {
    if (packet.transport < 0) {
      return;
    }
    int at = packet.transport + (protocol == 6 ? 16 : protocol == 17 ? 6 : 2);
    int checksum = Bytes.getShort(packet.data, at);
    if (packet.transportChecksumOutstanding()) {
      if (pseudo) {
        // The field holds the pseudo-header's sum, not complemented.
        int sum =
            InternetChecksum.fold(checksum + (~InternetChecksum.fold(before) & 0xffffL) + after);
        Bytes.putShort(packet.data, at, sum);
      }
      return;
    }
    if (protocol == 17 && checksum == 0) {
      return;
    }
    int updated = InternetChecksum.update(checksum, before, after);
    Bytes.putShort(packet.data, at, protocol == 17 && updated == 0 ? 0xffff : updated);
  }

  private static boolean writePort(Packet packet, int protocol, int field, int value) {
    if (packet.transport < 0 || packet.key.protocol() != protocol) {
      return false;
    }
    packet.makeWritable();
    int at = packet.transport + field;
    int before = Bytes.getShort(packet.data, at);
    Bytes.putShort(packet.data, at, value);
    if (protocol == 132) {
      writeSctpChecksum(packet);
    } else {
      updateTransport(packet, protocol, before, value, false);
    }
    return true;
  }

  /**
   * CRC-32C over the packet with the checksum field zero, stored least significant byte first (RFC
   * 9260 appendix A).
   */
  private static void writeSctpChecksum(Packet packet) {
    byte[] data = packet.data;
    int at = packet.transport;
    int end;
    if (packet.key.etherType() == 0x0800) {
      end = packet.network + Bytes.getShort(data, packet.network + 2);
    } else {
      end = packet.network + 40 + Bytes.getShort(data, packet.network + 4);
    }
    Bytes.putInt(data, at + 8, 0);
    CRC32C crc = new CRC32C();
    crc.update(data, at, end - at);
    Bytes.putInt(data, at + 8, Integer.reverseBytes((int) crc.getValue()));
  }

  private static boolean writeIcmp(Packet packet, int protocol, int field, int value) {
    if (packet.transport < 0 || packet.key.protocol() != protocol) {
      return false;
    }
    packet.makeWritable();
    int at = packet.transport;
    int before = Bytes.getShort(packet.data, at);
    packet.data[at + field] = (byte) value;
    updateTransport(packet, protocol, before, Bytes.getShort(packet.data, at), false);
    return true;
  }

  /** Changes the identifier of an ICMP echo, request or reply (RFC 792, RFC 4443 §4.1). */
  public static void setEchoIdentifier(Packet packet, int identifier) {
    packet.makeWritable();
    int at = packet.transport + 4;
    int before = Bytes.getShort(packet.data, at);
    Bytes.putShort(packet.data, at, identifier);
    updateTransport(packet, packet.key.protocol(), before, identifier, false);
  }

  private static boolean writeArp(Packet packet, MatchField field, long value) {
    if (packet.network < 0 || packet.key.etherType() != 0x0806) {
      return false;
    }
    packet.makeWritable();
    int at = packet.network;
    switch (field) {
      case ARP_OP -> Bytes.putShort(packet.data, at + 6, (int) value);
      case ARP_SHA -> Bytes.putAddress(packet.data, at + 8, value);
      case ARP_SPA -> Bytes.putInt(packet.data, at + 14, (int) value);
      case ARP_THA -> Bytes.putAddress(packet.data, at + 18, value);
      default -> Bytes.putInt(packet.data, at + 24, (int) value);
    }
    return true;
  }

  private static boolean writeNeighbour(Packet packet, MatchField field, long high, long low) {
    if (packet.transport < 0 || packet.key.protocol() != 58) {
      return false;
    }
    int at =
        switch (field) {
          case IPV6_ND_TARGET -> packet.transport + 8;
          case IPV6_ND_SLL -> packet.sourceOption;
          default -> packet.targetOption;
        };
    int type = packet.key.transportSource();
    if (at < 0 || type != 135 && type != 136) {
      return false;
    }
    int moved = packet.start;
    packet.makeWritable();
    at += packet.start - moved;
    int bytes = field == MatchField.IPV6_ND_TARGET ? 16 : 6;
    long before = InternetChecksum.add(0, packet.data, at, bytes);
    if (bytes == 16) {
      Bytes.putLong(packet.data, at, high);
      Bytes.putLong(packet.data, at + 8, low);
    } else {
      Bytes.putAddress(packet.data, at, low);
    }
    long after = InternetChecksum.add(0, packet.data, at, bytes);
    updateTransport(packet, 58, before, after, false);
    return true;
  }

  private static boolean writeMpls(Packet packet, MatchField field, int value) {
    if (!TagEditor.isMpls(packet)) {
      return false;
    }
    packet.makeWritable();
    int entry = Bytes.getInt(packet.data, packet.network);
    entry =
        switch (field) {
          case MPLS_LABEL -> (entry & 0xfff) | value << 12;
          case MPLS_TC -> (entry & 0xfffff1ff) | value << 9;
          default -> (entry & 0xfffffeff) | value << 8;
        };
    Bytes.putInt(packet.data, packet.network, entry);
    return true;
  }
}
