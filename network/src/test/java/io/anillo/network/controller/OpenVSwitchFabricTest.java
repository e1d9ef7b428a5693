package io.anillo.network.controller;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.conformance.OvsPeer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The controller runs a ring of Open vSwitch bridges between two network namespaces. */
class OpenVSwitchFabricTest {
  private @TempDir Path folder;
  private final List<AutoCloseable> resources = new ArrayList<>();

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable resource : resources.reversed()) {
      resource.close();
    }
  }

  private void namespace(OvsPeer peer, String name, String bridge, String address) {
    Peers.run(5, "ip", "netns", "del", name);
    Peers.run(5, "ip", "link", "del", "v" + name);
    Peers.succeed("ip", "netns", "add", name);
    resources.add(() -> Peers.run(5, "ip", "netns", "del", name));
    Peers.succeed(
        "ip", "link", "add", "v" + name, "type", "veth", "peer", "name", "eth0", "netns", name);
    Peers.succeed("ip", "link", "set", "v" + name, "up");
    String[] inside = {"ip", "netns", "exec", name};
    inside(inside, "ip", "addr", "add", address, "dev", "eth0");
    inside(inside, "ip", "link", "set", "eth0", "up");
    // The user-space datapath does not complete checksums that the kernel left to a card.
    Peers.run(5, "ip", "netns", "exec", name, "ethtool", "-K", "eth0", "tx", "off");
    peer.succeed("ovs-vsctl", "--timeout=20", "add-port", bridge, "v" + name);
  }

  private static void inside(String[] prefix, String... command) {
    List<String> line = new ArrayList<>(List.of(prefix));
    line.addAll(List.of(command));
    Peers.succeed(line.toArray(String[]::new));
  }

  @Test
  void pingsThroughARingOfBridgesAndAroundABrokenLink() throws Exception {
    Peers.require("ovs-vswitchd", "ovsdb-server", "ip", "ping", "iperf3", "ethtool");
    Peers.requireRoot();
    Topology topology = new Topology();
    resources.add(topology);
    MultipathRouting routing = new MultipathRouting(topology);
    Controller controller = new Controller(List.of(topology, routing));
    resources.add(controller);
    int port = controller.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    OvsPeer peer = OvsPeer.real(folder);
    resources.add(peer);
    for (int i = 1; i <= 3; i++) {
      peer.addBridge("anl" + i, i, port);
    }
    for (int i = 1; i <= 3; i++) {
      peer.patch("anl" + i, "anl" + (i % 3 + 1));
    }
    namespace(peer, "anlh1", "anl1", "10.99.0.1/24");
    namespace(peer, "anlh2", "anl2", "10.99.0.2/24");
    Peers.await("three links", () -> topology.links().size() == 6);
    String[] first = {"ip", "netns", "exec", "anlh1"};
    Peers.await(
        "a ping",
        () ->
            Peers.run(8, "ip", "netns", "exec", "anlh1", "ping", "-c", "1", "-W", "1", "10.99.0.2")
                    .exitCode()
                == 0);
    inside(first, "ping", "-c", "5", "-i", "0.2", "-W", "2", "10.99.0.2");
    assertThat(routing.hosts()).hasSizeGreaterThanOrEqualTo(2);

    Process server =
        new ProcessBuilder("ip", "netns", "exec", "anlh2", "iperf3", "-s", "-1")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("iperf").toFile())
            .start();
    resources.add(server::destroy);
    Peers.await(
        "a measurement",
        () ->
            Peers.run(15, "ip", "netns", "exec", "anlh1", "iperf3", "-c", "10.99.0.2", "-t", "1")
                    .exitCode()
                == 0);

    peer.succeed("ovs-vsctl", "--timeout=20", "del-port", "anl1", "anl1-anl2");
    Peers.await("the other way round", () -> topology.links().size() == 4);
    Peers.await(
        "a ping over the third bridge",
        () ->
            Peers.run(8, "ip", "netns", "exec", "anlh1", "ping", "-c", "1", "-W", "1", "10.99.0.2")
                    .exitCode()
                == 0);
  }
}
