package io.anillo.cli;

import io.anillo.cli.network.NetworkCommand;
import io.anillo.cli.storage.DiskCommand;
import io.anillo.cli.storage.PoolCommand;
import io.anillo.cli.storage.VolumeCommand;
import io.anillo.cli.techniques.TechniquesCommand;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command's entry point. */
@Command(
    name = "anillo",
    description = "Virtual machines on a processor made of Java.",
    mixinStandardHelpOptions = true,
    version = "anillo " + Anillo.VERSION,
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "'anillo COMMAND --help' shows a command's options; 'anillo dev help' the developers' tasks."
    })
public final class Anillo {
  static final String VERSION = "0.1.0-SNAPSHOT";

  private Anillo() {}

  public static void main(String[] arguments) {
    System.exit(commandLine(new VmmMachineFactory()).execute(arguments));
  }

  /** The whole command, with machines from a factory. */
  static CommandLine commandLine(GuestMachine.Factory machines) {
    CommandLine commandLine =
        new CommandLine(new Anillo())
            .addSubcommand(new RunCommand(machines))
            .addSubcommand(
                new CommandLine(new ImageCommand()).addSubcommand(new ImageBuildCommand()))
            .addSubcommand(new DiskCommand())
            .addSubcommand(new PoolCommand())
            .addSubcommand(new VolumeCommand())
            .addSubcommand(new NetworkCommand())
            .addSubcommand(new TechniquesCommand(JsonText::of));
    commandLine.setParameterExceptionHandler(Anillo::explainUsage);
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    return commandLine;
  }

  /** Wrong usage is one sentence, not the whole help. */
  private static int explainUsage(ParameterException e, String[] arguments) {
    CommandLine command = e.getCommandLine();
    PrintWriter out = command.getErr();
    String problem = String.valueOf(e.getMessage()).lines().findFirst().orElse("wrong usage");
    if (e instanceof UnmatchedArgumentException unmatched
        && !command.getSubcommands().isEmpty()
        && !unmatched.isUnknownOption()) {
      problem = "there is no command '" + unmatched.getUnmatched().getFirst() + "'";
    }
    out.println("anillo: " + problem);
    if (e instanceof UnmatchedArgumentException unmatched) {
      UnmatchedArgumentException.printSuggestions(unmatched, out);
    }
    out.println("'" + command.getCommandSpec().qualifiedName() + " --help' shows what there is.");
    out.flush();
    return ExitStatus.USAGE;
  }
}
