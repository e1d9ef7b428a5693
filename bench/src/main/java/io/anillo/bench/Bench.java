package io.anillo.bench;

import io.anillo.bench.guest.BootCommand;
import io.anillo.bench.guest.GuestCommand;
import io.anillo.bench.guest.LoginCommand;
import io.anillo.bench.guest.Measurement;
import io.anillo.bench.guest.ParavirtualCommand;
import io.anillo.bench.guest.RateCommand;
import io.anillo.bench.network.NetworkBench;
import io.anillo.bench.storage.StorageCommand;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The entry point of {@code ./anillo bench}. */
@Command(
    name = "anillo bench",
    description = "Measures, next to peers in the same run.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND")
public final class Bench {
  private static final int USAGE = 2, NOT_MEASURED = 4;

  private Bench() {}

  public static void main(String[] arguments) {
    CommandLine commandLine =
        new CommandLine(new Bench())
            .addSubcommand(new BootCommand())
            .addSubcommand(new GuestCommand())
            .addSubcommand(new LoginCommand())
            .addSubcommand(new ParavirtualCommand())
            .addSubcommand(new RateCommand())
            .addSubcommand(new NetworkCommand())
            .addSubcommand(new StorageCommand());
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setParameterExceptionHandler((e, given) -> {
      String problem = String.valueOf(e.getMessage()).lines().findFirst().orElse("wrong usage");
      System.err.println("anillo: " + problem);
      return USAGE;
    });
    commandLine.setExecutionExceptionHandler((e, command, result) -> {
      if (e instanceof BenchException refused) {
        System.err.println("anillo: " + refused.getMessage());
        return NOT_MEASURED;
      }
      throw e;
    });
    System.exit(commandLine.execute(arguments));
  }

  @Command(name = "network", description = "The virtual network next to Open vSwitch.")
  private static final class NetworkCommand implements Callable<Integer> {
    @Option(
        names = "--only",
        split = ",",
        paramLabel = "switch|cable|controller|nat",
        description = "Some parts instead of all.")
    private List<NetworkBench.Part> only = List.of();

    @Option(
        names = "--runs",
        defaultValue = "1",
        paramLabel = "N",
        description = "How often, in turn; figures are medians (${DEFAULT-VALUE}).")
    private int runs = 1;

    @Override
    public Integer call() throws Exception {
      Set<NetworkBench.Part> parts =
          only.isEmpty() ? EnumSet.allOf(NetworkBench.Part.class) : EnumSet.copyOf(only);
      if (runs < 1) {
        throw new BenchException("--runs is at least 1.");
      }
      new NetworkBench(Measurement.top(), runs).run(parts);
      return 0;
    }
  }
}
