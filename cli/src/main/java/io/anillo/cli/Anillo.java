package io.anillo.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command's entry point. */
@Command(
    name = "anillo",
    description = "Virtual machines on a processor made of Java.",
    mixinStandardHelpOptions = true,
    version = "anillo 0.1.0-SNAPSHOT",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {RunCommand.class})
public final class Anillo {

  private Anillo() {}

  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Anillo()).execute(arguments));
  }
}
