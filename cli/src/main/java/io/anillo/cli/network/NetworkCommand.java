package io.anillo.cli.network;

import io.anillo.network.service.Request;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code anillo network}: virtual networks. */
@Command(
    name = "network",
    description = "Makes virtual networks, and shows what passes them.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      ServeCommand.Start.class,
      ServeCommand.class,
      ServeCommand.Stop.class,
      NetworkCommand.Create.class,
      NetworkCommand.Attach.class,
      NetworkCommand.Port.class,
      NetworkCommand.Policy.class,
      NetworkCommand.Router.class,
      NetworkCommand.Balance.class,
      NetworkCommand.Mirror.class,
      NetworkCommand.Delete.class,
      CaptureCommand.class,
      NetworkCommand.Trace.class,
      NetworkCommand.Show.class,
      SwitchCommand.class,
      ControllerCommand.class
    })
public final class NetworkCommand implements Runnable {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public void run() {
    if (spec == null) {
      throw new IllegalStateException("picocli has set no spec");
    }
    throw new ParameterException(
        spec.commandLine(),
        "'anillo network' needs a command: " + String.join(", ", spec.subcommands().keySet()));
  }

  /** {@code anillo network create}. */
  @Command(
      name = "create",
      description = "Makes a logical switch: an Ethernet with DHCP and names.",
      mixinStandardHelpOptions = true)
  static final class Create extends AskCommand {
    @Parameters(paramLabel = "SWITCH")
    String name = "";

    @Option(
        names = "--subnet",
        required = true,
        paramLabel = "A.B.C.D/N",
        description = "Its addresses; the first is its gateway's.")
    String subnet = "";

    @Option(
        names = "--subnet6",
        paramLabel = "X::/64",
        description = "Its IPv6 network, in which guests make their own addresses.")
    @Nullable String subnet6;

    @Option(
        names = "--isolated",
        description = "Ports reach the gateway only, as an access point's clients.")
    boolean isolated;

    @Override
    Request asked() {
      return request("create")
          .with("name", name)
          .with("subnet", subnet)
          .with("subnet6", text(subnet6))
          .with("isolated", isolated ? "yes" : "");
    }
  }

  /** {@code anillo network attach}. */
  @Command(
      name = "attach",
      description = "Makes a port of a logical switch, and plugs something into it.",
      mixinStandardHelpOptions = true)
  static final class Attach extends AskCommand {
    @Parameters(index = "0", paramLabel = "SWITCH")
    String owner = "";

    @Parameters(index = "1", paramLabel = "PORT")
    String name = "";

    @Option(names = "--address", paramLabel = "A.B.C.D", description = "Else the first free one.")
    @Nullable String address;

    @Option(names = "--ethernet", paramLabel = "XX:XX:XX:XX:XX:XX")
    @Nullable String ethernet;

    @Mixin PortOptions options = new PortOptions();

    @Option(
        names = "--socket",
        paramLabel = "FILE",
        description = "Wait at this socket for a guest that speaks QEMU's stream back end.")
    @Nullable Path socket;

    @Option(
        names = "--backend",
        paramLabel = "tap=NAME|packet=INTERFACE",
        description = "Plug in an interface of this host.")
    @Nullable String backend;

    @Override
    Request asked() {
      return options
          .in(request("attach"))
          .with("switch", owner)
          .with("name", name)
          .with("address", text(address))
          .with("ethernet", text(ethernet))
          .with("socket", socket == null ? "" : socket.toAbsolutePath().toString())
          .with("backend", text(backend));
    }
  }

  /** {@code anillo network port}. */
  @Command(
      name = "port",
      description = "Changes the policies or the rate of a port.",
      mixinStandardHelpOptions = true)
  static final class Port extends AskCommand {
    @Parameters(paramLabel = "PORT")
    String name = "";

    @Mixin PortOptions options = new PortOptions();

    @Override
    Request asked() {
      return options.in(request("port").with("name", name));
    }
  }

  /** {@code anillo network policy}. */
  @Command(
      name = "policy",
      description = {
        "Says what ports with a policy may receive and send; answers always pass.",
        "Rules, with a comma as a word of its own between them: in tcp:80 from 10.0.0.0/8,",
        "in icmp from group web, out udp:53, in any. Without rules nothing comes in."
      },
      mixinStandardHelpOptions = true)
  static final class Policy extends AskCommand {
    @Parameters(index = "0", paramLabel = "POLICY")
    String name = "";

    @Parameters(index = "1..*", arity = "0..*", paramLabel = "RULE")
    List<String> rules = List.of();

    @Override
    Request asked() {
      List<String> words =
          rules.stream()
              .flatMap(word -> java.util.Arrays.stream(word.replace(",", " , ").trim().split(" +")))
              .toList();
      return request("policy").with("name", name).withWords(words);
    }
  }

  /** {@code anillo network router}. */
  @Command(
      name = "router",
      description = "Joins logical switches, and leads out.",
      mixinStandardHelpOptions = true)
  static final class Router extends AskCommand {
    @Parameters(paramLabel = "ROUTER")
    String name = "";

    @Option(names = "--connect", split = ",", paramLabel = "SWITCH")
    List<String> connect = List.of();

    @Option(
        names = "--external",
        paramLabel = "A.B.C.D|auto",
        description = "The address that all share outside.")
    @Nullable String external;

    @Option(
        names = "--floating",
        split = ",",
        paramLabel = "A.B.C.D=PORT",
        description = "An address outside that is one port's.")
    List<String> floating = List.of();

    @Override
    Request asked() {
      return request("router")
          .with("name", name)
          .with("connect", joined(connect))
          .with("external", text(external))
          .with("floating", joined(floating));
    }
  }

  /** {@code anillo network balance}. */
  @Command(
      name = "balance",
      description = "Spreads the connections to one address over several ports.",
      mixinStandardHelpOptions = true)
  static final class Balance extends AskCommand {
    @Parameters(index = "0", paramLabel = "BALANCER")
    String name = "";

    @Parameters(index = "1", paramLabel = "ADDRESS:PORT")
    String address = "";

    @Parameters(index = "2..*", arity = "1..*", paramLabel = "PORT[:NUMBER]")
    List<String> backends = List.of();

    @Option(names = "--switch", required = true, paramLabel = "SWITCH")
    String owner = "";

    @Option(names = "--udp", description = "Balance UDP, whose backends cannot be checked.")
    boolean udp;

    @Option(names = "--unchecked", description = "Do not look whether backends answer.")
    boolean unchecked;

    @Override
    Request asked() {
      return request("balance")
          .with("name", name)
          .with("address", address)
          .with("switch", owner)
          .with("udp", udp ? "yes" : "")
          .with("unchecked", unchecked ? "yes" : "")
          .withWords(backends);
    }
  }

  /** {@code anillo network mirror}. */
  @Command(
      name = "mirror",
      description = "Copies what one port sends and receives to another.",
      mixinStandardHelpOptions = true)
  static final class Mirror extends AskCommand {
    @Parameters(index = "0", paramLabel = "MIRROR")
    String name = "";

    @Parameters(index = "1", paramLabel = "SOURCE")
    String source = "";

    @Parameters(index = "2", paramLabel = "TARGET")
    String target = "";

    @Override
    Request asked() {
      return request("mirror").with("name", name).with("source", source).with("target", target);
    }
  }

  /** {@code anillo network delete}. */
  @Command(
      name = "delete",
      description = "Removes a switch, port, router, policy, balancer or mirror.",
      mixinStandardHelpOptions = true)
  static final class Delete extends AskCommand {
    @Parameters(index = "0", paramLabel = "switch|port|router|policy|balancer|mirror")
    String kind = "";

    @Parameters(index = "1", paramLabel = "NAME")
    String name = "";

    @Override
    Request asked() {
      return request("delete").with("kind", kind).with("name", name);
    }
  }

  /** {@code anillo network trace}. */
  @Command(
      name = "trace",
      description = {
        "Says what would happen to a packet, with the rule that decides each step.",
        "PACKET is tcp ADDRESS:PORT, udp ADDRESS:PORT, icmp ADDRESS, or a frame in hexadecimal."
      },
      mixinStandardHelpOptions = true)
  static final class Trace extends AskCommand {
    @Parameters(arity = "2..*", paramLabel = "PORT PACKET")
    List<String> words = List.of();

    @Override
    Request asked() {
      return request("trace").withWords(words);
    }
  }

  /** {@code anillo network show}. */
  @Command(
      name = "show",
      description = "Shows what there is and what has passed.",
      mixinStandardHelpOptions = true)
  static final class Show extends ServiceCommand {
    @Option(
        names = {"-f", "--format"},
        paramLabel = "table|json|svg",
        defaultValue = "table")
    String format = "table";

    @Option(
        names = {"-o", "--output"},
        paramLabel = "FILE",
        description = "Write to a file.")
    @Nullable Path output;

    @Override
    int run() throws IOException {
      Request request = request("show").with("format", format);
      if (output == null) {
        return ask(request);
      }
      Files.writeString(output, io.anillo.network.service.ServiceClient.ask(folder(), request));
      return 0;
    }
  }
}
