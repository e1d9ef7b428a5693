package io.anillo.cli;

import picocli.CommandLine.Command;

@Command(name = "run", description = "Boots a guest.", mixinStandardHelpOptions = true)
final class RunCommand implements java.util.concurrent.Callable<Integer> {
  @Override
  public Integer call() {
    return 4;
  }
}
