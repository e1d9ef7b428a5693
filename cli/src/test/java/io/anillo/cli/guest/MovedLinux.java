package io.anillo.cli.guest;

import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineConfig.Engine;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/**
 * The default guest on its way from engine to engine, in the middle of a chain of checksums, each a
 * process of its own, whose end is known.
 *
 * <p>A program for {@link NestedMoveTest}: {@code DIRECTORY CPUS ENGINE...}, the first of which
 * boots unless the directory has a machine; each of the others goes on with what the one before has
 * saved there, and the last one finishes the chain.
 */
final class MovedLinux {
  private static final int LINKS = 400;
  private static final Duration PATIENCE = Duration.ofMinutes(40);
  private static final Duration CLOCK_WATCHED = Duration.ofSeconds(15);

  /** What QEMU's translator has not: such a guest may go there. */
  private static final Set<CpuFeature> WITHHELD =
      Set.of(CpuFeature.PCID, CpuFeature.INVPCID, CpuFeature.RDSEED, CpuFeature.UMIP);

  private final int cpus;
  private final Path file;

  MovedLinux(Path directory, int cpus) {
    this.cpus = cpus;
    this.file = directory.resolve("linux-" + cpus);
  }

  private MachineConfig config(Engine engine, GuestConsole console) throws Exception {
    MachineConfig config = LinuxGuest.config(console);
    return config
        .withCpus(cpus)
        .withEngine(engine)
        .withoutFeatures(WITHHELD)
        // A host without TSC scaling has another frequency, and no XSAVE in nested guests:
        // docs/testing.md. A host that stands still would have the watchdog cry out at any log
        // level, in the middle of what we read.
        .withCommandLine(config.commandLine() + " noxsave clocksource=kvm-clock nowatchdog");
  }

  /** Boots, begins the chain, and saves. */
  void begin(Engine engine) throws Exception {
    GuestConsole console = new GuestConsole(PATIENCE);
    try (LinuxGuest guest = new LinuxGuest(Machine.create(config(engine, console)), console)) {
      console.expectShell();
      // Nor is what RCU says of such a host to come in between.
      console.run("dmesg -n 1");
      console.run(
          "(x=start; i=0; while [ $i -lt "
              + LINKS
              + " ]; do x=$(echo $x | md5sum | cut -c1-32); i=$((i+1)); echo $i >/tmp/link; done;"
              + " echo $x >/tmp/end) & sleep 1; date +%s >/tmp/time");
      save(guest, engine);
    }
  }

  /** Goes on with what was saved, works, and saves again; or comes to the end. */
  void goOn(Engine engine, boolean last) throws Exception {
    GuestConsole console = new GuestConsole(PATIENCE);
    Machine restored = Machine.restore(config(engine, console), file);
    try (LinuxGuest guest = new LinuxGuest(restored, console)) {
      awaitStart(console);
      int before = Integer.parseInt(console.run("cat /tmp/link"));
      System.out.println("moved to " + engine + " at link " + before);
      String processors = console.run("grep -c ^processor /proc/cpuinfo");
      require(processors.equals("" + cpus), "processors: " + processors);
      require(
          Integer.parseInt(console.run("sleep 1; cat /tmp/link")) > before || last,
          "the chain goes on");
      require(console.run("[ $(date +%s) -ge $(cat /tmp/time) ]; echo $?").equals("0"), "time");
      requireSteadyClock(console);
      if (last) {
        String end = console.run("while [ ! -s /tmp/end ]; do sleep 1; done; cat /tmp/end");
        require(end.equals(expected()), "the chain's end: " + end);
        String complaints =
            console.run("dmesg | grep -iE 'bug:|oops|unexpected' | grep -v lockup; true");
        // A host that stands still for long makes a kernel report a lockup, which is none of ours.
        require(complaints.isEmpty(), "what the kernel complained of: " + complaints);
        console.send("poweroff -f\n");
        System.out.println("ended as " + guest.awaitExit());
        return;
      }
      save(guest, engine);
    }
  }

  /** Until the serial line is there to type at. */
  private static void awaitStart(GuestConsole console) throws InterruptedException {
    while (!console.started()) {
      Thread.sleep(10);
    }
    console.send("\n");
    console.expectPrompt();
  }

  /** The guest's clock goes as ours does, also where its counter has another frequency now. */
  private static void requireSteadyClock(GuestConsole console) throws InterruptedException {
    long began = System.nanoTime();
    long guestBegan = Long.parseLong(console.run("date +%s"));
    Thread.sleep(CLOCK_WATCHED);
    long guestSeconds = Long.parseLong(console.run("date +%s")) - guestBegan;
    long seconds = Duration.ofNanos(System.nanoTime() - began).toSeconds();
    // Each command takes its time, between our looking at the clock and the guest's doing so.
    require(
        guestSeconds >= CLOCK_WATCHED.toSeconds() - 2 && guestSeconds <= seconds + 2,
        "the guest's clock went " + guestSeconds + " s in " + seconds + " s");
  }

  private void save(LinuxGuest guest, Engine engine) throws Exception {
    guest.machine.save(file);
    System.out.println("saved on " + engine + ", " + (Files.size(file) >> 20) + " MiB");
  }

  private static void require(boolean condition, String what) {
    if (!condition) {
      throw new AssertionError(what);
    }
  }

  private static String expected() throws Exception {
    MessageDigest digest = MessageDigest.getInstance("MD5");
    String link = "start";
    for (int i = 0; i < LINKS; i++) {
      byte[] sum = digest.digest((link + "\n").getBytes(StandardCharsets.US_ASCII));
      link = HexFormat.of().formatHex(sum);
    }
    return link;
  }

  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    MovedLinux linux = new MovedLinux(directory, Integer.parseInt(arguments[1]));
    List<Engine> way = Arrays.stream(arguments).skip(2).map(Engine::valueOf).toList();
    int first = 0;
    if (!Files.exists(linux.file)) {
      linux.begin(way.getFirst());
      first = 1;
    }
    for (int i = first; i < way.size(); i++) {
      linux.goOn(way.get(i), i == way.size() - 1);
    }
    System.exit(0);
  }
}
