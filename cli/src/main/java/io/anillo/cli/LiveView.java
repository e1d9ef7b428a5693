package io.anillo.cli;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;

/** The counters of a running machine as lines of text, with what changed since the last look. */
final class LiveView {
  private final Machine machine;
  private final long start = System.nanoTime();
  private long lastNanos = start;
  private long lastInstructions;
  private Map<ExitReason, Long> lastExits = new EnumMap<>(ExitReason.class);
  private Map<Place, Long> lastPlaces = new EnumMap<>(Place.class);

  LiveView(Machine machine) {
    this.machine = machine;
  }

  /** The screen. Figures are those of processors that run: each may be a little old. */
  String next() {
    long now = System.nanoTime();
    double seconds = Math.max(1e-3, (now - lastNanos) / 1e9);
    long instructions = machine.instructionsSoFar();
    Map<ExitReason, Long> exits = machine.exits();
    Map<Place, Long> places = new EnumMap<>(Place.class);
    long busy = 0;
    for (Place place : Place.values()) {
      long sum = machine.activities().stream().mapToLong(each -> each.nanos().get(place)).sum();
      places.put(place, sum);
      busy += sum - lastPlaces.getOrDefault(place, 0L);
    }
    int cpus = machine.processors().size();
    StringBuilder text = new StringBuilder();
    text.append("Anillo: what the machine does. Ctrl-A s goes to the guest and back.\n\n");
    text.append(
        line(
            "up %.1f s, %s, %d million instructions, %.1f million a second",
            (now - start) / 1e9,
            cpus == 1 ? "1 processor" : cpus + " processors",
            instructions / 1_000_000,
            (instructions - lastInstructions) / seconds / 1e6));
    text.append("time:");
    for (Place place : Place.values()) {
      long part = places.getOrDefault(place, 0L) - lastPlaces.getOrDefault(place, 0L);
      text.append(
          String.format(
              Locale.ROOT,
              "  %s %d%%",
              name(place),
              busy == 0 ? 0 : Math.round(100.0 * part / busy)));
    }
    text.append("\n\n").append(line("%-22s %14s %12s %10s", "exits", "all", "a second", "ns each"));
    for (ExitReason reason : ExitReason.values()) {
      long count = exits.getOrDefault(reason, 0L);
      long nanos = 0;
      for (int cpu = 0; cpu < cpus; cpu++) {
        nanos += machine.board().exitsOf(cpu).nanosOf(reason);
      }
      text.append(
          line(
              "%-22s %14d %12.0f %10s",
              reason.key(),
              count,
              (count - lastExits.getOrDefault(reason, 0L)) / seconds,
              nanos == 0 || count == 0 ? "--" : Long.toString(nanos / count)));
    }
    lastNanos = now;
    lastInstructions = instructions;
    lastExits = exits;
    lastPlaces = places;
    return text.toString();
  }

  private static String name(Place place) {
    return switch (place) {
      case RING_0 -> "ring 0";
      case RING_3 -> "ring 3";
      case MONITOR -> "monitor";
      case IDLE -> "idle";
    };
  }

  private static String line(String format, Object... values) {
    return String.format(Locale.ROOT, format, values) + "\n";
  }
}
