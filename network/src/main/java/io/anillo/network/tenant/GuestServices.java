package io.anillo.network.tenant;

import io.anillo.network.controller.ConnectedSwitch;
import io.anillo.network.controller.ReceivedPacket;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.Bytes;
import io.anillo.network.uplink.DhcpServer;
import io.anillo.network.uplink.HostResolver;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.Semaphore;

/** What a logical switch's gateway answers by the controller: DHCP (RFC 2131) and DNS. */
final class GuestServices {
  /** Room for VXLAN's headers in a common Ethernet frame. */
  static final int MTU = 1450;

  private static final int UDP_PAYLOAD = 42;
  private static final int MAXIMUM_FORWARDED = 256;
  private static final int FORWARD_MILLIS = 4_000;

  private final HostResolver resolver = new HostResolver();
  private final Semaphore forwarded = new Semaphore(MAXIMUM_FORWARDED);

  /** Answers a port's packet; false when it asks for none of these services. */
  boolean answer(
      ConnectedSwitch device, ReceivedPacket packet, NetworkModel model, LogicalPort port) {
    byte[] frame = packet.frame();
    if (frame.length < UDP_PAYLOAD
        || packet.etherType() != FlowCompiler.IPV4
        || frame[14] != 0x45
        || frame[23] != 17) {
      return false;
    }
    int claimed = Bytes.getShort(frame, 38) - 8;
    if (claimed < 0 || claimed > frame.length - UDP_PAYLOAD) {
      return true;
    }
    LogicalSwitch owner = model.logicalSwitch(port.logicalSwitch());
    byte[] payload = Arrays.copyOfRange(frame, UDP_PAYLOAD, UDP_PAYLOAD + claimed);
    FrameBuilder.Side guest =
        new FrameBuilder.Side(port.ethernet(), port.address(), Bytes.getShort(frame, 34));
    switch (Bytes.getShort(frame, 36)) {
      case 67 -> lease(device, packet.inPort(), model, owner, port, payload);
      case 53 -> resolve(device, packet.inPort(), model, owner, guest, payload);
      default -> {
        return false;
      }
    }
    return true;
  }

  private static void send(ConnectedSwitch device, int port, byte[] frame) {
    device.packetOut(frame, Ports.CONTROLLER, new Action.Output(port));
  }

  private static void lease(
      ConnectedSwitch device,
      int real,
      NetworkModel model,
      LogicalSwitch owner,
      LogicalPort port,
      byte[] request) {
    boolean router = model.routerOf(owner.name()).isPresent();
    DhcpServer server =
        new DhcpServer(
            new DhcpServer.Scope(
                owner.gateway(),
                owner.network().mask(),
                router ? owner.gateway() : 0,
                owner.gateway(),
                0,
                0,
                MTU,
                owner.domain()));
    server.reserve(port.ethernet(), port.address());
    server
        .answer(request, 0, request.length)
        .ifPresent(reply -> {
          int address = Bytes.getInt(reply, 16);
          boolean all = (reply[10] & 0x80) != 0 || address == 0;
          FrameBuilder.Side from =
              new FrameBuilder.Side(owner.gatewayEthernet(), owner.gateway(), 67);
          FrameBuilder.Side to =
              new FrameBuilder.Side(
                  all ? 0xffffffffffffL : port.ethernet(), all ? -1 : address, 68);
          send(device, real, FrameBuilder.udp(from, to, reply));
        });
  }

  private void resolve(
      ConnectedSwitch device,
      int real,
      NetworkModel model,
      LogicalSwitch owner,
      FrameBuilder.Side guest,
      byte[] query) {
    Optional<NameService.Question> question = NameService.question(query);
    if (question.isEmpty()) {
      return;
    }
    FrameBuilder.Side from = new FrameBuilder.Side(owner.gatewayEthernet(), owner.gateway(), 53);
    if (NameService.ours(question.get())) {
      byte[] answer = NameService.answer(query, question.get(), name -> find(model, owner, name));
      send(device, real, FrameBuilder.udp(from, guest, answer));
      return;
    }
    boolean outside =
        model.routerOf(owner.name()).map(router -> router.external() != 0).orElse(false);
    Optional<InetAddress> server = resolver.address(System.nanoTime());
    if (!outside || server.isEmpty() || !forwarded.tryAcquire()) {
      byte[] refusal = NameService.refuse(query, question.get());
      send(device, real, FrameBuilder.udp(from, guest, refusal));
      return;
    }
    Thread.ofVirtual()
        .name("dns of " + owner.name())
        .start(() -> {
          try {
            ask(server.get(), query)
                .ifPresent(answer -> send(device, real, FrameBuilder.udp(from, guest, answer)));
          } finally {
            forwarded.release();
          }
        });
  }

  /** The addresses of a balancer or port of the same tenant. */
  private static Optional<NameService.Addresses> find(
      NetworkModel model, LogicalSwitch owner, String name) {
    String[] labels = name.split("\\.", -1);
    String tenant = Names.tenant(owner.name());
    boolean whole = labels.length == 4 && labels[2].equals(tenant) && labels[3].equals("internal");
    if (labels.length != 1 && !whole) {
      return Optional.empty();
    }
    String at = labels.length == 1 ? owner.name() : tenant + "/" + labels[1];
    String thing = tenant + "/" + labels[0];
    LogicalPort port = model.ports().get(thing);
    if (port != null && port.logicalSwitch().equals(at)) {
      Optional<Ipv6> six =
          model.logicalSwitch(at).network6().map(network -> network.of(port.ethernet()));
      return Optional.of(new NameService.Addresses(port.address(), six));
    }
    return Optional.ofNullable(model.balancers().get(thing))
        .filter(balancer -> balancer.logicalSwitch().equals(at))
        .map(balancer -> new NameService.Addresses(balancer.address(), Optional.empty()));
  }

  private static Optional<byte[]> ask(InetAddress server, byte[] query) {
    try (DatagramSocket socket = new DatagramSocket()) {
      socket.setSoTimeout(FORWARD_MILLIS);
      socket.connect(server, 53);
      socket.send(new DatagramPacket(query, query.length));
      byte[] buffer = new byte[MTU - 28];
      DatagramPacket answer = new DatagramPacket(buffer, buffer.length);
      socket.receive(answer);
      boolean same = answer.getLength() >= 12 && buffer[0] == query[0] && buffer[1] == query[1];
      return same ? Optional.of(Arrays.copyOf(buffer, answer.getLength())) : Optional.empty();
    } catch (IOException e) {
      // No answer is what the guest's resolver expects of a name server out of reach.
      System.getLogger(GuestServices.class.getName())
          .log(System.Logger.Level.DEBUG, () -> "no answer from " + server, e);
      return Optional.empty();
    }
  }
}
