package io.anillo.cli.network;

import io.anillo.network.service.Request;
import io.anillo.network.service.ServiceClient;
import io.anillo.network.service.ServiceConfig;
import io.anillo.network.tenant.Names;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What all network commands do alike: ask the service, and say in one sentence what is wrong. */
abstract class ServiceCommand implements Callable<Integer> {
  private static final int FAILED = 4;

  @Option(
      names = "--service",
      paramLabel = "FOLDER",
      description = "Where the network service keeps its socket and description.")
  private @Nullable Path folder;

  @Option(
      names = {"-t", "--tenant"},
      paramLabel = "TENANT",
      defaultValue = Names.DEFAULT_TENANT,
      description = "Whose things are meant by names without a tenant (${DEFAULT-VALUE}).")
  String tenant = Names.DEFAULT_TENANT;

  abstract int run() throws IOException;

  @Override
  public Integer call() {
    try {
      return run();
    } catch (IOException | IllegalArgumentException failure) {
      System.err.println("anillo: " + failure.getMessage());
      return FAILED;
    }
  }

  final Path folder() {
    return folder == null ? ServiceConfig.folderOfUser() : folder;
  }

  final Request request(String operation) {
    return Request.of(operation).with("tenant", tenant);
  }

  /** Sends a request and prints what the service says. */
  final int ask(Request request) throws IOException {
    String text = ServiceClient.ask(folder(), request);
    System.out.print(text.endsWith("\n") || text.isEmpty() ? text : text + "\n");
    return 0;
  }

  static String text(@Nullable String given) {
    return given == null ? "" : given;
  }

  static String joined(List<String> values) {
    return String.join(",", values);
  }
}
