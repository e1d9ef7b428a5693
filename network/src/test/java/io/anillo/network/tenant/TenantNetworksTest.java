package io.anillo.network.tenant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.network.Peers;
import io.anillo.network.controller.Controller;
import io.anillo.network.controller.Failover;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.Ipv4Address;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What tenants ask for, on two switches of ours joined by VXLAN. */
class TenantNetworksTest {
  private static final Ipv4 NET = Ipv4.parse("10.1.0.0/24");
  private Fabric fabric;

  @BeforeEach
  void open() throws Exception {
    fabric = new Fabric(Outside.NONE);
  }

  @AfterEach
  void close() {
    fabric.close();
  }

  private static NetworkModel attach(
      NetworkModel model, String owner, String name, String... groups) {
    String tenant = Names.tenant(Names.qualify(name, "default"));
    return model.attach(
        Names.qualify(owner, tenant),
        Names.qualify(name, "default"),
        0,
        0,
        java.util.Arrays.stream(groups).map(g -> Names.qualify(g, tenant)).toList(),
        0);
  }

  private static SecurityGroup.Rule rule(String text) {
    return SecurityGroup.Rule.parse(List.of(text.split(" ")), "default");
  }

  @Test
  void guestsOfOneSwitchMeetOnOneHostAndAcrossHosts() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(attach(model, "lan", "a"), "lan", "b"), "lan", "c");
    fabric.networks.apply(model);
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(0, "b");
    TestGuest c = fabric.plug(1, "c");
    Peers.await("a ping on one host", () -> a.ping(b.port.address()));
    Peers.await("a ping across hosts", () -> a.ping(c.port.address()));
    assertThat(c.ping(a.port.address())).isTrue();
    assertThat(a.ping(a.owner.gateway())).isTrue();
    // Nobody answers for an address that nobody has, nor for one's own.
    assertThat(a.resolve(a.owner.network().last() - 1)).isZero();
    assertThat(a.resolve(a.port.address())).isZero();
  }

  @Test
  void aPortSendsFromItsOwnAddressesOnly() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(model, "lan", "a"), "lan", "b");
    fabric.networks.apply(model);
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(0, "b");
    Peers.await("a ping", () -> a.ping(b.port.address()));
    b.take();
    byte[] payload = new byte[30];
    FrameBuilder.Side to = new FrameBuilder.Side(b.port.ethernet(), b.port.address(), 9);
    a.send(
        FrameBuilder.udp(
            new FrameBuilder.Side(a.port.ethernet(), a.port.address() + 7, 9), to, payload));
    a.send(
        FrameBuilder.udp(
            new FrameBuilder.Side(a.port.ethernet() + 7, a.port.address(), 9), to, payload));
    assertThat(b.take()).isEmpty();
    a.send(
        FrameBuilder.udp(
            new FrameBuilder.Side(a.port.ethernet(), a.port.address(), 9), to, payload));
    assertThat(b.take()).hasSize(1);
  }

  @Test
  void tenantsWithTheSameAddressesDoNotSeeEachOther() throws Exception {
    NetworkModel model =
        NetworkModel.EMPTY.createSwitch("red/lan", NET, false).createSwitch("blue/lan", NET, false);
    for (String name : List.of("red/a", "red/b", "blue/a", "blue/b")) {
      model = attach(model, "lan", name);
    }
    fabric.networks.apply(model);
    TestGuest redA = fabric.plug(0, "red/a");
    TestGuest redB = fabric.plug(1, "red/b");
    TestGuest blueA = fabric.plug(0, "blue/a");
    TestGuest blueB = fabric.plug(1, "blue/b");
    assertThat(redB.port.address()).isEqualTo(blueB.port.address());
    Peers.await("red's ping", () -> redA.ping(redB.port.address()));
    Peers.await("blue's ping", () -> blueA.ping(blueB.port.address()));
    redB.take();
    blueB.take();
    assertThat(redA.ping(redB.port.address())).isTrue();
    assertThat(blueB.take()).isEmpty();
    assertThat(redB.take()).isNotEmpty();
    // Even a frame made up for the other tenant's card gets nowhere.
    redA.send(
        FrameBuilder.udp(
            new FrameBuilder.Side(redA.port.ethernet(), redA.port.address(), 9),
            new FrameBuilder.Side(blueB.port.ethernet(), blueB.port.address(), 9),
            new byte[30]));
    Thread.sleep(100);
    assertThat(blueB.take()).isEmpty();
  }

  @Test
  void groupsLetThroughWhatTheySayAndAnswersToIt() throws Exception {
    NetworkModel model =
        NetworkModel.EMPTY
            .createSwitch("default/lan", NET, false)
            .putGroup("default/front", List.of())
            .putGroup(
                "default/web", List.of(rule("in tcp:80-81"), rule("in icmp from group front")));
    model =
        attach(attach(attach(model, "lan", "server", "web"), "lan", "client"), "lan", "f", "front");
    fabric.networks.apply(model);
    TestGuest server = fabric.plug(0, "server");
    TestGuest client = fabric.plug(1, "client");
    TestGuest front = fabric.plug(0, "f");
    server.open.addAll(List.of(80, 81, 82));
    client.open.add(5000);
    int address = server.port.address();
    Peers.await("an allowed connection", () -> client.connect(address, 80, 2000));
    assertThat(client.connect(address, 81, 2001)).isTrue();
    assertThat(client.connect(address, 82, 2002)).isFalse();
    assertThat(client.ping(address)).isFalse();
    assertThat(front.ping(address)).isTrue();
    // What it may send is not restricted, and the answers come back.
    assertThat(server.ping(client.port.address())).isTrue();
    assertThat(server.connect(client.port.address(), 5000, 2003)).isTrue();
    // A group of no rules lets nothing in.
    assertThat(client.ping(front.port.address())).isFalse();
    // Rules that change hold for new connections at once.
    fabric.networks.apply(
        fabric.networks.model().putGroup("default/web", List.of(rule("in tcp:82"))));
    Peers.await("the new rule", () -> client.connect(address, 82, 2004));
    // What the new rules do not say goes after they are there.
    AtomicInteger from = new AtomicInteger(2005);
    Peers.await(
        "the end of the old rule", () -> !client.connect(address, 81, from.getAndIncrement()));
  }

  @Test
  void aRouterJoinsSwitchesOfOneTenant() throws Exception {
    NetworkModel model =
        NetworkModel.EMPTY
            .createSwitch("default/one", NET, false)
            .createSwitch("default/two", Ipv4.parse("10.2.0.0/24"), false)
            .createSwitch("default/three", Ipv4.parse("10.3.0.0/24"), false);
    model = attach(attach(attach(model, "one", "a"), "two", "b"), "three", "c");
    fabric.networks.apply(
        model.putRouter("default/r", List.of("default/one", "default/two"), 0, Map.of()));
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(1, "b");
    TestGuest c = fabric.plug(0, "c");
    Peers.await("a routed ping", () -> a.ping(b.port.address()));
    byte[] arrived = b.take().getLast();
    assertThat(Bytes.getByte(arrived, 22)).isEqualTo(63);
    assertThat(Bytes.getAddress(arrived, 6)).isEqualTo(b.owner.gatewayEthernet());
    assertThat(a.ping(c.port.address())).isFalse();
  }

  @Test
  void anAccessPointKeepsItsClientsApart() throws Exception {
    NetworkModel model =
        NetworkModel.EMPTY
            .createSwitch("default/air", NET, true)
            .createSwitch("default/wire", Ipv4.parse("10.2.0.0/24"), false);
    model = attach(attach(attach(model, "air", "a"), "air", "b"), "wire", "c");
    fabric.networks.apply(
        model.putRouter("default/r", List.of("default/air", "default/wire"), 0, Map.of()));
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(0, "b");
    TestGuest c = fabric.plug(1, "c");
    Peers.await("a ping to the wire", () -> a.ping(c.port.address()));
    assertThat(c.ping(b.port.address())).isTrue();
    assertThat(a.ping(b.port.address())).isFalse();
    b.take();
    for (long ethernet : new long[] {b.port.ethernet(), b.owner.gatewayEthernet(), -1L >>> 16}) {
      a.send(
          FrameBuilder.udp(
              new FrameBuilder.Side(a.port.ethernet(), a.port.address(), 9),
              new FrameBuilder.Side(ethernet, b.port.address(), 9),
              new byte[30]));
    }
    assertThat(b.take()).isEmpty();
  }

  @Test
  void aBalancerSpreadsConnectionsAndLosesADeadBackend() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(attach(model, "lan", "w1"), "lan", "w2"), "lan", "client");
    int address = Ipv4Address.parse("10.1.0.100");
    model =
        model.putBalancer(
            "default/web",
            "default/lan",
            true,
            address,
            80,
            List.of(
                new LoadBalancer.Backend("default/w1", 8080),
                new LoadBalancer.Backend("default/w2", 8080)),
            true);
    fabric.networks.apply(model);
    TestGuest w1 = fabric.plug(0, "w1");
    TestGuest w2 = fabric.plug(1, "w2");
    TestGuest client = fabric.plug(0, "client");
    w1.open.add(8080);
    w2.open.add(8080);
    Peers.await("a connection", () -> client.connect(address, 80, 3000));
    w1.take();
    w2.take();
    for (int i = 0; i < 40; i++) {
      assertThat(client.connect(address, 80, 3100 + i)).as("connection %d", i).isTrue();
    }
    assertThat(w1.openings(8080)).isBetween(6L, 34L);
    assertThat(w1.openings(8080) + w2.openings(8080)).isEqualTo(40);
    w2.unplug();
    Peers.await(
        "the backend's end",
        () -> fabric.networks.deadBackends().contains("default/web default/w2"));
    Thread.sleep(100);
    for (int i = 0; i < 20; i++) {
      assertThat(client.connect(address, 80, 3200 + i)).as("connection %d", i).isTrue();
    }
    w2.plug(fabric.switches.get(1));
    Peers.await("its return", () -> fabric.networks.deadBackends().isEmpty());
    Peers.await("its share", () -> client.connect(address, 80, 3300) || true);
    w2.take();
    Peers.await(
        "connections to it",
        () -> {
          client.connect(address, 80, 3400 + (int) (System.nanoTime() & 0xfff));
          return w2.openings(8080) > 0;
        });
  }

  @Test
  void leasesAddressesAndResolvesNames() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(model, "lan", "a"), "lan", "b");
    fabric.networks.apply(model);
    TestGuest a = fabric.plug(0, "a");
    byte[] discover = new byte[300];
    discover[0] = 1;
    discover[1] = 1;
    discover[2] = 6;
    Bytes.putAddress(discover, 28, a.port.ethernet());
    Bytes.putInt(discover, 236, 0x63825363);
    discover[240] = 53;
    discover[241] = 1;
    discover[242] = 1;
    discover[243] = (byte) 255;
    byte[][] offer = new byte[1][];
    Peers.await(
        "an offer",
        () -> {
          offer[0] = a.ask(-1, -1L >>> 16, 68, 67, discover);
          return offer[0].length > 240;
        });
    assertThat(Bytes.getInt(offer[0], 16)).isEqualTo(a.port.address());
    assertThat(new String(offer[0], StandardCharsets.ISO_8859_1)).contains("lan.default.internal");
    Bytes.putAddress(discover, 28, a.port.ethernet() + 1);
    assertThat(a.ask(-1, -1L >>> 16, 68, 67, discover)).isEmpty();

    long gateway = a.owner.gatewayEthernet();
    int server = a.owner.gateway();
    byte[] known = a.ask(server, gateway, 4000, 53, query("B.lan.default.internal"));
    assertThat(Bytes.getInt(known, known.length - 4)).isEqualTo(a.port.address() + 1);
    byte[] unknown = a.ask(server, gateway, 4001, 53, query("c.lan.default.internal"));
    assertThat(Bytes.getShort(unknown, 2) & 15).isEqualTo(3);
    byte[] outside = a.ask(server, gateway, 4002, 53, query("example.org"));
    assertThat(Bytes.getShort(outside, 2) & 15).isEqualTo(5);
  }

  private static byte[] query(String name) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0});
    for (String label : name.split("\\.")) {
      out.write(label.length());
      out.writeBytes(label.getBytes(StandardCharsets.US_ASCII));
    }
    out.writeBytes(new byte[] {0, 0, 1, 0, 1});
    return out.toByteArray();
  }

  @Test
  void aMirrorSeesWhatAPortSendsAndReceives() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(attach(model, "lan", "a"), "lan", "b"), "lan", "watch");
    fabric.networks.apply(model.createMirror("default/m", "default/a", "default/watch"));
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(0, "b");
    TestGuest watch = fabric.plug(1, "watch");
    Peers.await("a ping", () -> a.ping(b.port.address()));
    Thread.sleep(200);
    watch.take();
    assertThat(a.ping(b.port.address())).isTrue();
    // The address was asked for before: two frames of ARP are seen too, the answer not.
    Thread.sleep(100);
    List<byte[]> seen = watch.take();
    assertThat(seen.stream().filter(f -> Bytes.getShort(f, 12) == FlowCompiler.IPV4)).hasSize(2);
  }

  @Test
  void aRateHoldsAPortBack() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(model, "lan", "a"), "lan", "b");
    fabric.networks.apply(model);
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(0, "b");
    Peers.await("a ping", () -> a.ping(b.port.address()));
    fabric.networks.apply(fabric.networks.model().changePort("default/a", List.of(), 1000));
    Peers.await(
        "the meter",
        () -> fabric.switches.get(0).inspect(() -> fabric.switches.get(0).meters().size() == 2));
    fabric.controller.find(1).orElseThrow().barrier(2000);
    b.take();
    for (int i = 0; i < 1000; i++) {
      a.send(
          FrameBuilder.udp(
              new FrameBuilder.Side(a.port.ethernet(), a.port.address(), 9),
              new FrameBuilder.Side(b.port.ethernet(), b.port.address(), 9),
              new byte[1000]));
    }
    // A burst of a megabit is 120 such frames; at a megabit a second no more than a few follow.
    assertThat(b.take().size()).isBetween(100, 400);
  }

  @Test
  void restartsDisturbNothing() throws Exception {
    NetworkModel model =
        NetworkModel.EMPTY
            .createSwitch("default/lan", NET, false)
            .putGroup("default/web", List.of(rule("in tcp:80")));
    model = attach(attach(model, "lan", "a"), "lan", "b", "web");
    fabric.networks.apply(model);
    TestGuest a = fabric.plug(0, "a");
    TestGuest b = fabric.plug(1, "b");
    b.open.add(80);
    Peers.await("a connection", () -> a.connect(b.port.address(), 80, 4000));
    fabric.controller.close();
    // Without any controller what is set up goes on.
    assertThat(a.connect(b.port.address(), 80, 4001)).isTrue();
    fabric.restartController(Outside.NONE);
    for (int i = 0; i < 40; i++) {
      assertThat(a.connect(b.port.address(), 80, 4100 + i)).isTrue();
    }
    Peers.await("both switches", () -> fabric.controller.switches().size() == 2);
    fabric.controller.find(1).orElseThrow().barrier(2000);
    Thread.sleep(200);
    assertThat(fabric.networks.changesSent(1)).isZero();
    // A switch that starts anew is told everything.
    fabric.agents.get(1).close();
    fabric.switches.get(1).close();
    Thread.sleep(200);
    fabric.addSwitch(2);
    b.plug(fabric.switches.get(2));
    Peers.await("the new switch", () -> a.connect(b.port.address(), 80, 4200));
  }

  @Test
  void aStandbyTakesOverWithoutDisturbingTraffic() throws Exception {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    model = attach(attach(model, "lan", "a"), "lan", "b");
    fabric.networks.apply(model);
    try (TenantNetworks others = new TenantNetworks(Outside.NONE);
        Controller standby = new Controller(List.of(others));
        Failover master = Failover.master(fabric.controller, Fabric.loopback(27_820));
        Failover waiting = Failover.standby(standby, Fabric.loopback(27_820), 600)) {
      others.apply(model);
      int port = standby.listen(Fabric.loopback(0));
      fabric.agents.forEach(agent -> agent.connect(Fabric.loopback(port)));
      TestGuest a = fabric.plug(0, "a");
      TestGuest b = fabric.plug(1, "b");
      Peers.await("a ping", () -> a.ping(b.port.address()));
      Peers.await("the standby's switches", () -> standby.switches().size() == 2);
      assertThat(standby.find(1).orElseThrow().master()).isFalse();
      Thread.sleep(3500);
      fabric.controller.close();
      master.close();
      for (int i = 0; i < 20; i++) {
        assertThat(a.ping(b.port.address())).isTrue();
      }
      Peers.await("the new master", () -> standby.switches().stream().allMatch(d -> d.master()));
      assertThat(standby.find(1).orElseThrow().barrier(2000)).isTrue();
      assertThat(others.changesSent(1)).isZero();
      // And the new master does what is asked of it.
      others.apply(attach(others.model(), "lan", "c"));
      LogicalPort added = others.model().port("default/c");
      TestGuest c = new TestGuest(added, others.model().logicalSwitch("default/lan"));
      c.plug(fabric.switches.get(0));
      Peers.await("a new guest", () -> c.ping(b.port.address()));
    }
  }

  @Test
  void wrongWishesAreOneSentence() {
    NetworkModel model = NetworkModel.EMPTY.createSwitch("default/lan", NET, false);
    assertThatThrownBy(() -> model.createSwitch("default/lan", NET, false))
        .hasMessage("switch lan exists already");
    assertThatThrownBy(() -> attach(model, "wan", "a")).hasMessage("there is no switch wan");
    assertThatThrownBy(() -> model.attach("default/lan", "default/a", 0, 0x0a020001, List.of(), 0))
        .hasMessage("10.2.0.1 is no address for a port in 10.1.0.0/24");
    assertThatThrownBy(() -> rule("in tcp:80-")).hasMessageContaining("is no rule");
    assertThatThrownBy(() -> Ipv4.parse("10.1.0.5/24")).hasMessageContaining("10.1.0.0/24");
    NetworkModel used = attach(model, "lan", "a");
    assertThatThrownBy(() -> used.deleteSwitch("default/lan"))
        .hasMessage("switch lan is needed by port a; delete or change that first");
  }
}
