package io.anillo.cli.network;

import io.anillo.network.controller.Controller;
import io.anillo.network.controller.ControllerApplication;
import io.anillo.network.controller.LearningSwitch;
import io.anillo.network.controller.MultipathRouting;
import io.anillo.network.controller.Topology;
import java.net.InetSocketAddress;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * {@code anillo network controller}: a controller of any OpenFlow 1.3 switches, without tenants.
 */
@Command(
    name = "controller",
    description = {
      "Controls OpenFlow 1.3 switches, ours and Open vSwitch's, until stopped: each as a learning",
      "switch, or all together as one Ethernet that uses every shortest path and no loop."
    },
    mixinStandardHelpOptions = true)
final class ControllerCommand extends StandingCommand {
  @Option(
      names = "--listen",
      defaultValue = "127.0.0.1",
      paramLabel = "A.B.C.D[:PORT]",
      description =
          "Where switches call (${DEFAULT-VALUE}, port " + SocketAddresses.OPENFLOW_PORT + ").")
  String listen = "127.0.0.1";

  @Option(
      names = "--application",
      defaultValue = "multipath",
      paramLabel = "learning|multipath",
      description = "What it makes of them (${DEFAULT-VALUE}).")
  String application = "multipath";

  @Override
  String open() throws Exception {
    List<ControllerApplication> applications =
        switch (application) {
          case "learning" -> List.of(new LearningSwitch());
          case "multipath" -> {
            Topology topology = keep(new Topology());
            yield List.of(topology, new MultipathRouting(topology));
          }
          default ->
              throw new IllegalArgumentException(
                  "no application is called \"" + application + "\"; learning and multipath are");
        };
    Controller controller = keep(new Controller(applications));
    InetSocketAddress address = SocketAddresses.read(listen, SocketAddresses.OPENFLOW_PORT);
    int port = controller.listen(address, serverSockets());
    return "the controller listens at "
        + (tls == null ? "tcp:" : "ssl:")
        + address.getHostString()
        + ":"
        + port;
  }
}
