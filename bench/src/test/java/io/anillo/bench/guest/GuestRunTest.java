package io.anillo.bench.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.anillo.bench.BenchException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs a script in the place of {@code anillo run}. */
final class GuestRunTest {
  @TempDir Path top;

  private GuestRun run(String script) throws Exception {
    Path command = top.resolve("anillo");
    Files.writeString(command, "#!/bin/sh\n" + script);
    Files.setPosixFilePermissions(command, PosixFilePermissions.fromString("rwx------"));
    Workload.Image image =
        new Workload.Image(
            top.resolve("kernel"), top.resolve("initrd"), "quiet", Optional.empty(), false);
    return GuestRun.of(new Contender.Anillo(top, "interpret"), image, "", false);
  }

  @Test
  void programTimeIsTakenBetweenItsMarks() throws Exception {
    GuestRun run =
        run(
            """
            echo BOOT-OK 1.0 6.1
            echo "flags : fpu sse"
            echo START int_x
            sleep 0.4
            echo STOP int_x
            echo BENCH int_x 0.390 00ff more
            echo DONE
            """);
    assertThat(run.flags()).isEqualTo("flags : fpu sse");
    GuestRun.Result result = run.results().get("int_x");
    assertThat(result).isNotNull();
    assertThat(result.hostSeconds()).isCloseTo(0.4, within(0.3));
    assertThat(result.guestSeconds()).isEqualTo(0.390);
    assertThat(result.checksum()).isEqualTo("00ff");
    assertThat(run.bootSeconds()).isLessThan(run.totalSeconds());
  }

  @Test
  void instructionsComeFromTheStatistics() throws Exception {
    GuestRun run =
        run(
            """
            echo BOOT-OK
            while [ "$1" != --stats ]; do shift; done
            echo '{ "guestInstructions": 1234 }' >"$2"
            """);
    assertThat(run.instructions()).contains(1234L);
  }

  @Test
  void aGuestThatNeverReachesUserSpaceIsAnErrorWithItsLastLine() {
    assertThatThrownBy(() -> run("echo Kernel panic"))
        .isInstanceOf(BenchException.class)
        .hasMessageContaining("Kernel panic");
  }

  @Test
  void aCommandThatFailsIsAnErrorWithWhatItSaid() {
    assertThatThrownBy(() -> run("echo BOOT-OK; echo no such thing >&2; exit 4"))
        .isInstanceOf(BenchException.class)
        .hasMessageContaining("status 4")
        .hasMessageContaining("no such thing");
  }
}
