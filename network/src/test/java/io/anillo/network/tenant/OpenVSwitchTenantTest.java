package io.anillo.network.tenant;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.conformance.OvsPeer;
import io.anillo.network.controller.Controller;
import io.anillo.network.flow.FieldText;
import io.anillo.network.packet.Ipv4Address;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The same nouns on Open vSwitch's user-space datapath, between network namespaces. */
class OpenVSwitchTenantTest {
  private @TempDir Path folder;
  private final List<AutoCloseable> resources = new ArrayList<>();

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

  private Namespace plug(OvsPeer peer, LogicalPort port, LogicalSwitch owner) throws Exception {
    Namespace guest = keep(new Namespace(port));
    String address = FieldText.ipv4(port.address()) + "/" + owner.network().prefixLength();
    guest.succeed("ip", "addr", "add", address, "dev", "eth0");
    guest.up();
    guest.succeed("ip", "route", "add", "default", "via", FieldText.ipv4(owner.gateway()));
    peer.succeed("ovs-vsctl", "--timeout=20", "add-port", "anbr", port.realName());
    return guest;
  }

  @Test
  void groupsRoutersAndBalancersWorkOnOpenVSwitch() throws Exception {
    Peers.require("ovs-vswitchd", "ovsdb-server", "ip", "ping", "iperf3", "ethtool", "bash");
    Peers.requireRoot();
    int floating = Ipv4Address.parse("198.51.100.2");
    NetworkModel model =
        NetworkModel.EMPTY
            .createSwitch("default/one", Ipv4.parse("10.81.0.0/24"), false)
            .createSwitch("default/two", Ipv4.parse("10.82.0.0/24"), false)
            .putGroup(
                "default/web",
                List.of(
                    SecurityGroup.Rule.parse(List.of("in", "tcp:8080"), "default"),
                    SecurityGroup.Rule.parse(List.of("in", "icmp"), "default")))
            .attach("default/one", "default/a", 0, 0, List.of(), 0)
            .attach("default/one", "default/b", 0, 0, List.of("default/web"), 0)
            .attach("default/two", "default/c", 0, 0, List.of("default/web"), 50_000)
            .putRouter(
                "default/r",
                List.of("default/one", "default/two"),
                Ipv4Address.parse("198.51.100.1"),
                Map.of(floating, "default/c"));
    int shared = Ipv4Address.parse("10.81.0.100");
    model =
        model.putBalancer(
            "default/v",
            "default/one",
            true,
            shared,
            80,
            List.of(
                new LoadBalancer.Backend("default/b", 8080),
                new LoadBalancer.Backend("default/c", 8080)),
            true);
    TenantNetworks networks = keep(new TenantNetworks(Outside.NONE));
    networks.apply(model);
    Controller controller = keep(new Controller(List.of(networks)));
    int listening = controller.listen(Fabric.loopback(0));
    OvsPeer peer = keep(OvsPeer.real(folder));
    peer.addBridge("anbr", 0x51, listening);
    List<Namespace> guests = new ArrayList<>();
    for (String name : List.of("a", "b", "c")) {
      LogicalPort port = model.port("default/" + name);
      guests.add(plug(peer, port, model.logicalSwitch(port.logicalSwitch())));
    }
    Namespace a = guests.getFirst();
    int b = model.port("default/b").address();
    LogicalPort c = model.port("default/c");
    guests.get(1).serve(8080);
    guests.get(1).serve(8081);
    guests.get(2).serve(8080);
    Peers.await("a ping", () -> a.ping(b));
    assertThat(a.ping(c.address())).as("routed").isTrue();
    assertThat(a.ping(Ipv4Address.parse("10.81.0.1"))).as("gateway").isTrue();
    assertThat(a.connects(b, 8080)).as("allowed").isTrue();
    assertThat(a.connects(b, 8081)).as("not allowed").isFalse();
    assertThat(a.ping(floating)).as("a floating address, from inside").isTrue();
    assertThat(a.connects(floating, 8080)).as("and by TCP").isTrue();
    for (int i = 0; i < 10; i++) {
      assertThat(a.connects(shared, 80)).as("balanced, %d", i).isTrue();
    }
    peer.succeed("ovs-vsctl", "--timeout=20", "del-port", "anbr", c.realName());
    Peers.await("its end", () -> networks.deadBackends().contains("default/v default/c"));
    Thread.sleep(200);
    for (int i = 0; i < 10; i++) {
      assertThat(a.connects(shared, 80)).as("one backend, %d", i).isTrue();
    }
  }
}
