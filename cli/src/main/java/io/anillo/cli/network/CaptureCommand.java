package io.anillo.cli.network;

import io.anillo.network.service.Request;
import io.anillo.network.service.ServiceClient;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code anillo network capture}: writes what passes ports into a file. */
@Command(
    name = "capture",
    description = "Writes what passes this host's ports (or some of them) into a pcapng file.",
    mixinStandardHelpOptions = true)
final class CaptureCommand extends ServiceCommand {
  @Parameters(arity = "0..*", paramLabel = "PORT")
  List<String> ports = List.of();

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "FILE")
  @Nullable Path output;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      description = "End after this time; else by Ctrl-C.")
  long seconds = Long.MAX_VALUE / 1000;

  @Override
  int run() throws IOException {
    Path file = output;
    if (file == null) {
      throw new IllegalStateException("picocli has not set a required option");
    }
    try (ServiceClient client = ServiceClient.connect(folder())) {
      Request.Reply started =
          client.ask(
              request("capture").with("file", file.toAbsolutePath().toString()).withWords(ports));
      if (!started.done()) {
        throw new IOException(started.text());
      }
      Thread.sleep(seconds * 1000);
      System.out.println(client.ask(request("end")).text());
      return 0;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }
}
