package io.anillo.network.uplink;

import java.io.InputStream;
import java.io.OutputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The program that runs inside of the guest's network namespace: one job a run, "ok" when it is
 * done.
 */
public final class NatClient {
  private NatClient() {}

  public static void main(String[] arguments) throws Exception {
    String job = arguments[0];
    InetSocketAddress server = new InetSocketAddress(arguments[1], Integer.parseInt(arguments[2]));
    switch (job) {
      case "echo" -> echo(server, Integer.parseInt(arguments[3]), Integer.parseInt(arguments[4]));
      case "many" -> many(server, Integer.parseInt(arguments[3]), 32, 0);
      case "torture" -> many(server, Integer.parseInt(arguments[3]), 64, 10);
      case "udp" -> udp(server, Integer.parseInt(arguments[3]));
      case "serve" -> serve(server.getPort());
      case "refused" -> {
        try (Socket socket = new Socket()) {
          socket.connect(server, 10_000);
          throw new IllegalStateException("connected to " + server);
        } catch (java.net.ConnectException e) {
          System.out.println("refused");
        }
      }
      default -> throw new IllegalArgumentException(job);
    }
    System.out.println("ok");
  }

  /** Sends random bytes, closes its half, and compares the digest of what comes back. */
  static void echo(InetSocketAddress server, int bytes, int receiveBuffer) throws Exception {
    try (Socket socket = new Socket()) {
      if (receiveBuffer > 0) {
        socket.setReceiveBufferSize(receiveBuffer);
      }
      socket.setSoTimeout(120_000);
      socket.connect(server, 120_000);
      MessageDigest sent = MessageDigest.getInstance("SHA-256");
      MessageDigest received = MessageDigest.getInstance("SHA-256");
      Thread writer =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  Random random = new Random(7);
                  OutputStream output = socket.getOutputStream();
                  byte[] block = new byte[32_768];
                  for (int left = bytes; left > 0; ) {
                    random.nextBytes(block);
                    int count = Math.min(left, block.length);
                    sent.update(block, 0, count);
                    output.write(block, 0, count);
                    left -= count;
                  }
                  socket.shutdownOutput();
                } catch (java.io.IOException e) {
                  throw new java.io.UncheckedIOException(e);
                }
              });
      InputStream input = socket.getInputStream();
      byte[] block = new byte[32_768];
      long total = 0;
      for (int count = input.read(block); count >= 0; count = input.read(block)) {
        received.update(block, 0, count);
        total += count;
      }
      writer.join();
      String there = HexFormat.of().formatHex(sent.digest());
      String back = HexFormat.of().formatHex(received.digest());
      if (total != bytes || !there.equals(back)) {
        throw new IllegalStateException("sent " + bytes + " bytes, got " + total + " back");
      }
    }
  }

  /**
   * Makes many short connections, of which one in {@code tiny} has a window of a few segments and
   * more to say.
   */
  static void many(InetSocketAddress server, int count, int together, int tiny) throws Exception {
    AtomicInteger failures = new AtomicInteger();
    try (var pool = Executors.newFixedThreadPool(together)) {
      for (int i = 0; i < count; i++) {
        boolean narrow = tiny > 0 && i % tiny == 0;
        int size = narrow ? 20_000 : i % 300;
        pool.submit(() -> {
          try {
            echo(server, size, narrow ? 2304 : 0);
          } catch (Exception e) {
            if (failures.incrementAndGet() < 5) {
              System.out.println(e);
            }
          }
        });
      }
    }
    if (failures.get() > 0) {
      throw new IllegalStateException(failures + " of " + count + " connections failed");
    }
  }

  static void udp(InetSocketAddress server, int size) throws Exception {
    try (DatagramSocket socket = new DatagramSocket()) {
      socket.setSoTimeout(2_000);
      byte[] data = new byte[size];
      new Random(3).nextBytes(data);
      byte[] back = new byte[65_536];
      for (int attempt = 0; attempt < 20; attempt++) {
        socket.send(new DatagramPacket(data, size, server));
        DatagramPacket packet = new DatagramPacket(back, back.length);
        try {
          socket.receive(packet);
        } catch (java.net.SocketTimeoutException e) {
          continue;
        }
        if (!java.util.Arrays.equals(
            data, java.util.Arrays.copyOf(packet.getData(), packet.getLength()))) {
          throw new IllegalStateException("another datagram came back");
        }
        return;
      }
      throw new IllegalStateException("no answer");
    }
  }

  private static void serve(int port) throws Exception {
    try (ServerSocket server = new ServerSocket(port);
        Socket socket = server.accept()) {
      System.out.println("accepted");
      socket.getInputStream().transferTo(socket.getOutputStream());
    }
  }
}
