package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuStateRecord;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.disk.RawFileDisk;
import io.anillo.vmm.device.network.EchoNetwork;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineExit;
import io.anillo.vmm.memory.MemoryDigest;
import io.anillo.vmm.state.StateWriter;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A boot of Linux with a disk, a network and a person who types is recorded; its replay, to which
 * nothing comes from outside, ends with the same memory, processor and devices.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class RecordedBootTest {
  private static final int DISK_BYTES = 8 << 20;

  @TempDir private Path directory;

  /** How a machine ended. */
  private record End(
      MachineExit exit,
      long instructions,
      String memory,
      String processor,
      Map<String, String> devices,
      String printed) {

    static End of(LinuxGuest guest) throws Exception {
      MachineExit exit = guest.awaitExit();
      StateWriter processor = new StateWriter();
      CpuStateRecord.save(guest.machine.processors().getFirst().state(), processor);
      Map<String, String> devices = new TreeMap<>();
      for (Device device : guest.machine.board().devices()) {
        StateWriter record = new StateWriter();
        device.save(record);
        devices.put(device.name(), HexFormat.of().formatHex(record.toByteArray()));
      }
      return new End(
          exit,
          guest.machine.instructions(),
          MemoryDigest.sha256(guest.machine.memory()),
          HexFormat.of().formatHex(processor.toByteArray()),
          devices,
          guest.console.printed());
    }
  }

  private static MachineConfig config(GuestConsole console, Path disk) throws IOException {
    return LinuxGuest.config(console)
        .withDisks(List.of(RawFileDisk.open(disk, false)))
        .withNetworks(List.of(new EchoNetwork()));
  }

  private End record(Path disk, Path log) throws Exception {
    GuestConsole console = new GuestConsole();
    OutputStream out = new BufferedOutputStream(Files.newOutputStream(log));
    try (LinuxGuest guest = new LinuxGuest(Machine.record(config(console, disk), out), console)) {
      console.expectShell();
      String sum = console.run("sha256sum /dev/vda");
      assertThat(sum).as("the guest reads the disk").startsWith(sha256(disk));
      console.run("dd if=/dev/urandom of=/dev/vda bs=64k count=16 conv=fsync");
      console.run("date +%s.%N; ping -c 3 10.0.2.2; cat /proc/interrupts /proc/uptime");
      assertThat(console.run("mke2fs /dev/vda >/dev/null; mount -t ext4 /dev/vda /mnt; echo $?"))
          .endsWith("0");
      console.run("cp -r /bin/busybox /lib /mnt; umount /mnt; md5sum /dev/vda");
      console.send("exit\n");
      End end = End.of(guest);
      assertThat(end.printed()).contains("3 packets received");
      return end;
    }
  }

  private End replay(Path disk, Path log) throws Exception {
    GuestConsole console = new GuestConsole();
    InputStream in = new BufferedInputStream(Files.newInputStream(log));
    try (LinuxGuest guest = new LinuxGuest(Machine.replay(config(console, disk), in), console)) {
      return End.of(guest);
    }
  }

  private static String sha256(Path file) throws Exception {
    var digest = java.security.MessageDigest.getInstance("SHA-256");
    return HexFormat.of().formatHex(digest.digest(Files.readAllBytes(file)));
  }

  @Test
  void aRecordedBootWithDiskAndNetworkReplaysToTheSameMemory() throws Exception {
    Path disk = directory.resolve("disk");
    byte[] contents = new byte[DISK_BYTES];
    new SplittableRandom(11).nextBytes(contents);
    Files.write(disk, contents);
    // Nothing that is read comes from the replay's own disk, which is empty.
    Path empty = directory.resolve("empty");
    try (RandomAccessFile file = new RandomAccessFile(empty.toFile(), "rw")) {
      file.setLength(DISK_BYTES);
    }
    Path log = directory.resolve("log");

    End recorded = record(disk, log);
    assertThat(recorded.exit()).isEqualTo(new MachineExit.PoweredOff());
    End replayed = replay(empty, log);

    assertThat(replayed.printed()).isEqualTo(recorded.printed());
    assertThat(replayed).isEqualTo(recorded);
    assertThat(Arrays.equals(Files.readAllBytes(empty), new byte[DISK_BYTES]))
        .as("nothing is written in the replay")
        .isTrue();
  }
}
