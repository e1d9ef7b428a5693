package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import io.anillo.cli.image.DefaultGuest;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.ImageException;
import io.anillo.cli.image.InitramfsWriter;
import io.anillo.cli.image.Progress;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The programs of {@code bench/src/guest}, compiled here, over the default guest. */
final class GuestBench implements Workload {
  private static final int DISK_MEBIBYTES = 256;

  /** Without the test of the timer, which may fail on the peer when the host is busy. */
  private static final String COMMAND_LINE = DefaultGuest.COMMAND_LINE + " no_timer_check panic=-1";

  private static final List<String> COMPILER =
      List.of(
          "gcc",
          "-O2",
          "-static",
          "-march=x86-64",
          "-mtune=generic",
          "-ffp-contract=off",
          "-fno-math-errno",
          "-w",
          "-s",
          "-o");

  private final Path sources;
  private final List<Program> programs;

  /**
   * Finds the sources.
   *
   * @param top the project's directory
   */
  GuestBench(Path top) throws BenchException {
    this.sources = top.resolve("bench/src/guest");
    List<Program> found = new ArrayList<>();
    try {
      for (String line : Files.readAllLines(sources.resolve("expected.txt"))) {
        String[] fields = line.split(" ");
        found.add(new Program(fields[0], group(fields[0]), Optional.of(fields[1])));
      }
    } catch (IOException e) {
      throw new BenchException("The benchmark programs are not in " + sources + ".");
    }
    programs = List.copyOf(found);
  }

  private static Program.Group group(String name) {
    return switch (name.substring(0, name.indexOf('_'))) {
      case "int" -> Program.Group.INTEGER;
      case "fp" -> Program.Group.FLOATING_POINT;
      case "mem" -> Program.Group.MEMORY;
      case "sys", "fs" -> Program.Group.SYSTEM;
      case "blk" -> Program.Group.DISK;
      default -> Program.Group.APPLICATION;
    };
  }

  @Override
  public String name() {
    return "guest";
  }

  @Override
  public List<Program> programs() {
    return programs;
  }

  @Override
  public String arguments(List<Program> only, int scalePercent) {
    if (only.isEmpty()) {
      return "gb.stop";
    }
    String names = only.stream().map(Program::name).collect(Collectors.joining(","));
    return "gb.scale=" + scalePercent + (only.size() == programs.size() ? "" : " gb.only=" + names);
  }

  @Override
  public Image prepare() throws BenchException {
    try {
      DefaultGuest guest = DefaultGuest.get(GuestCache.ofUser(), false, new StepPrinter());
      Path cache = GuestCache.homeOfUser().resolve("bench");
      Files.createDirectories(cache);
      String version = version(guest);
      Path program = cache.resolve("gb-" + version);
      Path ramDisk = cache.resolve("initrd-" + version);
      Path disk = cache.resolve("disk-" + DISK_MEBIBYTES + ".img");
      if (!Files.exists(program)) {
        compile(program);
      }
      if (!Files.exists(ramDisk)) {
        pack(guest, program, ramDisk);
      }
      if (!Files.exists(disk)) {
        Path unfinished = cache.resolve("disk.unfinished");
        run(
            List.of(
                program.toString(),
                "mkdisk",
                unfinished.toString(),
                Integer.toString(DISK_MEBIBYTES)));
        Files.move(unfinished, disk, StandardCopyOption.ATOMIC_MOVE);
      }
      return new Image(guest.kernel(), ramDisk, COMMAND_LINE, Optional.of(disk), false);
    } catch (ImageException e) {
      throw new BenchException(String.valueOf(e.getMessage()));
    } catch (IOException e) {
      throw new BenchException("The benchmark guest could not be made: " + e + ".");
    }
  }

  /** Tells versions of the sources and of the default guest apart. */
  private String version(DefaultGuest guest) throws IOException {
    try (Stream<Path> files = Files.walk(sources)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        digest.update(Files.readAllBytes(file));
      }
      long guestTime = Files.getLastModifiedTime(guest.initialRamDisk()).toMillis();
      digest.update(ByteBuffer.allocate(8).putLong(0, guestTime));
      return HexFormat.of().formatHex(digest.digest(), 0, 6);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  private void compile(Path program) throws BenchException, IOException {
    Path unfinished = program.resolveSibling("gb.unfinished");
    List<String> command = new ArrayList<>(COMPILER);
    command.add(unfinished.toString());
    try (Stream<Path> files = Files.list(sources.resolve("src"))) {
      files.map(Path::toString).filter(name -> name.endsWith(".c")).sorted().forEach(command::add);
    }
    run(command);
    Files.move(unfinished, program, StandardCopyOption.ATOMIC_MOVE);
  }

  /**
   * The kernel unpacks archives that follow each other; files of the second replace the first's.
   */
  private void pack(DefaultGuest guest, Path program, Path ramDisk) throws IOException {
    Path unfinished = ramDisk.resolveSibling("initrd.unfinished");
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(unfinished))) {
      Files.copy(guest.initialRamDisk(), out);
      try (InitramfsWriter archive = new InitramfsWriter(out)) {
        archive.file("bin/gb", 0755, ByteBuffer.wrap(Files.readAllBytes(program)));
        archive.file("init", 0755, Files.readString(sources.resolve("init")));
        archive.file("bench.sh", 0755, Files.readString(sources.resolve("bench.sh")));
      }
    }
    Files.move(unfinished, ramDisk, StandardCopyOption.ATOMIC_MOVE);
  }

  private static void run(List<String> command) throws BenchException {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes());
      if (process.waitFor() != 0) {
        throw new BenchException(command.getFirst() + " failed: " + output.strip());
      }
    } catch (IOException e) {
      throw new BenchException(
          command.getFirst()
              + " is needed to build the benchmark programs (packages gcc and libc6-dev).");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new BenchException("Interrupted.");
    }
  }

  private static final class StepPrinter implements Progress {
    private String step = "";

    @Override
    public void report(String what, long done, long total) {
      if (!what.equals(step)) {
        step = what;
        System.err.println("Preparing the default guest: " + what);
      }
    }

    @Override
    public void finished() {}
  }
}
