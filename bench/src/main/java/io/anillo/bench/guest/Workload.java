package io.anillo.bench.guest;

import io.anillo.bench.BenchException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Programs inside a guest. The guest prints, on its first serial line, {@code BOOT-OK} as its first
 * line from user space; for each program {@code START name}, {@code STOP name} and {@code BENCH
 * name seconds checksum [more]}, the seconds by its own clock; and powers off at the end.
 */
interface Workload {

  String name();

  List<Program> programs();

  /** Makes what the guest boots from, with progress on standard error. */
  Image prepare() throws BenchException;

  /**
   * What is added to the kernel's command line.
   *
   * @param only the programs to run
   * @param scalePercent how much of their work
   */
  String arguments(List<Program> only, int scalePercent);

  /**
   * What a guest boots from.
   *
   * @param disk a raw image, given as the first virtio disk
   * @param writable whether the guest may write to it
   */
  record Image(
      Path kernel,
      Path initialRamDisk,
      String commandLine,
      Optional<Path> disk,
      boolean writable) {}
}
