package io.anillo.cli.network;

import io.anillo.network.service.Request;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What can be said of a port when it is made, and later. */
final class PortOptions {
  @Option(
      names = "--policy",
      split = ",",
      paramLabel = "POLICY",
      description = "What it may receive and send; without any, or with none, everything.")
  private List<String> policies = List.of();

  @Option(
      names = "--rate",
      paramLabel = "10M",
      description = "Bits a second in each direction; 0 for any.")
  private @Nullable String rate;

  Request in(Request request) {
    return request
        .with("groups", ServiceCommand.joined(policies))
        .with("rate", ServiceCommand.text(rate));
  }
}
