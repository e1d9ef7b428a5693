package io.anillo.cli.network;

import io.anillo.network.NetworkChoice;
import io.anillo.network.agent.OpenFlowAgent;
import io.anillo.network.agent.OpenFlowAgent.FailMode;
import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.port.VxlanPort;
import io.anillo.vmm.port.Clock;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code anillo network switch}: one programmable device, without tenants. */
@Command(
    name = "switch",
    description = {
      "Runs one OpenFlow 1.3 switch until stopped: a hub, switch, router or firewall, as its",
      "controllers or ovs-ofctl program it."
    },
    mixinStandardHelpOptions = true)
final class SwitchCommand extends StandingCommand {
  private static final int VXLAN_PORT = 4789;
  private static final int LISTENING_PORT = 6654;

  @Option(
      names = "--port",
      paramLabel = "tap=NAME|packet=INTERFACE|user",
      description = "A port: an interface of this host, or the way out; numbered from 1 in order.")
  List<String> ports = List.of();

  @Option(
      names = "--vxlan",
      paramLabel = "A.B.C.D[:PORT]",
      description = "A tunnel port at this address of the host, behind all others.")
  @Nullable String vxlan;

  @Option(
      names = "--listen",
      paramLabel = "A.B.C.D[:PORT]",
      description = "Where ovs-ofctl and controllers may call (port " + LISTENING_PORT + ").")
  @Nullable String listen;

  @Option(
      names = "--controller",
      split = ",",
      paramLabel = "A.B.C.D[:PORT]",
      description = "A controller to call (port " + SocketAddresses.OPENFLOW_PORT + ").")
  List<String> controllers = List.of();

  @Option(
      names = "--fail",
      defaultValue = "secure",
      paramLabel = "secure|standalone",
      description = "Without a controller: keep the flows, or learn (${DEFAULT-VALUE}).")
  String fail = "secure";

  @Option(
      names = "--id",
      defaultValue = "1",
      paramLabel = "HEXADECIMAL",
      description = "Its datapath identifier (${DEFAULT-VALUE}).")
  String id = "1";

  @Override
  String open() throws Exception {
    if (!fail.equals("secure") && !fail.equals("standalone")) {
      throw new IllegalArgumentException("--fail is secure or standalone, not \"" + fail + "\"");
    }
    if (!id.matches("[0-9a-fA-F]{1,16}")) {
      throw new IllegalArgumentException("\"" + id + "\" is not a hexadecimal number");
    }
    FailMode mode = fail.equals("secure") ? FailMode.SECURE : FailMode.STANDALONE;
    long number = Long.parseUnsignedLong(id, 16);
    VirtualSwitch owner = keep(new VirtualSwitch("switch", number, Clock.system()));
    OpenFlowAgent agent = keep(new OpenFlowAgent(owner, mode));
    for (String port : ports) {
      owner.attach(name(port), NetworkChoice.open(port));
    }
    if (vxlan != null) {
      VxlanPort.attach(owner, "vxlan", SocketAddresses.read(vxlan, VXLAN_PORT), Optional.empty());
    }
    if (controllers.isEmpty() && mode == FailMode.STANDALONE) {
      owner.modify(
          FlowModification.add(
              0, 0, Match.ANY, Instructions.apply(new Action.Output(Ports.NORMAL))));
    }
    StringBuilder said =
        new StringBuilder("switch " + id + " has " + owner.ports().size() + " ports");
    if (listen != null) {
      InetSocketAddress address = SocketAddresses.read(listen, LISTENING_PORT);
      int at = agent.listen(address, serverSockets());
      said.append(tls == null ? " and listens at tcp:" : " and listens at ssl:")
          .append(address.getHostString())
          .append(':')
          .append(at);
    }
    for (InetSocketAddress controller :
        SocketAddresses.readAll(controllers, SocketAddresses.OPENFLOW_PORT)) {
      agent.connect(controller, clientSockets());
    }
    return said.toString();
  }

  /** A port's name: its interface's, or what the way out is called everywhere. */
  private static String name(String choice) {
    int equals = choice.indexOf('=');
    return equals < 0 || choice.startsWith("user") ? "uplink" : choice.substring(equals + 1);
  }
}
