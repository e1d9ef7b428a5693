package io.anillo.cli.techniques;

import io.anillo.cli.image.DefaultGuest;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.ImageException;
import io.anillo.cli.image.Progress;
import io.anillo.vmm.kvm.KvmProbe;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code anillo techniques}: the same work under each technique, side by side. */
@Command(
    name = "techniques",
    description =
        "Runs the same work under interpretation, translation, paravirtual and on the hardware, and"
            + " says where the time goes.",
    mixinStandardHelpOptions = true,
    sortOptions = false)
public final class TechniquesCommand implements Callable<Integer> {
  private static final String BOOT = "boot";
  private static final long LOOP_PATIENCE_MILLIS = 60_000, BOOT_PATIENCE_MILLIS = 240_000;

  /** What a loop is shortened by where kernel code is emulated. */
  private static final int EMULATED_SHARE = 100;

  private final Function<Map<String, Object>, String> jsonWriter;
  private final PrintStream out = System.out;
  private final PrintStream err = System.err;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--only",
      paramLabel = "NAME",
      split = ",",
      description =
          "Of compute, privileged, system-calls, page-tables, device, context-switches and boot,"
              + " only these.")
  private List<String> only = List.of();

  @Option(
      names = "--scale",
      paramLabel = "PERCENT",
      description = "Make the loops longer or shorter than usual (default 100).")
  private int scale = 100;

  @Option(names = "--json", description = "Print JSON instead of the table.")
  private boolean json;

  @Option(names = "--html", paramLabel = "FILE", description = "Write a page with charts as well.")
  private @Nullable Path html;

  /**
   * Makes the command.
   *
   * @param jsonWriter writes maps as JSON
   */
  public TechniquesCommand(Function<Map<String, Object>, String> jsonWriter) {
    this.jsonWriter = jsonWriter;
  }

  @Override
  public Integer call() throws InterruptedException {
    checkUsage();
    KvmProbe.Result hardware = KvmProbe.measure();
    Report report = new Report(hardware.sentence());
    for (Workload workload : Workload.values()) {
      if (wanted(workload.title)) {
        Map<Technique, Outcome> outcomes = new EnumMap<>(Technique.class);
        for (Technique technique : Technique.values()) {
          progress(workload.title, technique);
          outcomes.put(technique, loop(workload, technique, hardware));
        }
        report.add(workload.title, workload.description, workload.explanation, outcomes);
      }
    }
    if (wanted(BOOT)) {
      boot(report, hardware);
    }
    out.print(json ? jsonWriter.apply(report.json()) : report.table());
    out.flush();
    return html == null || write(html, ReportPage.of(report)) ? 0 : 4;
  }

  private void checkUsage() {
    if (scale < 1 || scale > 10_000) {
      throw wrongUsage("--scale " + scale + " is not between 1 and 10000");
    }
    for (String name : only) {
      if (!name.equals(BOOT)
          && List.of(Workload.values()).stream().noneMatch(each -> each.title.equals(name))) {
        throw wrongUsage("--only " + name + " is no workload");
      }
    }
  }

  private ParameterException wrongUsage(String message) {
    if (spec == null) {
      throw new IllegalStateException("picocli has set no spec");
    }
    return new ParameterException(spec.commandLine(), message);
  }

  private boolean wanted(String title) {
    return only.isEmpty() || only.contains(title);
  }

  private void progress(String work, Technique technique) {
    if (System.console() != null && !json) {
      err.println("anillo: " + work + ", " + technique.title);
    }
  }

  private Outcome loop(Workload workload, Technique technique, KvmProbe.Result hardware)
      throws InterruptedException {
    long rounds = (long) workload.rounds * scale / 100;
    if (technique == Technique.HARDWARE) {
      if (hardware.instructionsPerSecond() == 0) {
        return new Outcome.Absent(hardware.sentence());
      }
      if (!hardware.fast() && workload != Workload.COMPUTE) {
        rounds /= EMULATED_SHARE;
      }
    }
    int count = (int) Math.clamp(rounds, 64, Integer.MAX_VALUE / 2);
    Outcome outcome = WorkloadRun.loop(workload, technique, count, LOOP_PATIENCE_MILLIS);
    long full = (long) workload.rounds * scale / 100;
    if (outcome instanceof Outcome.Measured measured && count < full) {
      // Fewer rounds were run: the figures are of that many, and the report says so.
      return new Outcome.Absent(
          "emulated: %d of %d rounds took %.1f ms, with %d exits"
              .formatted(
                  count,
                  full,
                  measured.measurement().nanos() / 1e6,
                  measured.measurement().exitCount()));
    }
    if (outcome instanceof Outcome.Absent absent
        && technique == Technique.HARDWARE
        && !hardware.fast()) {
      // Such hosts get some instructions wrong: docs/decisions/0006.
      return new Outcome.Absent("emulated: " + absent.why());
    }
    return outcome;
  }

  private void boot(Report report, KvmProbe.Result hardware) throws InterruptedException {
    ByteBuffer kernel;
    ByteBuffer initialRamDisk;
    try {
      DefaultGuest guest = DefaultGuest.get(GuestCache.ofUser(), false, Progress.SILENT);
      kernel = ByteBuffer.wrap(Files.readAllBytes(guest.kernel()));
      initialRamDisk = ByteBuffer.wrap(Files.readAllBytes(guest.initialRamDisk()));
    } catch (ImageException | IOException e) {
      err.println("anillo: no boot is measured: " + e.getMessage() + ".");
      return;
    }
    Map<Technique, Outcome> outcomes = new EnumMap<>(Technique.class);
    for (Technique technique : Technique.values()) {
      progress(BOOT, technique);
      outcomes.put(
          technique,
          technique == Technique.HARDWARE && !hardware.fast()
              ? new Outcome.Absent(hardware.sentence())
              : WorkloadRun.boot(
                  kernel,
                  initialRamDisk,
                  DefaultGuest.COMMAND_LINE,
                  technique,
                  BOOT_PATIENCE_MILLIS));
    }
    report.add(
        BOOT,
        "the default guest's kernel until its first program runs",
        "A boot is mostly kernel code that runs once: translation has little to reuse, an aware"
            + " kernel asks interrupt controllers and timers less, hardware runs all of it.",
        outcomes);
  }

  private boolean write(Path file, String text) {
    try {
      Files.writeString(file, text);
      return true;
    } catch (IOException e) {
      err.println("anillo: --html " + file + " cannot be written.");
      return false;
    }
  }
}
