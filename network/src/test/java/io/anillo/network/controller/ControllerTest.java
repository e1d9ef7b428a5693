package io.anillo.network.controller;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.RecordingWire;
import io.anillo.network.agent.OpenFlowAgent;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The controller and our own switches, joined by cables within the process. */
class ControllerTest {
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

  private VirtualSwitch newSwitch(int id, int controllerPort) {
    VirtualSwitch created = keep(new VirtualSwitch("s" + id, id, Clock.system()));
    OpenFlowAgent agent = keep(new OpenFlowAgent(created, OpenFlowAgent.FailMode.SECURE));
    agent.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), controllerPort));
    return created;
  }

  private static void send(VirtualSwitch owner, SwitchPort port, String frame) {
    owner.receive(port, NetworkFrame.of(HexFormat.of().parseHex(frame)));
  }

  private static String frame(String destination, String source) {
    return destination + source + "88b5" + "00".repeat(46);
  }

  @Test
  void tenLinesMakeALearningSwitch() throws Exception {
    Controller controller = keep(new Controller(List.of(new LearningSwitch())));
    int port = controller.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    VirtualSwitch subject = newSwitch(1, port);
    RecordingWire[] wires = {new RecordingWire(), new RecordingWire(), new RecordingWire()};
    SwitchPort[] ports = new SwitchPort[3];
    for (int i = 0; i < 3; i++) {
      ports[i] = subject.addPort("p" + (i + 1), wires[i]);
    }
    Peers.await("the table-miss flow", () -> subject.inspect(() -> subject.table(0).size() == 1));
    String first = frame("02000000000b", "02000000000a");
    send(subject, ports[0], first);
    Peers.await("the flood", () -> wires[1].take().contains(first));
    assertThat(wires[2].take()).containsExactly(first);
    String answer = frame("02000000000a", "02000000000b");
    send(subject, ports[1], answer);
    Peers.await("the answer", () -> wires[0].take().contains(answer));
    assertThat(wires[2].take()).isEmpty();
    Peers.await("a flow of its own", () -> subject.inspect(() -> subject.table(0).size() == 2));
    send(subject, ports[1], answer);
    assertThat(wires[0].take()).containsExactly(answer);
  }

  @Test
  void joinsARingWithoutLoopsAndHealsABrokenLink() throws Exception {
    Topology topology = keep(new Topology());
    MultipathRouting routing = new MultipathRouting(topology);
    Controller controller = keep(new Controller(List.of(topology, routing)));
    int port = controller.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    List<VirtualSwitch> ring = new ArrayList<>();
    for (int i = 1; i <= 4; i++) {
      ring.add(newSwitch(i, port));
    }
    for (int i = 0; i < 4; i++) {
      VirtualSwitch.patch(ring.get(i), ring.get((i + 1) % 4), "r" + i);
    }
    RecordingWire left = new RecordingWire();
    RecordingWire right = new RecordingWire();
    SwitchPort leftPort = ring.get(0).addPort("left", left);
    SwitchPort rightPort = ring.get(2).addPort("right", right);
    Peers.await("eight directions of four links", () -> topology.links().size() == 8);
    String hello = frame("ffffffffffff", "02000000000a");
    Peers.await(
        "one copy of a broadcast",
        () -> {
          send(ring.get(0), leftPort, hello);
          pause();
          return right.take().contains(hello);
        });
    right.take();
    left.take();
    send(ring.get(0), leftPort, hello);
    pause();
    assertThat(right.take().stream().filter(hello::equals)).hasSize(1);
    assertThat(left.take().stream().filter(hello::equals)).isEmpty();

    String answer = frame("02000000000a", "02000000000b");
    send(ring.get(2), rightPort, answer);
    Peers.await("both hosts", () -> routing.hosts().size() == 2);
    String direct = frame("02000000000b", "02000000000a");
    Peers.await(
        "a path",
        () -> {
          send(ring.get(0), leftPort, direct);
          pause();
          return right.take().contains(direct);
        });
    assertThat(ring.get(0).inspect(() -> ring.get(0).groups().size())).isPositive();

    SwitchPort broken = ring.get(0).port("r0-s2").orElseThrow();
    ring.get(0).setLink(broken, false);
    SwitchPort otherEnd = ring.get(1).port("r0-s1").orElseThrow();
    ring.get(1).setLink(otherEnd, false);
    Peers.await("the link's end", () -> topology.links().size() == 6);
    right.take();
    for (int i = 0; i < 20; i++) {
      send(ring.get(0), leftPort, frame("02000000000b", "02000000000a"));
    }
    Peers.await(
        "the other way round", () -> right.take().stream().filter(direct::equals).count() == 20);
  }

  private static void pause() {
    try {
      Thread.sleep(100);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void aSlaveTakesOverWhenTheMasterIsGone() throws Exception {
    Controller first = keep(new Controller(List.of(new LearningSwitch())));
    Controller second = keep(new Controller(List.of()));
    first.assumeRole(Controller.Role.MASTER, 1);
    second.assumeRole(Controller.Role.SLAVE, 1);
    InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    VirtualSwitch subject = newSwitch(7, first.listen(any));
    OpenFlowAgent agent = keep(new OpenFlowAgent(subject, OpenFlowAgent.FailMode.SECURE));
    assertThat(agent.controllers()).isZero();
    int passive = agent.listen(any);
    second.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), passive));
    Peers.await("both sessions", () -> first.find(7).isPresent() && second.find(7).isPresent());
    ConnectedSwitch seen = second.find(7).orElseThrow();
    Peers.await("the slave's role", () -> !seen.master());
    seen.modify(io.anillo.network.dataplane.FlowModification.deleteAll());
    assertThat(seen.barrier(2000)).isTrue();
    assertThat(subject.inspect(() -> subject.table(0).size())).isEqualTo(1);
    first.close();
    second.assumeRole(Controller.Role.MASTER, 2);
    Peers.await("the new master's role", seen::master);
    seen.modify(io.anillo.network.dataplane.FlowModification.deleteAll());
    assertThat(seen.barrier(2000)).isTrue();
    assertThat(subject.inspect(() -> subject.table(0).size())).isZero();
  }

  @Test
  void ourSwitchObeysOpenVSwitchsTestController() throws Exception {
    Peers.require("ovs-testcontroller");
    java.nio.file.Path folder = java.nio.file.Files.createTempDirectory("testcontroller");
    int port;
    try (java.net.ServerSocket probe = new java.net.ServerSocket(0)) {
      port = probe.getLocalPort();
    }
    ProcessBuilder builder =
        new ProcessBuilder("ovs-testcontroller", "-O", "OpenFlow13", "ptcp:" + port + ":127.0.0.1")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("log").toFile());
    builder.environment().put("OVS_RUNDIR", folder.toString());
    Process peer = builder.start();
    keep(peer::destroy);
    VirtualSwitch subject = newSwitch(9, port);
    RecordingWire[] wires = {new RecordingWire(), new RecordingWire(), new RecordingWire()};
    SwitchPort[] ports = new SwitchPort[3];
    for (int i = 0; i < 3; i++) {
      ports[i] = subject.addPort("p" + (i + 1), wires[i]);
    }
    Peers.await("its table-miss flow", () -> subject.inspect(() -> subject.table(0).size() > 0));
    String first = frame("02000000000b", "02000000000a");
    send(subject, ports[0], first);
    Peers.await("the flood", () -> wires[1].take().contains(first));
    String answer = frame("02000000000a", "02000000000b");
    wires[2].take();
    send(subject, ports[1], answer);
    Peers.await("the answer", () -> wires[0].take().contains(answer));
    assertThat(wires[2].take()).isEmpty();
  }
}
