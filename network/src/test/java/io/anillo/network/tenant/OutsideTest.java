package io.anillo.network.tenant;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.packet.Bytes;
import io.anillo.network.uplink.UserNetwork;
import io.anillo.network.uplink.UserNetworkConfig;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The way out of tenants' networks, and in, through the user-mode network at one of two hosts. */
class OutsideTest {
  private static final int GATEWAY = UserNetworkConfig.DEFAULT.gateway();
  private static final int SHARED = GATEWAY + 98;
  private static final int FLOATING = GATEWAY + 99;

  private Fabric fabric;
  private UserNetwork uplink;
  private ServerSocket server;

  @BeforeEach
  void open() throws Exception {
    fabric = new Fabric(new Outside(GATEWAY));
    uplink = new UserNetwork(UserNetworkConfig.parse("forward=tcp:0:10.0.2.101:80"));
    server = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
    fabric.switches.get(0).attach(TenantNetworks.UPLINK, uplink);
    NetworkModel model =
        NetworkModel.EMPTY
            .createSwitch("default/lan", Ipv4.parse("10.1.0.0/24"), false)
            .putGroup(
                "default/web",
                List.of(SecurityGroup.Rule.parse(List.of("in", "tcp:80"), "default")))
            .attach("default/lan", "default/a", 0, 0, List.of(), 0)
            .attach("default/lan", "default/b", 0, 0, List.of("default/web"), 0)
            .attach("default/lan", "default/c", 0, 0, List.of(), 0)
            .putRouter("default/r", List.of("default/lan"), SHARED, Map.of(FLOATING, "default/b"));
    fabric.networks.apply(model);
  }

  @AfterEach
  void close() throws Exception {
    fabric.close();
    uplink.close();
    server.close();
  }

  @Test
  void guestsOfBothHostsConnectOutside() throws Exception {
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(1, "b");
    int port = server.getLocalPort();
    Peers.await("a connection here", () -> a.connect(GATEWAY, port, 2000));
    Peers.await("a connection there", () -> b.connect(GATEWAY, port, 2000));
    assertThat(a.ping(GATEWAY)).isTrue();
    assertThat(b.ping(GATEWAY)).isTrue();
    // At the switch with the way out addresses inside do not appear outside.
    byte[] answer = a.take().getLast();
    assertThat(Bytes.getInt(answer, 30)).isEqualTo(a.port.address());
  }

  @Test
  void guestsThatShareAnAddressMayChooseTheSameEchoIdentifier() throws Exception {
    TestGuest a = fabric.plug(0, "a");
    TestGuest c = fabric.plug(1, "c");
    Peers.await("the gateway", () -> a.ping(GATEWAY));
    Peers.await("the way to it", () -> c.connect(GATEWAY, server.getLocalPort(), 2000));
    // Each has its own identifier back, whatever was seen outside.
    assertThat(c.ping(GATEWAY)).isTrue();
    assertThat(a.ping(GATEWAY)).isTrue();
  }

  @Test
  void aFloatingAddressLeadsToItsPortAndHidesTheRest() throws Exception {
    TestGuest b = fabric.plug(1, "b");
    b.open.addAll(List.of(80, 81));
    int forwarded = uplink.forwardedPorts().getFirst();
    Peers.await("the gateway", () -> b.ping(GATEWAY));
    b.take();
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), forwarded)) {
      Peers.await("an opening", () -> b.openings(80) > 0);
      assertThat(socket.isConnected()).isTrue();
    }
  }

  @Test
  void aFloatingAddressIsReachedFromInsideAsWell() throws Exception {
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(1, "b");
    TestGuest c = fabric.plug(1, "c");
    b.open.addAll(List.of(80, 81));
    Peers.await("the gateway", () -> b.ping(GATEWAY));
    Peers.await("another host's port", () -> a.connect(FLOATING, 80, 3000));
    Peers.await("a port beside it", () -> c.connect(FLOATING, 80, 3000));
    assertThat(a.connect(FLOATING, 81, 3001)).as("what its policy does not let through").isFalse();
    assertThat(a.ping(FLOATING)).as("nor an echo").isFalse();
    // The address inside still answers as itself.
    assertThat(a.connect(b.port.address(), 80, 3002)).isTrue();
  }
}
