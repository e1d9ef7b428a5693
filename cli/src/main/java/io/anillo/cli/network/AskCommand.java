package io.anillo.cli.network;

import io.anillo.network.service.Request;
import java.io.IOException;

/** A command that is one request to the service, whose answer it prints. */
abstract class AskCommand extends ServiceCommand {
  abstract Request asked();

  @Override
  final int run() throws IOException {
    return ask(asked());
  }
}
