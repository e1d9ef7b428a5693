package io.anillo.network.packet;

import static io.anillo.network.packet.FlowKey.DESTINATION;
import static io.anillo.network.packet.FlowKey.IPV4;
import static io.anillo.network.packet.FlowKey.IPV6_DESTINATION;
import static io.anillo.network.packet.FlowKey.IPV6_SOURCE;
import static io.anillo.network.packet.FlowKey.LABELS;
import static io.anillo.network.packet.FlowKey.ND_SOURCE;
import static io.anillo.network.packet.FlowKey.ND_TARGET_LINK;
import static io.anillo.network.packet.FlowKey.SOURCE;
import static io.anillo.network.packet.FlowKey.TARGET;
import static io.anillo.network.packet.FlowKey.TRANSPORT;

/**
 * Fills a packet's flow key and header offsets from its bytes. Whatever the bytes are, parsing
 * ends: a header that does not fit leaves its fields zero and its offset -1.
 *
 * <p>Hot: watched by {@code anillo bench network}.
 */
final class PacketParser {
  private static final int MAXIMUM_TAGS = 7;

  private PacketParser() {}

  static void parse(Packet packet) {
    byte[] data = packet.data;
    long[] words = packet.key.words;
    for (int i = DESTINATION; i < FlowKey.PACKET_WORDS; i++) {
      words[i] = 0;
    }
    packet.network = -1;
    packet.transport = -1;
    packet.sourceOption = -1;
    packet.targetOption = -1;
    int start = packet.start;
    int end = start + packet.length;
    int position = start + 12;
    int type = Bytes.getShort(data, position);
    int tags = 0;
    int tag = 0;
    while ((type == 0x8100 || type == 0x88a8) && position + 6 <= end && tags < MAXIMUM_TAGS) {
      if (tags == 0) {
        tag = Bytes.getShort(data, position + 2);
      }
      tags++;
      position += 4;
      type = Bytes.getShort(data, position);
    }
    packet.typeOffset = position;
    position += 2;
    if (type < 0x600) {
      type = logicalLinkType(data, position, end);
      if (type != 0x05ff) {
        position += 8;
      }
    }
    words[DESTINATION] = Bytes.getAddress(data, start) << 16 | type;
    long source = Bytes.getAddress(data, start + 6) << 16;
    if (tags > 0) {
      source |= (0x1000 | tag & 0xfff) << 3 | tag >>> 13;
    }
    words[SOURCE] = source;
    words[LABELS] = (long) tags << 8;
    switch (type) {
      case 0x0800 -> ipv4(packet, position, end);
      case 0x86dd -> ipv6(packet, position, end);
      case 0x0806 -> arp(packet, position, end);
      case 0x8847, 0x8848 -> mpls(packet, position, end);
      case 0x88e7 -> {
        if (end - position >= 4) {
          packet.network = position;
          words[TARGET] = (Bytes.getInt(data, position) & 0xffffffL) << 40;
        }
      }
      default -> {}
    }
  }

  /**
   * The type behind an 802.2 SNAP header with OUI 0, or 0x05ff (OpenFlow 1.3.5 table 12, ETH_TYPE).
   */
  private static int logicalLinkType(byte[] data, int position, int end) {
    if (end - position >= 8
        && Bytes.getInt(data, position) == 0xaaaa0300
        && Bytes.getShort(data, position + 4) == 0) {
      int type = Bytes.getShort(data, position + 6);
      return type >= 0x600 ? type : 0x05ff;
    }
    return 0x05ff;
  }

  private static void mpls(Packet packet, int position, int end) {
    if (end - position < 4) {
      return;
    }
    packet.network = position;
    int entry = Bytes.getInt(packet.data, position);
    packet.key.words[LABELS] |=
        (entry >>> 12 & 0xfffffL) << 15 | (entry >>> 9 & 7L) << 12 | (entry >>> 8 & 1L) << 11;
  }

  private static void arp(Packet packet, int position, int end) {
    byte[] data = packet.data;
    if (end - position < 28
        || Bytes.getInt(data, position) != 0x00010800
        || Bytes.getShort(data, position + 4) != 0x0604) {
      return;
    }
    packet.network = position;
    long[] words = packet.key.words;
    words[TRANSPORT] = (long) Bytes.getShort(data, position + 6) << 48;
    words[IPV6_SOURCE] = Bytes.getAddress(data, position + 8) << 16;
    words[IPV6_DESTINATION] = Bytes.getAddress(data, position + 18) << 16;
    words[IPV4] =
        Bytes.getUnsignedInt(data, position + 14) << 32 | Bytes.getUnsignedInt(data, position + 24);
  }

  private static void ipv4(Packet packet, int position, int end) {
    byte[] data = packet.data;
    if (end - position < 20) {
      return;
    }
    int first = data[position];
    int headerBytes = (first & 15) * 4;
    int total = Bytes.getShort(data, position + 2);
    if (first >>> 4 != 4 || headerBytes < 20 || total < headerBytes || total > end - position) {
      return;
    }
    packet.network = position;
    int fragment = Bytes.getShort(data, position + 6);
    int protocol = Bytes.getByte(data, position + 9);
    long[] words = packet.key.words;
    words[IPV4] = Bytes.getLong(data, position + 12);
    int frag = (fragment & 0x1fff) != 0 ? 3 : (fragment & 0x2000) != 0 ? 1 : 0;
    words[TRANSPORT] =
        network(
            protocol, Bytes.getByte(data, position + 1), Bytes.getByte(data, position + 8), frag);
    if (frag != 3) {
      transport(packet, position + headerBytes, position + total, protocol);
    }
  }

  private static long network(int protocol, int service, int ttl, int frag) {
    return (long) protocol << 24 | service << 16 | ttl << 8 | frag;
  }

  private static void ipv6(Packet packet, int position, int end) {
    byte[] data = packet.data;
    if (end - position < 40) {
      return;
    }
    int first = Bytes.getInt(data, position);
    int payload = Bytes.getShort(data, position + 4);
    if (first >>> 28 != 6 || payload > end - position - 40) {
      return;
    }
    packet.network = position;
    long[] words = packet.key.words;
    words[IPV6_SOURCE] = Bytes.getLong(data, position + 8);
    words[IPV6_SOURCE + 1] = Bytes.getLong(data, position + 16);
    words[IPV6_DESTINATION] = Bytes.getLong(data, position + 24);
    words[IPV6_DESTINATION + 1] = Bytes.getLong(data, position + 32);
    int limit = position + 40 + payload;
    int next = Bytes.getByte(data, position + 6);
    int cursor = position + 40;
    int seen = 0;
    int order = 0;
    int frag = 0;
    boolean walking = true;
    while (walking) {
      int bit;
      int rank;
      switch (next) {
        case 0 -> {
          bit = 0x40;
          rank = 1;
        }
        case 43 -> {
          bit = 0x20;
          rank = 3;
        }
        case 44 -> {
          bit = 0x10;
          rank = 4;
        }
        case 51 -> {
          bit = 0x04;
          rank = 5;
        }
        case 60 -> {
          bit = 0x08;
          rank = (seen & 0x20) == 0 && order < 2 ? 2 : 7;
        }
        case 50 -> {
          bit = 0x02;
          rank = 6;
        }
        case 59 -> {
          bit = 0x01;
          rank = 8;
        }
        default -> {
          bit = 0;
          rank = 0;
        }
      }
      if (bit == 0) {
        break;
      }
      if ((seen & bit) != 0 && (bit != 0x08 || rank == order)) {
        seen |= 0x80;
      }
      if (rank < order) {
        seen |= 0x100;
      }
      order = Math.max(order, rank);
      seen |= bit;
      if (bit == 0x02 || bit == 0x01 || limit - cursor < 8) {
        break;
      }
      int following = Bytes.getByte(data, cursor);
      int bytes = Bytes.getByte(data, cursor + 1);
      if (next == 44) {
        bytes = 8;
        int offset = Bytes.getShort(data, cursor + 2);
        frag = (offset & 0xfff8) != 0 ? 3 : (offset & 1) != 0 ? 1 : frag;
      } else {
        bytes = next == 51 ? (bytes + 2) * 4 : (bytes + 1) * 8;
      }
      next = following;
      cursor += bytes;
      walking = cursor <= limit && frag != 3;
    }
    words[LABELS] |= (first & 0xfffffL) << 44 | (long) seen << 35;
    words[TRANSPORT] = network(next, first >>> 20 & 0xff, Bytes.getByte(data, position + 7), frag);
    if (frag != 3 && cursor <= limit) {
      transport(packet, cursor, limit, next);
    }
  }

  private static void transport(Packet packet, int position, int end, int protocol) {
    byte[] data = packet.data;
    long[] words = packet.key.words;
    int available = end - position;
    switch (protocol) {
      case 6 -> {
        if (available >= 20) {
          int flags = Bytes.getShort(data, position + 12);
          int headerBytes = (flags >>> 12) * 4;
          if (headerBytes >= 20 && headerBytes <= available) {
            packet.transport = position;
            packet.tcpHeaderBytes = headerBytes;
            words[TRANSPORT] |= Bytes.getUnsignedInt(data, position) << 32;
            words[ND_SOURCE] = flags & 0xfff;
          }
        }
      }
      case 17 -> {
        if (available >= 8) {
          packet.transport = position;
          words[TRANSPORT] |= Bytes.getUnsignedInt(data, position) << 32;
        }
      }
      case 132 -> {
        if (available >= 12) {
          packet.transport = position;
          words[TRANSPORT] |= Bytes.getUnsignedInt(data, position) << 32;
        }
      }
      case 1 -> {
        if (available >= 8 && packet.key.etherType() == 0x0800) {
          packet.transport = position;
          words[TRANSPORT] |= typeAndCode(data, position);
        }
      }
      case 58 -> {
        if (available >= 4 && packet.key.etherType() == 0x86dd) {
          packet.transport = position;
          words[TRANSPORT] |= typeAndCode(data, position);
          neighbour(packet, position, end);
        }
      }
      default -> {}
    }
  }

  private static long typeAndCode(byte[] data, int position) {
    return (long) Bytes.getByte(data, position) << 48
        | (long) Bytes.getByte(data, position + 1) << 32;
  }

  private static void neighbour(Packet packet, int position, int end) {
    byte[] data = packet.data;
    int type = Bytes.getByte(data, position);
    if (type != 135 && type != 136 || data[position + 1] != 0 || end - position < 24) {
      return;
    }
    long[] words = packet.key.words;
    words[TARGET] = Bytes.getLong(data, position + 8);
    words[TARGET + 1] = Bytes.getLong(data, position + 16);
    int option = position + 24;
    while (end - option >= 8) {
      int bytes = Bytes.getByte(data, option + 1) * 8;
      if (bytes == 0 || bytes > end - option) {
        break;
      }
      int kind = data[option];
      if (bytes == 8 && kind == 1 && type == 135 && packet.sourceOption < 0) {
        packet.sourceOption = option + 2;
        words[ND_SOURCE] = Bytes.getAddress(data, option + 2) << 16;
      } else if (bytes == 8 && kind == 2 && type == 136 && packet.targetOption < 0) {
        packet.targetOption = option + 2;
        words[ND_TARGET_LINK] = Bytes.getAddress(data, option + 2) << 16;
      }
      option += bytes;
    }
  }
}
