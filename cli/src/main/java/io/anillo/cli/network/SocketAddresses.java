package io.anillo.cli.network;

import io.anillo.network.packet.Ipv4Address;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** Addresses as options say them: {@code A.B.C.D} or {@code A.B.C.D:PORT}. */
final class SocketAddresses {
  static final int OPENFLOW_PORT = 6653;

  private SocketAddresses() {}

  static InetSocketAddress read(String text, int usualPort) throws IOException {
    String[] parts = text.split(":", 2);
    int port = usualPort;
    if (parts.length == 2) {
      port = parts[1].matches("[0-9]{1,5}") ? Integer.parseInt(parts[1]) : 65_536;
      if (port > 65_535) {
        throw new IllegalArgumentException("\"" + text + "\" is not an address and a port");
      }
    }
    byte[] bytes = ByteBuffer.allocate(4).putInt(Ipv4Address.parse(parts[0])).array();
    return new InetSocketAddress(InetAddress.getByAddress(bytes), port);
  }

  static List<InetSocketAddress> readAll(List<String> texts, int usualPort) throws IOException {
    List<InetSocketAddress> addresses = new ArrayList<>();
    for (String text : texts) {
      addresses.add(read(text, usualPort));
    }
    return addresses;
  }
}
