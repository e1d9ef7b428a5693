package io.anillo.bench.guest;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** A program that boots guests: Anillo with one of its engines, or a peer. */
sealed interface Contender {
  int MEMORY_MEBIBYTES = 512;

  String name();

  /**
   * The command that boots a guest with its first serial line on standard output, and ends when the
   * guest powers off.
   *
   * @param statistics where Anillo writes what it counted
   */
  List<String> command(Workload.Image image, String arguments, boolean withDisk, Path statistics);

  /** What it finds in its environment besides. */
  default Map<String, String> environment() {
    return Map.of();
  }

  /**
   * {@code anillo run}.
   *
   * @param engine as the command line calls it; with "+first" it knows nothing of earlier runs
   * @param options more of the command's
   * @param profiles where it keeps what it learns of kernels; the user's place where empty
   */
  record Anillo(Path top, String engine, List<String> options, Optional<Path> profiles)
      implements Contender {
    private static final String FIRST = "+first";

    Anillo(Path top, String engine) {
      this(top, engine, List.of(), Optional.empty());
    }

    @Override
    public Map<String, String> environment() {
      if (engine.endsWith(FIRST)) {
        return Map.of("ANILLO_PROFILES", "off");
      }
      return profiles.map(place -> Map.of("ANILLO_PROFILES", "" + place)).orElse(Map.of());
    }

    @Override
    public String name() {
      return String.join(
          " ", Stream.concat(Stream.of("anillo", engine), options.stream()).toList());
    }

    @Override
    public List<String> command(
        Workload.Image image, String arguments, boolean withDisk, Path statistics) {
      List<String> command =
          new ArrayList<>(
              List.of(
                  top.resolve("anillo").toString(),
                  "run",
                  "--engine",
                  engine.endsWith(FIRST)
                      ? engine.substring(0, engine.length() - FIRST.length())
                      : engine,
                  "--memory",
                  MEMORY_MEBIBYTES + "M",
                  "--kernel",
                  image.kernel().toString(),
                  "--initrd",
                  image.initialRamDisk().toString(),
                  "--append",
                  image.commandLine() + " " + arguments,
                  "--no-reboot",
                  "--stats",
                  statistics.toString()));
      command.addAll(options);
      Optional<Path> disk = withDisk ? image.disk() : Optional.empty();
      disk.ifPresent(file ->
          command.addAll(
              List.of("--disk", file + ",format=raw" + (image.writable() ? "" : ",readonly"))));
      return List.copyOf(command);
    }
  }

  /** QEMU's translator, with the processor features of Anillo's processor. */
  record Qemu(String program, String cpu) implements Contender {
    @Override
    public String name() {
      return "qemu tcg";
    }

    @Override
    public List<String> command(
        Workload.Image image, String arguments, boolean withDisk, Path statistics) {
      List<String> command =
          new ArrayList<>(
              List.of(
                  program,
                  "-accel",
                  "tcg",
                  "-cpu",
                  cpu,
                  "-m",
                  Integer.toString(MEMORY_MEBIBYTES),
                  "-nodefaults",
                  "-display",
                  "none",
                  "-serial",
                  "stdio",
                  "-no-reboot",
                  "-kernel",
                  image.kernel().toString(),
                  "-initrd",
                  image.initialRamDisk().toString(),
                  "-append",
                  image.commandLine() + " " + arguments));
      Optional<Path> disk = withDisk ? image.disk() : Optional.empty();
      disk.ifPresent(file ->
          command.addAll(
              List.of(
                  "-drive",
                  "file=%s,if=virtio,format=raw,readonly=%s"
                      .formatted(file, image.writable() ? "off" : "on"))));
      return List.copyOf(command);
    }
  }
}
