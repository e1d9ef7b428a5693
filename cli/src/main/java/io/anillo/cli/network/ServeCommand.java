package io.anillo.cli.network;

import io.anillo.network.packet.Ipv4Address;
import io.anillo.network.service.NetworkService;
import io.anillo.network.service.Request;
import io.anillo.network.service.ServiceConfig;
import io.anillo.network.tenant.Ipv6;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code anillo network serve}: the network of this host, until it is stopped. */
@Command(
    name = "serve",
    description = "Runs this host's switch and the controller, until stopped.",
    mixinStandardHelpOptions = true)
final class ServeCommand extends ServiceCommand {
  private static final int VXLAN_PORT = 4789;
  private static final int OPENFLOW_PORT = SocketAddresses.OPENFLOW_PORT;
  private static final int FAILOVER_PORT = 6654;
  private static final int START_SECONDS = 30;
  private static final Path SET_SESSION = Path.of("/usr/bin/setsid");

  /** How the service is to be run. */
  static final class Options {
    @Option(
        names = "--uplink",
        defaultValue = "user",
        paramLabel = "user|packet=INTERFACE|tap=NAME|none",
        description = "The way out (${DEFAULT-VALUE}).")
    String uplink = "user";

    @Option(
        names = "--next-hop",
        paramLabel = "A.B.C.D",
        description = "The first router outside, where the uplink is an interface.")
    @Nullable String nextHop;

    @Option(
        names = "--next-hop6",
        paramLabel = "X::Y",
        description = {
          "The same for IPv6; its /64 is where logical routers make their addresses outside.",
          "Without it IPv6 leads out through a user-mode uplink only."
        })
    @Nullable String nextHop6;

    @Option(
        names = "--tunnel",
        paramLabel = "A.B.C.D[:PORT]",
        description = "This host's address for VXLAN from other hosts.")
    @Nullable String tunnel;

    @Option(
        names = "--listen",
        paramLabel = "A.B.C.D[:PORT]",
        description = "Control the switches of other hosts, which call here (OpenFlow 1.3).")
    @Nullable String listen;

    @Option(
        names = "--controller",
        split = ",",
        paramLabel = "A.B.C.D[:PORT]",
        description = "Obey another host's controller, or both of a pair.")
    List<String> controllers = List.of();

    @Option(
        names = "--master",
        paramLabel = "A.B.C.D[:PORT]",
        description = "Let a standby of this host's controller hear there that it lives.")
    @Nullable String watched;

    @Option(
        names = "--standby",
        paramLabel = "A.B.C.D[:PORT]",
        description = "Take over from the controller whose --master this is, once it is silent.")
    @Nullable String standby;

    ServiceConfig config(Path folder) throws IOException {
      return new ServiceConfig(
          folder,
          uplink,
          nextHop == null ? 0 : Ipv4Address.parse(nextHop),
          Optional.ofNullable(nextHop6).map(Ipv6::parse),
          optional(tunnel, VXLAN_PORT),
          optional(listen, OPENFLOW_PORT),
          SocketAddresses.readAll(controllers, OPENFLOW_PORT),
          optional(watched, FAILOVER_PORT),
          optional(standby, FAILOVER_PORT));
    }

    List<String> arguments() {
      List<String> arguments = new ArrayList<>(List.of("--uplink", uplink));
      add(arguments, "--next-hop", nextHop);
      add(arguments, "--next-hop6", nextHop6);
      add(arguments, "--tunnel", tunnel);
      add(arguments, "--listen", listen);
      add(arguments, "--controller", controllers.isEmpty() ? null : joined(controllers));
      add(arguments, "--master", watched);
      add(arguments, "--standby", standby);
      return arguments;
    }

    private static void add(List<String> arguments, String option, @Nullable String value) {
      if (value != null) {
        arguments.add(option);
        arguments.add(value);
      }
    }

    private static Optional<InetSocketAddress> optional(@Nullable String text, int port)
        throws IOException {
      return text == null ? Optional.empty() : Optional.of(SocketAddresses.read(text, port));
    }
  }

  @Mixin Options options = new Options();

  @Override
  int run() throws IOException {
    try (NetworkService service = NetworkService.start(options.config(folder()))) {
      Runtime.getRuntime().addShutdownHook(new Thread(service::close));
      System.out.println("the network service is ready in " + folder());
      service.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return 0;
  }

  /** {@code anillo network start}: the same in the background. */
  @Command(
      name = "start",
      description = "Starts this host's network service in the background.",
      mixinStandardHelpOptions = true)
  static final class Start extends ServiceCommand {
    @Mixin Options options = new Options();

    @Override
    int run() throws IOException {
      options.config(folder());
      Files.createDirectories(folder());
      Path log = folder().resolve("log");
      List<String> command = new ArrayList<>();
      String top = System.getenv("ANILLO_TOP");
      if (top == null) {
        throw new IOException("'start' needs the launcher ./anillo; 'serve' does without");
      }
      if (Files.isExecutable(SET_SESSION)) {
        // What ends the terminal or the script that started it does not end the service.
        command.add(SET_SESSION.toString());
      }
      command.add(Path.of(top, "anillo").toString());
      command.addAll(List.of("network", "serve", "--service", folder().toString()));
      command.addAll(options.arguments());
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .redirectInput(new File("/dev/null"))
              .start();
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
      while (System.nanoTime() < end) {
        if (Files.readString(log).contains("is ready")) {
          System.out.println("the network service runs as process " + process.pid());
          return 0;
        }
        if (!process.isAlive()) {
          throw new IOException(Files.readString(log).strip().replaceFirst("^anillo: ", ""));
        }
        pause();
      }
      process.destroy();
      throw new IOException("the network service did not start; its output is in " + log);
    }

    private static void pause() throws IOException {
      try {
        Thread.sleep(50);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      }
    }
  }

  /** {@code anillo network stop}. */
  @Command(
      name = "stop",
      description = "Ends this host's network service; the description stays.",
      mixinStandardHelpOptions = true)
  static final class Stop extends AskCommand {
    @Override
    Request asked() {
      return Request.of("stop");
    }
  }
}
