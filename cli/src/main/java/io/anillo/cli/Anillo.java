package io.anillo.cli;

import io.anillo.cli.network.NetworkCommand;
import io.anillo.cli.storage.DiskCommand;
import io.anillo.cli.storage.PoolCommand;
import io.anillo.cli.storage.VolumeCommand;
import io.anillo.cli.techniques.TechniquesCommand;
import io.anillo.vmm.host.HostMemory;
import io.anillo.vmm.host.HostTerminal;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
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

  /** What makes each command, by its name, in the order of the help. */
  private static final Map<String, Function<GuestMachine.Factory, Object>> COMMANDS =
      new LinkedHashMap<>();

  static {
    COMMANDS.put("run", RunCommand::new);
    COMMANDS.put(
        "image",
        machines -> new CommandLine(new ImageCommand()).addSubcommand(new ImageBuildCommand()));
    COMMANDS.put("disk", machines -> new DiskCommand());
    COMMANDS.put("pool", machines -> new PoolCommand());
    COMMANDS.put("volume", machines -> new VolumeCommand());
    COMMANDS.put("network", machines -> new NetworkCommand());
    COMMANDS.put("techniques", machines -> new TechniquesCommand(JsonText::of));
  }

  private Anillo() {}

  public static void main(String[] arguments) {
    GuestMachine.Factory machines = new VmmMachineFactory();
    String first = arguments.length == 0 ? "" : arguments[0];
    if (first.equals("run")) {
      Thread.ofPlatform().daemon().name("early start").start(Anillo::startEarly);
    }
    // All commands together take longer to describe than the Java machine takes to start.
    CommandLine commandLine =
        COMMANDS.containsKey(first) ? commandLine(machines, Set.of(first)) : commandLine(machines);
    System.exit(commandLine.execute(arguments));
  }

  /** What takes long the first time, beside the reading of the command line. */
  private static void startEarly() {
    HostMemory.prepare();
    HostTerminal.prepare();
  }

  /** The whole command, with machines from a factory. */
  static CommandLine commandLine(GuestMachine.Factory machines) {
    return commandLine(machines, COMMANDS.keySet());
  }

  private static CommandLine commandLine(GuestMachine.Factory machines, Set<String> names) {
    CommandLine commandLine = new CommandLine(new Anillo());
    COMMANDS.forEach((name, command) -> {
      if (names.contains(name)) {
        commandLine.addSubcommand(command.apply(machines));
      }
    });
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
