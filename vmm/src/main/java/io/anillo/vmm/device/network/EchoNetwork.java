package io.anillo.vmm.device.network;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import org.jspecify.annotations.Nullable;

/**
 * A network of one host inside the process: 10.0.2.2 answers ARP (RFC 826) and ICMP echo (RFC 792),
 * and nothing else. Enough for a guest with a static address to see that its network works. Answers
 * are given within {@link #send}.
 */
public final class EchoNetwork implements NetworkBackend {
  /** The host's address. */
  public static final int ADDRESS = 0x0A00_0202;

  /** The host's Ethernet address, 52:55:0a:00:02:02. */
  public static final long MAC = 0x5255_0A00_0202L;

  private static final int ETHERNET_BYTES = 14;
  private static final int ARP_BYTES = 28;
  private static final int TYPE_IPV4 = 0x0800;
  private static final int TYPE_ARP = 0x0806;
  private static final int PROTOCOL_ICMP = 1;
  private static final int ECHO_REQUEST = 8;

  private volatile @Nullable Receiver receiver;

  @Override
  public void start(Receiver newReceiver) {
    receiver = newReceiver;
  }

  @Override
  public void close() {
    receiver = null;
  }

  @Override
  public void send(NetworkFrame frame) {
    Receiver target = receiver;
    if (target == null || frame.length() < ETHERNET_BYTES) {
      return;
    }
    byte[] answer = new byte[frame.length()];
    System.arraycopy(frame.data(), frame.offset(), answer, 0, answer.length);
    boolean answered =
        switch (getShort(answer, 12)) {
          case TYPE_ARP -> answerArp(answer);
          case TYPE_IPV4 -> answerEcho(answer);
          default -> false;
        };
    if (answered) {
      System.arraycopy(answer, 6, answer, 0, 6);
      putAddress(answer, 6, MAC);
      target.receive(NetworkFrame.of(answer));
    }
  }

  /** Turns a request for our address into the reply. */
  private static boolean answerArp(byte[] frame) {
    int arp = ETHERNET_BYTES;
    if (frame.length < arp + ARP_BYTES
        || getInt(frame, arp) != 0x0001_0800
        || getInt(frame, arp + 4) != 0x0604_0001
        || getInt(frame, arp + 24) != ADDRESS) {
      return false;
    }
    putShort(frame, arp + 6, 2);
    System.arraycopy(frame, arp + 8, frame, arp + 18, 10);
    putAddress(frame, arp + 8, MAC);
    putInt(frame, arp + 14, ADDRESS);
    return true;
  }

  /**
   * Turns an echo request to us into the reply: addresses swapped, type changed, checksum
   * corrected.
   */
  private static boolean answerEcho(byte[] frame) {
    int ip = ETHERNET_BYTES;
    if (frame.length < ip + 20 || frame[ip] >>> 4 != 4) {
      return false;
    }
    int icmp = ip + (frame[ip] & 0xF) * 4;
    int end = ip + getShort(frame, ip + 2);
    boolean fragment = (getShort(frame, ip + 6) & 0x3FFF) != 0;
    if (icmp < ip + 20
        || end < icmp + 8
        || end > frame.length
        || fragment
        || frame[ip + 9] != PROTOCOL_ICMP
        || getInt(frame, ip + 16) != ADDRESS
        || frame[icmp] != ECHO_REQUEST
        || frame[icmp + 1] != 0
        || checksum(frame, ip, icmp) != 0
        || checksum(frame, icmp, end) != 0) {
      return false;
    }
    System.arraycopy(frame, ip + 12, frame, ip + 16, 4);
    putInt(frame, ip + 12, ADDRESS);
    frame[ip + 8] = 64;
    putShort(frame, ip + 10, 0);
    putShort(frame, ip + 10, checksum(frame, ip, icmp));
    frame[icmp] = 0;
    putShort(frame, icmp + 2, 0);
    putShort(frame, icmp + 2, checksum(frame, icmp, end));
    return true;
  }

  /** The Internet checksum (RFC 1071) of a range; 0 over data that holds its own right checksum. */
  private static int checksum(byte[] data, int from, int to) {
    int sum = 0;
    for (int i = from; i < to; i++) {
      sum += (i - from & 1) == 0 ? (data[i] & 0xFF) << 8 : data[i] & 0xFF;
    }
    while (sum >>> 16 != 0) {
      sum = (sum & 0xFFFF) + (sum >>> 16);
    }
    return ~sum & 0xFFFF;
  }

  private static int getShort(byte[] data, int at) {
    return (data[at] & 0xFF) << 8 | data[at + 1] & 0xFF;
  }

  private static int getInt(byte[] data, int at) {
    return getShort(data, at) << 16 | getShort(data, at + 2);
  }

  private static void putShort(byte[] data, int at, int value) {
    data[at] = (byte) (value >>> 8);
    data[at + 1] = (byte) value;
  }

  private static void putInt(byte[] data, int at, int value) {
    putShort(data, at, value >>> 16);
    putShort(data, at + 2, value);
  }

  private static void putAddress(byte[] data, int at, long address) {
    putShort(data, at, (int) (address >>> 32));
    putInt(data, at + 2, (int) address);
  }
}
