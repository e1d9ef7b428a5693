package io.anillo.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code anillo image}: guests that can be prepared. */
@Command(
    name = "image",
    description = "Prepares guests from a distribution's packages.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND")
final class ImageCommand implements Runnable {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public void run() {
    if (spec == null) {
      throw new IllegalStateException("picocli has set no spec");
    }
    throw new ParameterException(
        spec.commandLine(), "'anillo image' needs a command, such as build");
  }
}
