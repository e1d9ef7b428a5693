package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.cli.image.DebianDisk;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.Progress;
import io.anillo.vmm.device.disk.RawFileDisk;
import io.anillo.vmm.device.network.EchoNetwork;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineExit;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/**
 * A complete Debian 12 with systemd on a disk: login, programs, data that survives a reboot,
 * power-off. Long; its disk takes minutes to be built the first time.
 */
@EnabledIfSystemProperty(
    named = "anillo.long",
    matches = "true",
    disabledReason = "takes minutes; -Danillo.long=true runs it (docs/testing.md)")
@Timeout(value = 60, unit = TimeUnit.MINUTES)
class DebianGuestTest {
  private static final long MEMORY_BYTES = 1L << 30;
  private static final int LOGIN_ATTEMPTS = 5;

  @TempDir private Path directory;

  /** Debian gives up a login that takes longer than a minute, as on a busy host; then again. */
  private static void logIn(GuestConsole console) throws InterruptedException {
    boolean in = false;
    for (int attempt = 0; attempt < LOGIN_ATTEMPTS && !in; attempt++) {
      console.expect("login: ");
      console.send("root\n");
      console.expect("assword: ");
      console.send("anillo\n");
      in = console.expectPromptOr("Login timed out");
    }
    assertThat(in).as("logged in after %d attempts", LOGIN_ATTEMPTS).isTrue();
    console.widen();
    console.run("bind 'set enable-bracketed-paste off'");
  }

  @Test
  void debianBootsWorksKeepsItsDataAndPowersOff() throws Exception {
    DebianDisk debian = DebianDisk.get(GuestCache.ofUser(), false, Progress.SILENT);
    Path disk = directory.resolve("disk.img");
    Process copy =
        new ProcessBuilder("cp", "--sparse=always", debian.disk().toString(), disk.toString())
            .inheritIO()
            .start();
    assertThat(copy.waitFor()).isZero();

    GuestConsole console = new GuestConsole(Duration.ofMinutes(20));
    MachineConfig config =
        MachineConfig.of(
                MEMORY_BYTES,
                ByteBuffer.wrap(Files.readAllBytes(debian.kernel())),
                ByteBuffer.wrap(Files.readAllBytes(debian.initialRamDisk())),
                DebianDisk.COMMAND_LINE)
            .withSerial(List.of(console))
            .withDisks(List.of(RawFileDisk.open(disk, false)))
            .withNetworks(List.of(new EchoNetwork()))
            .withCpus(Integer.getInteger("anillo.cpus", 1))
            .withEngine(
                MachineConfig.Engine.valueOf(
                    System.getProperty("anillo.engine", "translate").toUpperCase(Locale.ROOT)))
            .withResetEnds(false);
    try (LinuxGuest guest = new LinuxGuest(Machine.create(config), console)) {
      logIn(console);
      assertThat(console.run("cat /etc/debian_version")).startsWith("12.");
      assertThat(console.run("apt-get --version | head -n 1")).startsWith("apt 2.");
      assertThat(console.run("python3 -c 'import math; print(2**100, math.sqrt(2))'"))
          .isEqualTo("1267650600228229401496703205376 1.4142135623730951");
      assertThat(console.run("systemctl is-system-running --wait")).isEqualTo("running");
      assertThat(console.run("systemctl --failed --no-legend --no-pager")).isEmpty();
      console.run("dd if=/dev/urandom of=/root/big bs=1M count=64 conv=fsync 2>/dev/null");
      String sum = console.run("md5sum </root/big");
      assertThat(sum).matches("[0-9a-f]{32}  -");
      console.send("reboot\n");
      logIn(console);
      assertThat(console.run("stat -c %s /root/big")).isEqualTo("" + (64 << 20));
      assertThat(console.run("md5sum </root/big")).isEqualTo(sum);
      console.send("poweroff\n");
      console.expect("reboot: Power down");
      assertThat(guest.awaitExit()).isEqualTo(new MachineExit.PoweredOff());
    }
    Process check =
        new ProcessBuilder("/sbin/e2fsck", "-f", "-n", disk.toString()).inheritIO().start();
    assertThat(check.waitFor()).as("the file system is clean").isZero();
  }
}
