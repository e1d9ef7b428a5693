package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;

/** An IP address as two words: IPv4 addresses as {@code ::ffff:a.b.c.d} (RFC 4291 §2.5.5.2). */
record Endpoint(long high, long low) {
  private static final long MAPPED = 0xffff_0000_0000L;

  static Endpoint ipv4(int address) {
    return new Endpoint(0, MAPPED | (address & 0xffffffffL));
  }

  static Endpoint of(InetAddress address) {
    byte[] bytes = address.getAddress();
    return bytes.length == 4
        ? ipv4(Bytes.getInt(bytes, 0))
        : new Endpoint(Bytes.getLong(bytes, 0), Bytes.getLong(bytes, 8));
  }

  boolean isIpv4() {
    return high == 0 && low >>> 32 == 0xffff;
  }

  int ipv4() {
    return (int) low;
  }

  InetAddress toAddress() {
    byte[] bytes =
        isIpv4()
            ? ByteBuffer.allocate(4).putInt(ipv4()).array()
            : ByteBuffer.allocate(16).putLong(high).putLong(low).array();
    try {
      return InetAddress.getByAddress(bytes);
    } catch (UnknownHostException e) {
      throw new IllegalStateException("four or sixteen bytes are an address", e);
    }
  }
}
