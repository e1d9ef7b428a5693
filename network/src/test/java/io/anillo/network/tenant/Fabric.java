package io.anillo.network.tenant;

import io.anillo.network.agent.OpenFlowAgent;
import io.anillo.network.controller.Controller;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.port.VxlanPort;
import io.anillo.vmm.port.Clock;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** Two of our switches joined by VXLAN over the loopback, under one controller. */
final class Fabric implements AutoCloseable {
  private static final AtomicInteger UDP_PORTS = new AtomicInteger(27_900);

  private final int udpPort = UDP_PORTS.incrementAndGet();

  final List<VirtualSwitch> switches = new ArrayList<>();
  final List<OpenFlowAgent> agents = new ArrayList<>();
  private final Map<String, TestGuest> guests = new HashMap<>();
  TenantNetworks networks;
  Controller controller;
  int controllerPort;

  Fabric(Outside outside) throws IOException {
    networks = new TenantNetworks(outside);
    controller = new Controller(List.of(networks));
    controllerPort = controller.listen(loopback(0));
    for (int i = 1; i <= 2; i++) {
      addSwitch(i);
    }
  }

  static InetSocketAddress loopback(int port) {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
  }

  final void addSwitch(int number) throws IOException {
    VirtualSwitch added = new VirtualSwitch("s" + number, number, Clock.system());
    int address = 0x7f000000 | number;
    InetSocketAddress local = new InetSocketAddress("127.0.0." + number, udpPort);
    VxlanPort.attach(added, TenantNetworks.tunnelName(address), local, Optional.empty());
    OpenFlowAgent agent = new OpenFlowAgent(added, OpenFlowAgent.FailMode.SECURE);
    agent.connect(loopback(controllerPort));
    switches.add(added);
    agents.add(agent);
  }

  /** Starts the controller anew, as after a crash: with nothing but the model. */
  void restartController(Outside outside) throws IOException {
    NetworkModel model = networks.model();
    controller.close();
    networks.close();
    networks = new TenantNetworks(outside);
    networks.apply(model);
    controller = new Controller(List.of(networks));
    controller.listen(loopback(controllerPort));
  }

  /** Plugs a guest into a switch as a logical port of the model. */
  TestGuest plug(int switchIndex, String name) {
    LogicalPort port = networks.model().port(Names.qualify(name, Names.DEFAULT_TENANT));
    LogicalSwitch owner = networks.model().logicalSwitch(port.logicalSwitch());
    TestGuest guest = new TestGuest(port, owner);
    guest.plug(switches.get(switchIndex));
    guests.put(name, guest);
    return guest;
  }

  @Override
  public void close() {
    controller.close();
    networks.close();
    agents.forEach(OpenFlowAgent::close);
    switches.forEach(VirtualSwitch::close);
  }
}
