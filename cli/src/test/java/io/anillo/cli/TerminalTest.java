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
import java.util.regex.Pattern;
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
    return atTerminal(guest, "", "ready", meanwhile);
  }

  /** The same with one more option, and called at each line with this text. */
  private String atTerminal(String guest, String option, String text, Consumer<Session> meanwhile)
      throws IOException, InterruptedException {
    Path script = Files.writeString(directory.resolve("guest"), guest);
    String java = String.join("' '", RunCommandTest.command());
    Path wrapper =
        Files.writeString(
            directory.resolve("wrapper"),
            """
            echo before=$(stty -g)
            '%s' --kernel '%s' %s &
            echo $! >'%s'
            fg >/dev/null
            echo status=$?
            echo after=$(stty -g)
            """
                .formatted(java, script, option, directory.resolve("pid")));
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
        if (line.contains(text)) {
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

  /** The guest's output of the meantime comes when the person goes back to it, and all of it. */
  @Test
  void controlASGoesFromTheLiveViewToTheGuestAndBack() throws Exception {
    String open = "\u001b[?1049h", shut = "\u001b[?1049l";
    int[] views = {0};
    String screen =
        atTerminal(
            "say first\n",
            "--monitor",
            "what the script does",
            session -> {
              // Twice, so that a view that stays and is painted anew is seen too.
              switch (++views[0]) {
                case 2 -> session.type("\u0001s" + "say second\r" + "\u0001s" + "say third\r");
                case 4 -> session.type("\u0001s" + "poweroff\r");
                default -> {}
              }
            });
    assertThat(screen).contains("status=0");
    assertThat(screen.split(Pattern.quote(open), -1)).hasSize(3);
    assertThat(screen.split(Pattern.quote(shut), -1)).hasSize(3);
    String[] visits = screen.split(Pattern.quote(shut) + "|" + Pattern.quote(open));
    assertThat(visits[1]).contains("what the script does").doesNotContain("first");
    assertThat(visits[3]).contains("what the script does").doesNotContain("third");
    assertThat(visits[2] + visits[4])
        .containsSubsequence("first", "second", "third")
        .doesNotContain("what the script does");
    assertRestored(screen);
  }

  @Test
  void controlASWithoutAMonitorSaysHowToHaveOne() throws Exception {
    String screen = atTerminal("say ready\n", session -> session.type("\u0001s" + "poweroff\r"));
    assertThat(screen).contains("Start the machine with --monitor", "status=0");
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
