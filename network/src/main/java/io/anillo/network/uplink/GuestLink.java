package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.InternetChecksum;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The uplink's end of the Ethernet: who is there, and frames towards them. Used by the uplink's
 * thread only.
 *
 * <p>Hot: TCP segments are built in one array that is used again; watched by {@code anillo bench
 * network}.
 */
final class GuestLink {
  /** The gateway's own Ethernet address. */
  static final long ADDRESS = 0x52_55_0a_00_02_02L;

  static final int MTU = 1500;
  private static final long BROADCAST = 0xffffffffffffL;
  private static final int MAXIMUM_NEIGHBOURS = 1024;
  private static final int ETHERNET = 14;

  private final NetworkBackend.Receiver receiver;
  private final Map<Endpoint, Long> neighbours = new LinkedHashMap<>();
  private final byte[] frame = new byte[ETHERNET + 65_535 + 64];
  private int identification;
  private int payloadAt;
  private boolean ipv4;

  GuestLink(NetworkBackend.Receiver receiver) {
    this.receiver = receiver;
  }

  /** Remembers where an address was heard. */
  void learn(Endpoint address, long ethernet) {
    Long known = neighbours.get(address);
    if (known != null && known == ethernet) {
      return;
    }
    if (neighbours.size() >= MAXIMUM_NEIGHBOURS) {
      Iterator<Endpoint> oldest = neighbours.keySet().iterator();
      oldest.next();
      oldest.remove();
    }
    neighbours.put(address, ethernet);
  }

  /**
   * The Ethernet address of a guest; broadcast while it is unknown, which reaches it all the same.
   */
  private long find(Endpoint address) {
    Long known = neighbours.get(address);
    return known == null ? BROADCAST : known;
  }

  boolean knows(Endpoint address) {
    return neighbours.containsKey(address);
  }

  byte[] buffer() {
    return frame;
  }

  /** Begins an IP packet in {@link #buffer()} and returns the offset where its payload goes. */
  int begin(Endpoint from, Endpoint to, int protocol) {
    return begin(from, to, protocol, find(to));
  }

  int begin(Endpoint from, Endpoint to, int protocol, long ethernet) {
    Bytes.putAddress(frame, 0, ethernet);
    Bytes.putAddress(frame, 6, ADDRESS);
    ipv4 = from.isIpv4();
    if (ipv4) {
      Bytes.putShort(frame, 12, 0x0800);
      Bytes.putShort(frame, 14, 0x4500);
      Bytes.putShort(frame, 18, identification++);
      Bytes.putShort(frame, 20, 0x4000);
      Bytes.putShort(frame, 22, 64 << 8 | protocol);
      Bytes.putInt(frame, 26, from.ipv4());
      Bytes.putInt(frame, 30, to.ipv4());
      payloadAt = 34;
    } else {
      Bytes.putShort(frame, 12, 0x86dd);
      Bytes.putInt(frame, 14, 6 << 28);
      Bytes.putShort(frame, 20, protocol << 8 | (protocol == 58 ? 255 : 64));
      Bytes.putLong(frame, 22, from.high());
      Bytes.putLong(frame, 30, from.low());
      Bytes.putLong(frame, 38, to.high());
      Bytes.putLong(frame, 46, to.low());
      payloadAt = 54;
    }
    return payloadAt;
  }

  private void finishNetworkHeader(int payload) {
    if (ipv4) {
      Bytes.putShort(frame, 16, 20 + payload);
      Bytes.putShort(frame, 24, 0);
      Bytes.putShort(frame, 24, InternetChecksum.of(frame, 14, 20));
    } else {
      Bytes.putShort(frame, 18, payload);
    }
  }

  private long pseudoHeader(int protocol, int length) {
    return ipv4
        ? InternetChecksum.pseudo4(frame, 14, protocol, length)
        : InternetChecksum.pseudo6(frame, 14, protocol, length);
  }

  /**
   * Sends the packet begun before, leaving its TCP checksum and, beyond {@code segment} bytes of
   * data, its segmentation to the guest's card. False when the guest has no room for it.
   */
  boolean sendTcp(int headerBytes, int dataBytes, int segment) {
    int length = headerBytes + dataBytes;
    finishNetworkHeader(length);
    Bytes.putShort(frame, payloadAt + 16, InternetChecksum.fold(pseudoHeader(6, length)));
    NetworkFrame.Segmentation kind =
        dataBytes <= segment
            ? NetworkFrame.Segmentation.NONE
            : ipv4 ? NetworkFrame.Segmentation.TCP4 : NetworkFrame.Segmentation.TCP6;
    return receiver.receive(
        new NetworkFrame(
            frame,
            0,
            payloadAt + length,
            payloadAt,
            16,
            kind,
            kind == NetworkFrame.Segmentation.NONE ? 0 : segment));
  }

  /**
   * Sends the packet begun before with its transport checksum at {@code checksumAt} behind the
   * payload's start.
   */
  boolean send(int protocol, int length, int checksumAt) {
    finishNetworkHeader(length);
    Bytes.putShort(frame, payloadAt + checksumAt, 0);
    long sum = protocol == 1 ? 0 : pseudoHeader(protocol, length);
    int checksum = InternetChecksum.complete(InternetChecksum.add(sum, frame, payloadAt, length));
    Bytes.putShort(
        frame, payloadAt + checksumAt, protocol == 17 && checksum == 0 ? 0xffff : checksum);
    if (length + payloadAt - ETHERNET <= MTU) {
      return plain(payloadAt + length);
    }
    return ipv4 && sendFragments(length);
  }

  /** Cuts an IPv4 packet that is larger than the link's MTU into fragments (RFC 791 §3.2). */
  private boolean sendFragments(int length) {
    byte[] whole = java.util.Arrays.copyOfRange(frame, payloadAt, payloadAt + length);
    int size = (MTU - 20) & ~7;
    for (int sent = 0; sent < length; sent += size) {
      int count = Math.min(size, length - sent);
      System.arraycopy(whole, sent, frame, payloadAt, count);
      Bytes.putShort(frame, 20, (sent + count < length ? 0x2000 : 0) | sent / 8);
      finishNetworkHeader(count);
      plain(payloadAt + count);
    }
    return true;
  }

  private boolean plain(int length) {
    return receiver.receive(
        new NetworkFrame(frame, 0, length, -1, 0, NetworkFrame.Segmentation.NONE, 0));
  }

  /** Answers or asks by ARP (RFC 826): operation 1 asks, 2 answers. */
  void sendArp(int operation, int senderAddress, long targetEthernet, int targetAddress) {
    Bytes.putAddress(frame, 0, operation == 1 ? BROADCAST : targetEthernet);
    Bytes.putAddress(frame, 6, ADDRESS);
    Bytes.putShort(frame, 12, 0x0806);
    Bytes.putLong(frame, 14, 0x0001_0800_0604_0000L | operation);
    Bytes.putAddress(frame, 22, ADDRESS);
    Bytes.putInt(frame, 28, senderAddress);
    Bytes.putAddress(frame, 32, operation == 1 ? 0 : targetEthernet);
    Bytes.putInt(frame, 38, targetAddress);
    java.util.Arrays.fill(frame, 42, 60, (byte) 0);
    plain(60);
  }
}
