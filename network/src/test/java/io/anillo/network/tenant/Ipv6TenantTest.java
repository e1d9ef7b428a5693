package io.anillo.network.tenant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.network.Peers;
import io.anillo.network.conformance.OvsPeer;
import io.anillo.network.controller.Controller;
import io.anillo.network.host.HostInterface;
import io.anillo.network.packet.Ipv4Address;
import io.anillo.network.uplink.UserNetwork;
import io.anillo.network.uplink.UserNetworkConfig;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** IPv6 of logical switches, between Linux's own network stacks at our switches and at OVS's. */
class Ipv6TenantTest {
  private static final Ipv6 ONE = Ipv6.parse("fd00:1::/64");
  private static final Ipv6 TWO = Ipv6.parse("fd00:2::/64");
  private static final Ipv6 OUTSIDE = Ipv6.parse("fd00:9::1");
  private static final int OUTSIDE4 = Ipv4Address.parse("10.89.0.1");
  private static final int SHARED = Ipv4Address.parse("10.89.0.100");

  private @TempDir Path folder;
  private final List<AutoCloseable> resources = new ArrayList<>();
  private final Map<String, Namespace> guests = new HashMap<>();

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable resource : resources.reversed()) {
      resource.close();
    }
  }

  private <T extends AutoCloseable> T keep(T resource) {
    resources.add(resource);
    return resource;
  }

  private static NetworkModel model() {
    return NetworkModel.EMPTY
        .createSwitch("default/one", Ipv4.parse("10.81.0.0/24"), Optional.of(ONE), false)
        .createSwitch("default/two", Ipv4.parse("10.82.0.0/24"), Optional.of(TWO), true)
        .putGroup("default/front", List.of())
        .putGroup("default/web", List.of(rule("in tcp:8080"), rule("in icmp from group front")))
        .attach("default/one", "default/a", 0, 0, List.of("default/front"), 0)
        .attach("default/one", "default/b", 0, 0, List.of("default/web"), 0)
        .attach("default/two", "default/c", 0, 0, List.of(), 0)
        .attach("default/two", "default/d", 0, 0, List.of(), 0)
        .putRouter("default/r", List.of("default/one", "default/two"), SHARED, Map.of());
  }

  private static SecurityGroup.Rule rule(String text) {
    return SecurityGroup.Rule.parse(List.of(text.split(" ")), "default");
  }

  private static Ipv6 address(NetworkModel model, String name) {
    LogicalPort port = model.port("default/" + name);
    return model.logicalSwitch(port.logicalSwitch()).network6().orElseThrow().of(port.ethernet());
  }

  private void check(NetworkModel model) throws Exception {
    Namespace a = guests.get("a");
    Namespace b = guests.get("b");
    Namespace c = guests.get("c");
    Namespace d = guests.get("d");
    b.serve(8080);
    b.serve(8081);
    Peers.await(
        "a default route that the kernel was told of",
        () -> a.show("ip", "-6", "route", "show", "default").contains("proto ra"));
    Peers.await("a ping within a switch", () -> a.ping(address(model, "b")));
    Peers.await("a routed ping", () -> a.ping(address(model, "c")));
    assertThat(a.ping(ONE.first())).as("the gateway").isTrue();
    assertThat(a.ping(TWO.first())).as("nobody answers for another network's gateway").isFalse();
    Ipv6 gateway = Ipv6.linkLocal(model.logicalSwitch("default/one").gatewayEthernet());
    assertThat(a.pingLink(gateway)).as("the gateway on the link").isTrue();
    assertThat(a.pingFrom(Ipv6.linkLocal(model.port("default/a").ethernet()), ONE.first()))
        .as("the gateway, from an address of the link")
        .isTrue();
    assertThat(a.connects(address(model, "b"), 8080)).as("allowed").isTrue();
    assertThat(a.connects(address(model, "b"), 8081)).as("not allowed").isFalse();
    Peers.await("an allowed routed connection", () -> c.connects(address(model, "b"), 8080));
    assertThat(c.ping(address(model, "b"))).as("c is not in the group").isFalse();
    Peers.await(
        "a connection from an isolated switch", () -> d.connects(address(model, "b"), 8080));
    assertThat(d.ping(address(model, "a"))).as("nothing may come in at a").isFalse();
    assertThat(c.ping(address(model, "d"))).as("within an isolated switch").isFalse();
    // An address that is not the port's own gets nowhere, though the kernel uses it.
    a.succeed("ip", "-6", "addr", "add", "fd00:1::77/64", "dev", "eth0", "nodad");
    a.succeed(
        "ip",
        "-6",
        "route",
        "add",
        address(model, "c").toString(),
        "via",
        gateway.toString(),
        "dev",
        "eth0",
        "src",
        "fd00:1::77");
    assertThat(a.ping(address(model, "c"))).as("from a wrong address").isFalse();
    a.succeed("ip", "-6", "route", "del", address(model, "c").toString());
    a.succeed("ip", "-6", "addr", "del", "fd00:1::77/64", "dev", "eth0");
    assertThat(a.ping(address(model, "c"))).as("from the right address again").isTrue();
  }

  @Test
  void guestsMakeAddressesMeetAndAreKeptApart() throws Exception {
    Peers.require("ip", "ping", "iperf3", "ethtool", "bash");
    Peers.requireRoot();
    NetworkModel model = model();
    UserNetworkConfig config = UserNetworkConfig.DEFAULT;
    Ipv6 gateway = Ipv6.address(config.prefixHigh(), 2);
    Outside outside = new Outside(config.gateway(), Optional.of(gateway));
    Fabric fabric = keep(new Fabric(outside));
    fabric.switches.getFirst().attach(TenantNetworks.UPLINK, keep(new UserNetwork(config)));
    fabric.networks.apply(model);
    int at = 0;
    for (String name : List.of("a", "b", "c", "d")) {
      LogicalPort port = model.port("default/" + name);
      Namespace guest = keep(new Namespace(port));
      guests.put(name, guest);
      // In turn at one and the other host.
      HostInterface cable = HostInterface.packetSocket(port.realName());
      fabric.switches.get(at++ % 2).attach(port.realName(), cable);
      guest.up();
    }
    check(model);
    // The gateway of the user-mode network leads to the host itself.
    try (ServerSocket server = new ServerSocket(0, 64, InetAddress.ofLiteral("::1"))) {
      for (String name : List.of("a", "b")) {
        Namespace guest = guests.get(name);
        Peers.await("out, " + name, () -> guest.ping(gateway));
        assertThat(guest.connects(gateway, server.getLocalPort())).as(name).isTrue();
      }
    }
  }

  @Test
  void theSameOnOpenVSwitch() throws Exception {
    Peers.require("ovs-vswitchd", "ovsdb-server", "ip", "ping", "iperf3", "ethtool", "bash");
    Peers.requireRoot();
    NetworkModel model = model();
    TenantNetworks networks = keep(new TenantNetworks(new Outside(OUTSIDE4, Optional.of(OUTSIDE))));
    networks.apply(model);
    Controller controller = keep(new Controller(List.of(networks)));
    OvsPeer peer = keep(OvsPeer.real(folder));
    peer.addBridge("anbr", 0x51, controller.listen(Fabric.loopback(0)));
    for (String name : List.of("a", "b", "c", "d")) {
      LogicalPort port = model.port("default/" + name);
      Namespace guest = keep(new Namespace(port));
      guests.put(name, guest);
      peer.succeed("ovs-vsctl", "--timeout=20", "add-port", "anbr", port.realName());
      guest.up();
    }
    Namespace outside = keep(new Namespace("antout", TenantNetworks.UPLINK, 0x020000000009L));
    outside.up();
    outside.succeed("ip", "-6", "addr", "add", OUTSIDE + "/64", "dev", "eth0", "nodad");
    outside.serve(8080);
    peer.succeed("ovs-vsctl", "--timeout=20", "add-port", "anbr", TenantNetworks.UPLINK);
    check(model);
    Namespace a = guests.get("a");
    Peers.await("out", () -> a.ping(OUTSIDE));
    assertThat(a.connects(OUTSIDE, 8080)).as("out by TCP").isTrue();
    assertThat(outside.ping(address(model, "c"))).as("nothing comes in").isFalse();
  }

  @Test
  void whatIsOfALinkIsNotRouted() throws Exception {
    Fabric fabric = keep(new Fabric(Outside.NONE));
    NetworkModel model = model();
    fabric.networks.apply(model);
    TestGuest a = fabric.plug(0, "a");
    TestGuest c = fabric.plug(0, "c");
    long gateway = a.owner.gatewayEthernet();
    Ipv6 link = Ipv6.linkLocal(a.port.ethernet());
    byte[] body = new byte[16];
    body[0] = (byte) 128;
    byte[] routed =
        FrameBuilder.icmpv6(
            a.port.ethernet(), address(model, "a"), gateway, address(model, "c"), body);
    Peers.await(
        "a routed frame",
        () -> {
          a.send(routed);
          return !c.take().isEmpty();
        });
    a.send(FrameBuilder.icmpv6(a.port.ethernet(), link, gateway, address(model, "c"), body));
    assertThat(c.take()).isEmpty();
    a.send(routed);
    assertThat(c.take()).hasSize(1);
  }

  @Test
  void networksAndRulesAreReadAndRefused() {
    assertThat(Ipv6.parse("fd00:1::/64").of(0x020000000001L).toString())
        .isEqualTo("fd00:1::ff:fe00:1");
    assertThat(rule("in tcp:80 from fd00::/8").toString()).isEqualTo("in tcp:80 from fd00::/8");
    for (String wrong : List.of("fd00::1/64", "fd00::/129", "1.2.3.4", "fd00:::/64", "::g/64")) {
      assertThatThrownBy(() -> Ipv6.parse(wrong)).isInstanceOf(IllegalArgumentException.class);
    }
    for (String wrong : List.of("fd00::/48", "ff02::/64", "fe80::/64", "::/64")) {
      assertThatThrownBy(() ->
              NetworkModel.EMPTY.createSwitch(
                  "default/s", Ipv4.parse("10.1.0.0/24"), Optional.of(Ipv6.parse(wrong)), false))
          .hasMessageContaining("/64");
    }
    NetworkModel both =
        NetworkModel.EMPTY
            .createSwitch("default/one", Ipv4.parse("10.1.0.0/24"), Optional.of(ONE), false)
            .createSwitch("default/two", Ipv4.parse("10.2.0.0/24"), Optional.of(ONE), false);
    assertThatThrownBy(
            () -> both.putRouter("default/r", List.of("default/one", "default/two"), 0, Map.of()))
        .hasMessageContaining("overlap");
  }
}
