package io.anillo.bench.network;

import io.anillo.network.controller.Controller;
import io.anillo.network.controller.LearningSwitch;
import io.anillo.network.flow.Match;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.Message;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.OpenFlowConnection;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.openflow.WireWriter;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.MatchField;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * How many flows a second a learning-switch controller sets up for a switch that sends packets
 * without pause, and how long one alone takes it.
 */
final class ControllerRate {
  private static final int WINDOW = 128;
  private static final int HOSTS = 4096;

  /**
   * Flows a second with many packets under way, and microseconds from a lone packet to its flow.
   */
  record Rate(double flows, double latencyMicros) {}

  private ControllerRate() {}

  static Rate ours(int seconds) throws IOException {
    try (Controller controller = new Controller(List.of(new LearningSwitch()))) {
      int port = controller.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      return measure(port, seconds);
    }
  }

  private static Rate measure(int port, int seconds) throws IOException {
    double flows = drive(port, seconds, WINDOW);
    return new Rate(flows, 1e6 / drive(port, seconds, 1));
  }

  static Rate peer(int seconds) throws IOException, InterruptedException {
    int port;
    try (ServerSocket probe = new ServerSocket(0)) {
      port = probe.getLocalPort();
    }
    Path folder = Files.createTempDirectory("anillo-bench");
    ProcessBuilder builder =
        new ProcessBuilder("ovs-testcontroller", "-O", "OpenFlow13", "ptcp:" + port + ":127.0.0.1")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("log").toFile());
    builder.environment().put("OVS_RUNDIR", folder.toString());
    Process process = builder.start();
    try {
      Thread.sleep(500);
      return measure(port, seconds);
    } finally {
      process.destroy();
    }
  }

  /**
   * Plays a switch: answers the handshake, then keeps a window of packet-ins unanswered; flow-mods
   * a second.
   */
  private static double drive(int port, int seconds, int window) throws IOException {
    try (OpenFlowConnection channel =
        new OpenFlowConnection(new Socket(InetAddress.getLoopbackAddress(), port))) {
      channel.setReadTimeoutMillis(5000);
      channel.send(Message.hello(1));
      byte[] frame = new byte[64];
      Bytes.putShort(frame, 12, 0x88b5);
      int sequence = 0;
      boolean loaded = false;
      long flows = 0;
      long begin = 0;
      long end = Long.MAX_VALUE;
      while (System.nanoTime() < end) {
        Message message = channel.read();
        switch (message.type()) {
          case Message.FEATURES_REQUEST -> {
            WireWriter body = new WireWriter().u64(0x99).u32(0).u8(254).zero(3).u32(71).u32(0);
            channel.send(new Message(Message.FEATURES_REPLY, message.transaction(), body));
          }
          case Message.ECHO_REQUEST ->
              channel.send(new Message(Message.ECHO_REPLY, message.transaction(), message.body()));
          case Message.BARRIER_REQUEST ->
              channel.send(new Message(Message.BARRIER_REPLY, message.transaction(), new byte[0]));
          case Message.MULTIPART_REQUEST -> {
            int type = Bytes.getShort(message.body(), 0);
            WireWriter body = new WireWriter().u16(type).u16(0).zero(4);
            if (type == Multipart.PORT_DESCRIPTION) {
              for (int i = 1; i <= 2; i++) {
                new PortDescription(i, 0x020000000000L + i, "p" + i, 0, 4, 10_000_000).write(body);
              }
            }
            channel.send(new Message(Message.MULTIPART_REPLY, message.transaction(), body));
          }
          case Message.FLOW_MOD -> {
            flows += loaded ? 1 : 0;
            if (!loaded) {
              loaded = true;
              // Each address is announced at one port, then traffic between them is set up.
              for (int i = 0; i < HOSTS; i++) {
                channel.send(packetIn(frame, 0x02f000000000L + i, 0x0200aa000000L, 2));
              }
              for (int i = 0; i < window; i++) {
                channel.send(next(frame, sequence++));
              }
              begin = System.nanoTime();
              end = begin + seconds * 1_000_000_000L;
            } else {
              channel.send(next(frame, sequence++));
            }
          }
          default -> {}
        }
      }
      return flows / ((System.nanoTime() - begin) / 1e9);
    }
  }

  private static Message next(byte[] frame, int sequence) {
    return packetIn(
        frame, 0x02e000000000L + sequence % HOSTS, 0x02f000000000L + sequence * 31 % HOSTS, 1);
  }

  private static Message packetIn(byte[] frame, long source, long destination, int port) {
    Bytes.putAddress(frame, 0, destination);
    Bytes.putAddress(frame, 6, source);
    WireWriter body = new WireWriter().u32(-1).u16(frame.length).u8(0).u8(0).u64(0);
    MatchCodec.write(body, Match.builder().set(MatchField.IN_PORT, port).build());
    return new Message(Message.PACKET_IN, 0, body.zero(2).bytes(frame));
  }
}
