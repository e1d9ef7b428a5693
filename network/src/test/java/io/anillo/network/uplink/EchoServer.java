package io.anillo.network.uplink;

import java.io.IOException;
import java.io.OutputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** Sends back what it gets, by TCP and UDP, on the host's loopback. */
final class EchoServer implements AutoCloseable {
  private final ServerSocket server;
  private final DatagramSocket datagrams;

  EchoServer() throws IOException {
    server = new ServerSocket(0, 4096, InetAddress.getLoopbackAddress());
    datagrams = new DatagramSocket(server.getLocalPort(), InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
    Thread.ofPlatform().daemon().start(this::datagrams);
  }

  int port() {
    return server.getLocalPort();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        Thread.ofVirtual().start(() -> echo(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private static void echo(Socket socket) {
    try (socket) {
      OutputStream output = socket.getOutputStream();
      socket.getInputStream().transferTo(output);
      socket.shutdownOutput();
    } catch (IOException e) {
      // The client's side of the test reports what went wrong.
    }
  }

  private void datagrams() {
    byte[] data = new byte[65_536];
    while (!datagrams.isClosed()) {
      try {
        DatagramPacket packet = new DatagramPacket(data, data.length);
        datagrams.receive(packet);
        datagrams.send(packet);
      } catch (IOException e) {
        return;
      }
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
    datagrams.close();
  }
}
