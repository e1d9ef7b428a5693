package io.anillo.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The command at a real terminal, a pseudo terminal made by script(1): raw while the guest runs,
 * restored after.
 */
class TerminalTest {
  @TempDir private Path directory = Path.of("");

  @BeforeEach
  void requireScript() {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "script(1) is not installed");
  }

  /**
   * Runs the command at a terminal.
   *
   * @param guest the scripted guest
   * @param meanwhile called with the keyboard when the guest says "ready", and the command's
   *     process
   * @return everything that appeared on the screen
   */
  private String atTerminal(String guest, Consumer<Session> meanwhile)
      throws IOException, InterruptedException {
    Path script = Files.writeString(directory.resolve("guest"), guest);
    String java = String.join("' '", RunCommandTest.command());
    Path wrapper =
        Files.writeString(
            directory.resolve("wrapper"),
            """
            echo before=$(stty -g)
            '%s' --kernel '%s' &
            echo $! >'%s'
            fg >/dev/null
            echo status=$?
            echo after=$(stty -g)
            """
                .formatted(java, script, directory.resolve("pid")));
    ProcessBuilder builder =
        new ProcessBuilder("/usr/bin/script", "-qec", "bash -m " + wrapper, "/dev/null");
    builder.environment().put("ANILLO_HOME", directory.resolve("home").toString());
    Process process = builder.redirectErrorStream(true).start();
    StringBuilder screen = new StringBuilder();
    try (BufferedReader output =
            new BufferedReader(
                new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        OutputStream keyboard = process.getOutputStream()) {
      for (String line = output.readLine(); line != null; line = output.readLine()) {
        screen.append(line).append('\n');
        if (line.contains("ready")) {
          meanwhile.accept(new Session(keyboard, directory.resolve("pid")));
        }
      }
    }
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return screen.toString();
  }

  /** A person at the terminal. */
  private record Session(OutputStream keyboard, Path pidFile) {
    void type(String keys) {
      try {
        keyboard.write(keys.getBytes(StandardCharsets.UTF_8));
        keyboard.flush();
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }

    void terminate() {
      try {
        long pid = Long.parseLong(Files.readString(pidFile).strip());
        assertThat(ProcessHandle.of(pid).orElseThrow().destroy()).isTrue();
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }

  private static void assertRestored(String screen) {
    String before = screen.lines().filter(l -> l.startsWith("before=")).findFirst().orElseThrow();
    String after = screen.lines().filter(l -> l.startsWith("after=")).findFirst().orElseThrow();
    assertThat(after.substring("after=".length())).isEqualTo(before.substring("before=".length()));
  }

  @Test
  void terminalIsRestoredAfterPowerOff() throws Exception {
    String screen = atTerminal("say ready\n", session -> session.type("poweroff\r"));
    assertThat(screen).contains("status=0");
    assertRestored(screen);
  }

  @Test
  void controlAXQuits() throws Exception {
    String screen = atTerminal("say ready\n", session -> session.type("\u0001x"));
    assertThat(screen).contains("status=130");
    assertRestored(screen);
  }

  @Test
  void controlCIsForTheGuestAndControlAControlAToo() throws Exception {
    String screen =
        atTerminal("say ready\n", session -> session.type("\u0003\u0001\u0001\r" + "poweroff\r"));
    assertThat(screen).contains("unknown: \u0003<Ctrl-A>", "status=0");
    assertRestored(screen);
  }

  @Test
  void controlAQuestionMarkHelps() throws Exception {
    String screen = atTerminal("say ready\n", session -> session.type("\u0001?" + "poweroff\r"));
    assertThat(screen).contains("Ctrl-A x       quit", "status=0");
  }

  @Test
  void terminalIsRestoredAfterASignalAndTheStatusIsEven() throws Exception {
    String screen = atTerminal("say ready\n", Session::terminate);
    assertThat(screen).contains("status=130");
    assertRestored(screen);
  }

  @Test
  void terminalIsRestoredAfterAMonitorFault() throws Exception {
    String screen = atTerminal("say ready\nfault\n", session -> {});
    assertThat(screen).contains("status=70", "please report it");
    assertRestored(screen);
  }
}
