package io.anillo.cli;

import io.anillo.vmm.port.CharBackend;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * A machine without a processor: its "kernel" is a text file of commands, and after those it takes
 * commands from its console, which it echoes. It lets the command line, the terminal and the exit
 * statuses be tested by themselves.
 */
final class ScriptedMachine implements GuestMachine {
  private final MachinePlan plan;
  private final BlockingQueue<String> commands = new LinkedBlockingQueue<>();
  private final StringBuilder typed = new StringBuilder();

  ScriptedMachine(MachinePlan plan) throws CommandException {
    this.plan = plan;
    try {
      Files.readAllLines(plan.kernel()).forEach(commands::add);
    } catch (IOException e) {
      throw new CommandException(ExitStatus.NOT_STARTED, "the script cannot be read");
    }
  }

  /** A process with such machines, for tests that need a terminal. */
  static final class Main {
    private Main() {}

    public static void main(String[] arguments) {
      System.exit(Anillo.commandLine(ScriptedMachine::new).execute(arguments));
    }
  }

  @Override
  public Outcome run() throws InterruptedException {
    CharBackend console = plan.serial().getFirst();
    console.start(this::receive);
    while (true) {
      String[] command = commands.take().split(" ", 2);
      switch (command[0]) {
        case "poweroff" -> {
          return new Outcome.PoweredOff();
        }
        case "reset" -> {
          if (plan.noReboot()) {
            return new Outcome.Reset("script");
          }
        }
        case "exit" -> {
          return new Outcome.DebugExit(Integer.parseInt(command[1]));
        }
        case "fault" -> throw new IllegalStateException("a fault by script");
        case "plan" -> print(plan.toString());
        case "say" -> print(command[1]);
        case "stopped" -> {
          return new Outcome.Stopped();
        }
        default -> print("unknown: " + command[0]);
      }
    }
  }

  private void print(String text) {
    byte[] bytes = (text + "\r\n").getBytes(StandardCharsets.UTF_8);
    plan.serial().getFirst().write(bytes, 0, bytes.length);
  }

  private void receive(byte[] data, int offset, int length) {
    for (int i = offset; i < offset + length; i++) {
      if (data[i] == '\r' || data[i] == '\n') {
        commands.add(typed.toString());
        typed.setLength(0);
      } else if (data[i] == 1) {
        typed.append("<Ctrl-A>");
      } else {
        typed.append((char) data[i]);
      }
    }
  }

  @Override
  public void stop() {
    commands.add("stopped");
  }

  @Override
  public Map<String, Object> statistics() {
    return Map.of("guestInstructions", 42L);
  }

  @Override
  public String liveView() {
    return "what the script does\n";
  }

  @Override
  public String describe() {
    return "a scripted machine";
  }

  @Override
  public void close() {}
}
