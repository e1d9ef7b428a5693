package io.anillo.network.tenant;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.conformance.OvsPeer;
import io.anillo.network.controller.Controller;
import io.anillo.network.flow.FieldText;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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

  private void plug(OvsPeer peer, LogicalPort port, LogicalSwitch owner) {
    String namespace = "ant" + port.number();
    Peers.run(5, "ip", "netns", "del", namespace);
    Peers.run(5, "ip", "link", "del", port.realName());
    Peers.succeed("ip", "netns", "add", namespace);
    keep(() -> Peers.run(5, "ip", "netns", "del", namespace));
    Peers.succeed(
        "ip",
        "link",
        "add",
        port.realName(),
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        namespace);
    Peers.succeed("ip", "link", "set", port.realName(), "up");
    inside(port, "ip", "link", "set", "eth0", "address", FieldText.address(port.ethernet()));
    String address = FieldText.ipv4(port.address()) + "/" + owner.network().prefixLength();
    inside(port, "ip", "addr", "add", address, "dev", "eth0");
    inside(port, "ip", "link", "set", "eth0", "up");
    inside(port, "ip", "link", "set", "lo", "up");
    inside(port, "ip", "route", "add", "default", "via", FieldText.ipv4(owner.gateway()));
    // The user-space datapath does not complete checksums that the kernel left to a card.
    inside(port, "ethtool", "-K", "eth0", "tx", "off");
    peer.succeed("ovs-vsctl", "--timeout=20", "add-port", "anbr", port.realName());
  }

  private static String[] line(LogicalPort port, String... command) {
    List<String> line = new ArrayList<>(List.of("ip", "netns", "exec", "ant" + port.number()));
    line.addAll(List.of(command));
    return line.toArray(String[]::new);
  }

  private static void inside(LogicalPort port, String... command) {
    Peers.succeed(line(port, command));
  }

  private static boolean ping(LogicalPort from, int address) {
    String target = FieldText.ipv4(address);
    return Peers.run(8, line(from, "ping", "-c", "1", "-W", "1", target)).exitCode() == 0;
  }

  private static boolean connects(LogicalPort from, int address, int port) {
    String target = "exec 3<>/dev/tcp/" + FieldText.ipv4(address) + "/" + port;
    return Peers.run(8, line(from, "timeout", "2", "bash", "-c", target)).exitCode() == 0;
  }

  private void serve(LogicalPort at, int port) throws Exception {
    Process server =
        new ProcessBuilder(line(at, "iperf3", "-s", "-p", String.valueOf(port)))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    keep(server::destroy);
  }

  @Test
  void groupsRoutersAndBalancersWorkOnOpenVSwitch() throws Exception {
    Peers.require("ovs-vswitchd", "ovsdb-server", "ip", "ping", "iperf3", "ethtool", "bash");
    Peers.requireRoot();
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
            .putRouter("default/r", List.of("default/one", "default/two"), 0, java.util.Map.of());
    int shared = Ipv4.parseAddress("10.81.0.100");
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
    TenantNetworks networks = keep(new TenantNetworks(TenantNetworks.Outside.NONE));
    networks.apply(model);
    Controller controller = keep(new Controller(List.of(networks)));
    int listening = controller.listen(Fabric.loopback(0));
    OvsPeer peer = keep(OvsPeer.real(folder));
    peer.addBridge("anbr", 0x51, listening);
    LogicalPort a = model.port("default/a");
    LogicalPort b = model.port("default/b");
    LogicalPort c = model.port("default/c");
    for (LogicalPort port : List.of(a, b, c)) {
      plug(peer, port, model.logicalSwitch(port.logicalSwitch()));
    }
    serve(b, 8080);
    serve(b, 8081);
    serve(c, 8080);
    Fabric.await("a ping", () -> ping(a, b.address()));
    assertThat(ping(a, c.address())).as("routed").isTrue();
    assertThat(ping(a, Ipv4.parseAddress("10.81.0.1"))).as("gateway").isTrue();
    assertThat(connects(a, b.address(), 8080)).as("allowed").isTrue();
    assertThat(connects(a, b.address(), 8081)).as("not allowed").isFalse();
    for (int i = 0; i < 10; i++) {
      assertThat(connects(a, shared, 80)).as("balanced, %d", i).isTrue();
    }
    peer.succeed("ovs-vsctl", "--timeout=20", "del-port", "anbr", c.realName());
    Fabric.await("its end", () -> networks.deadBackends().contains("default/v default/c"));
    Thread.sleep(200);
    for (int i = 0; i < 10; i++) {
      assertThat(connects(a, shared, 80)).as("one backend, %d", i).isTrue();
    }
  }
}
