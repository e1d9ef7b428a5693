package io.anillo.cli.techniques;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;

/**
 * A loop of the workload guest, {@code workloads.s} beside this class's resources, whose numbers of
 * instructions and exits are known exactly.
 */
enum Workload {
  COMPUTE(
      "compute",
      "a compute loop in ring 3",
      'c',
      'c',
      30_000_000,
      "Nothing here needs the monitor: translation makes the guest's instructions the host's,"
          + " hardware runs them as they are, interpretation pays for each."),
  PRIVILEGED(
      "privileged",
      "CPUID, RDMSR and a read of CR3 in ring 0",
      'p',
      'p',
      300_000,
      "In software these are calls of functions; hardware leaves the guest for CPUID and RDMSR,"
          + " which costs a thousand cycles and more each time."),
  SYSTEM_CALLS(
      "system-calls",
      "SYSCALL and SYSRET",
      's',
      's',
      1_000_000,
      "Hardware changes rings without the monitor; software checks and loads segments, and ends"
          + " its translated regions there."),
  PAGE_TABLES(
      "page-tables",
      "a page table entry changed, INVLPG, a store",
      'g',
      'g',
      500_000,
      "Software walks the guest's tables after each INVLPG; hardware with nested paging does the"
          + " same without the monitor, hardware without it leaves the guest."),
  DEVICE(
      "device",
      "bytes to and from a port, or for an aware guest a hypercall for every 64",
      'd',
      'D',
      300_000,
      "Each port access is an exit: cheapest as a call in software, dearest from hardware. The"
          + " aware guest asks once for many bytes, and that is what paravirtualization saves."),
  CONTEXT_SWITCHES(
      "context-switches",
      "registers saved and loaded, CR3 loaded",
      'x',
      'x',
      500_000,
      "Loading CR3 empties the TLB: software refills its own by walks in Java, hardware by walks"
          + " in silicon.");

  /** Bytes for each call of the aware guest's device loop. */
  static final int BATCH = 64;

  final String title;
  final String description;
  private final char plain;
  private final char aware;
  final int rounds;
  final String explanation;

  Workload(
      String title, String description, char plain, char aware, int rounds, String explanation) {
    this.title = title;
    this.description = description;
    this.plain = plain;
    this.aware = aware;
    this.rounds = rounds;
    this.explanation = explanation;
  }

  /** The command line that chooses this loop. */
  String commandLine(Technique technique, int count) {
    return (technique.paravirtual ? aware : plain) + Integer.toString(count);
  }

  /** The guest, a multiboot kernel. */
  static ByteBuffer image() {
    try (InputStream in = Workload.class.getResourceAsStream("workloads.bin")) {
      if (in == null) {
        throw new IllegalStateException("the workload guest is not on the class path");
      }
      return ByteBuffer.wrap(in.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
