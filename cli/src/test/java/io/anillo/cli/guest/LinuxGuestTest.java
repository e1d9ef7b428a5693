package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.device.disk.RawFileDisk;
import io.anillo.vmm.device.network.EchoNetwork;
import io.anillo.vmm.machine.MachineExit;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The default guest on four processors, with a disk and a network, typed at through its console.
 * All tests share one machine: a boot is what takes long. The last two reset it and power it off.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class LinuxGuestTest {
  private static final int CPUS = 4;
  private static final int DISK_BYTES = 32 << 20;
  private static final long FREED_MEBIBYTES = 100;

  private Path disk = Path.of("");
  private LinuxGuest guest;

  @BeforeAll
  void boot(@TempDir Path directory) throws Exception {
    disk = directory.resolve("disk");
    try (RandomAccessFile file = new RandomAccessFile(disk.toFile(), "rw")) {
      file.setLength(DISK_BYTES);
    }
    guest =
        LinuxGuest.boot(config ->
            config
                .withCpus(CPUS)
                .withDisks(List.of(open(disk)))
                .withNetworks(List.of(new EchoNetwork()))
                .withResetEnds(false));
    guest.console.expectShell();
  }

  private static RawFileDisk open(Path disk) {
    try {
      return RawFileDisk.open(disk, false);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @AfterAll
  void close() throws InterruptedException {
    if (guest != null) {
      guest.close();
    }
  }

  private String run(String command) throws InterruptedException {
    return guest.console.run(command);
  }

  @Test
  @Order(1)
  void theKernelIsUnmodifiedLinuxFromDebian() throws Exception {
    assertThat(run("cat /proc/version")).startsWith("Linux version").contains("debian");
    assertThat(run("busybox | head -n 1")).startsWith("BusyBox v");
  }

  @Test
  @Order(1)
  void allProcessorsAreOnlineAndWork() throws Exception {
    assertThat(run("cat /sys/devices/system/cpu/online")).isEqualTo("0-" + (CPUS - 1));
    assertThat(run("grep -c ^processor /proc/cpuinfo")).isEqualTo(String.valueOf(CPUS));
    for (int cpu = 0; cpu < CPUS; cpu++) {
      String bound = "taskset %x sh -c 'cut -d\" \" -f39 /proc/self/stat'".formatted(1 << cpu);
      assertThat(run(bound)).as("processor that ran the program").isEqualTo("" + cpu);
    }
    // Several processes at once, each with a sum of its own.
    String sums =
        run(
            "for i in 1 2 3 4 5 6; do (n=0; j=0; while [ $j -lt 2000 ]; do j=$((j+1));"
                + " n=$((n+j*i)); done; echo $i $n) & done; wait");
    assertThat(sums.lines())
        .contains("1 2001000", "2 4002000", "3 6003000", "4 8004000", "5 10005000", "6 12006000");
  }

  @Test
  @Order(1)
  void programsComputeWhatTheyShould() throws Exception {
    assertThat(run("expr 12345 '*' 6789")).isEqualTo("83810205");
    assertThat(run("echo 'scale=30; sqrt(2)' | bc")).isEqualTo("1.414213562373095048801688724209");
    String newton = "x = 2; for (i = 0; i < 9; i++) x = (x + 2 / x) / 2; printf \"%.15g\\n\", x";
    assertThat(run("awk 'BEGIN { " + newton + " }'")).isEqualTo("1.41421356237309");
    assertThat(run("printf abc | sha512sum | cut -c 1-16")).isEqualTo("ddaf35a193617aba");
    assertThat(run("seq 1 20000 | gzip -9 | gunzip | md5sum")).startsWith(md5(sequence(20000)));
    assertThat(run("seq 1 3000 | sort -r -n | tail -n 1")).isEqualTo("1");
    assertThat(run("vi --help 2>&1 | grep -c Usage")).isEqualTo("1");
  }

  private static String sequence(int last) {
    StringBuilder text = new StringBuilder();
    for (int i = 1; i <= last; i++) {
      text.append(i).append('\n');
    }
    return text.toString();
  }

  private static String md5(String text) throws Exception {
    var digest = java.security.MessageDigest.getInstance("MD5");
    byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    return HexFormat.of().formatHex(digest.digest(bytes));
  }

  @Test
  @Order(1)
  void theProcessorIsTheModelThatIsPromised() throws Exception {
    String flags = " " + run("sed -n 's/^flags.*: //p' /proc/cpuinfo | head -n 1") + " ";
    for (String flag :
        List.of(
            "nx",
            "pdpe1gb",
            "smep",
            "smap",
            "umip",
            "pcid",
            "invpcid",
            "fsgsbase",
            "rdtscp",
            "xsave",
            "rdrand",
            "rdseed",
            "x2apic",
            "tsc_deadline_timer",
            "constant_tsc",
            "nonstop_tsc",
            "sse4_2",
            "popcnt",
            "cx16",
            "lahf_lm",
            "ssse3",
            "sse4_1",
            "lm")) {
      assertThat(flags).contains(" " + flag + " ");
    }
  }

  @Test
  @Order(1)
  void theNetworkAnswers() throws Exception {
    assertThat(run("ping -c 3 -W 20 10.0.2.2")).contains("3 packets received");
    assertThat(run("ip neigh")).contains("52:55:0a:00:02:02");
    // Each processor sends by a queue of its own.
    assertThat(run("ls /sys/class/net/eth0/queues | grep -c tx")).isEqualTo("" + CPUS);
    for (int cpu = 0; cpu < CPUS; cpu++) {
      assertThat(run("taskset %x ping -c 1 -W 20 10.0.2.2".formatted(1 << cpu)))
          .contains("1 packets received");
    }
  }

  @Test
  @Order(1)
  void timePasses() throws Exception {
    long before = System.nanoTime();
    String first = run("cut -d' ' -f1 /proc/uptime");
    run("sleep 2");
    String second = run("cut -d' ' -f1 /proc/uptime");
    double guestSeconds = Double.parseDouble(second) - Double.parseDouble(first);
    double hostSeconds = (System.nanoTime() - before) / 1e9;
    assertThat(guestSeconds).isBetween(2.0, hostSeconds + 0.02);
    long earliest = System.currentTimeMillis() / 1000;
    long guestClock = Long.parseLong(run("date +%s"));
    // The guest read its clock at the boot, to the second.
    assertThat(guestClock).isBetween(earliest - 2, System.currentTimeMillis() / 1000 + 2);
  }

  /** By free-page reporting of the balloon: in huge pages, two seconds after they became free. */
  @Test
  @Order(1)
  void memoryThatProgramsFreeGoesBackToTheHost() throws Exception {
    assumeTrue(residentMebibytes() > 0, "the host does not tell what is resident");
    run("mount -t tmpfs none /mnt");
    long before = residentMebibytes();
    run("dd if=/dev/zero of=/mnt/file bs=1M count=" + FREED_MEBIBYTES);
    long full = residentMebibytes();
    // Some of it may have been resident already, and not been reported yet.
    assertThat(full).isGreaterThan(FREED_MEBIBYTES);
    run("rm /mnt/file; umount /mnt");
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(3);
    while (full - residentMebibytes() < FREED_MEBIBYTES * 3 / 4 && System.nanoTime() < end) {
      Thread.sleep(200);
    }
    System.out.printf(
        "resident of the guest's memory: %d MiB, %d with a file of %d MiB, %d after its removal%n",
        before, full, FREED_MEBIBYTES, residentMebibytes());
    assertThat(full - residentMebibytes()).isGreaterThanOrEqualTo(FREED_MEBIBYTES * 3 / 4);
  }

  /** What of shared memory files, as the guest's memory is one, this process has resident. */
  private static long residentMebibytes() throws IOException {
    Path status = Path.of("/proc/self/status");
    if (!Files.exists(status)) {
      return 0;
    }
    return Files.readAllLines(status).stream()
        .filter(line -> line.startsWith("RssShmem:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) >> 10)
        .findFirst()
        .orElse(0);
  }

  @Test
  @Order(2)
  void aResetBootsAgainAndTheDiskKeepsWhatWasWritten() throws Exception {
    run("mke2fs /dev/vda >/dev/null");
    run("mount -t ext4 /dev/vda /mnt");
    String written = run("dd if=/dev/urandom of=/mnt/file bs=1M count=8 2>&1; md5sum </mnt/file");
    String sum = written.substring(written.lastIndexOf('\n') + 1);
    assertThat(sum).matches("[0-9a-f]{32}  -");
    run("umount /mnt");
    guest.console.send("reboot -f\n");
    guest.console.expectShell();
    assertThat(run("cat /sys/devices/system/cpu/online")).isEqualTo("0-" + (CPUS - 1));
    run("mount -t ext4 /dev/vda /mnt");
    assertThat(run("md5sum </mnt/file")).isEqualTo(sum);
    run("umount /mnt");
  }

  @Test
  @Order(3)
  void leavingTheShellPowersOff() throws Exception {
    guest.console.send("exit\n");
    assertThat(guest.awaitExit()).isEqualTo(new MachineExit.PoweredOff());
    byte[] superblock = new byte[2048];
    try (var in = Files.newInputStream(disk)) {
      assertThat(in.readNBytes(superblock, 0, superblock.length)).isEqualTo(superblock.length);
    }
    // The magic number of ext2, at 1024 + 56.
    assertThat(new byte[] {superblock[1080], superblock[1081]}).containsExactly(0x53, 0xEF);
  }
}
