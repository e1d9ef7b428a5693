package io.anillo.cli.techniques;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What one piece of work took under one technique.
 *
 * @param nanos of host time from the start of the machine to the end of the work
 * @param instructions that the guest retired; 0 where the engine does not tell
 * @param exits how often guest code was left, by reason
 * @param exitNanos host time of the monitor by reason
 * @param places host time of the processors by place
 */
record Measurement(
    long nanos,
    long instructions,
    Map<ExitReason, Long> exits,
    Map<ExitReason, Long> exitNanos,
    Map<Place, Long> places) {

  /** What a machine has counted and measured by now. */
  static Measurement of(Machine machine, long nanos) {
    Map<ExitReason, Long> exits = new EnumMap<>(ExitReason.class);
    Map<ExitReason, Long> exitNanos = new EnumMap<>(ExitReason.class);
    for (ExitReason reason : ExitReason.values()) {
      long count = 0;
      long time = 0;
      for (int cpu = 0; cpu < machine.processors().size(); cpu++) {
        count += machine.board().exitsOf(cpu).of(reason);
        time += machine.board().exitsOf(cpu).nanosOf(reason);
      }
      exits.put(reason, count);
      exitNanos.put(reason, time);
    }
    Map<Place, Long> places = new EnumMap<>(Place.class);
    for (Place place : Place.values()) {
      places.put(
          place, machine.activities().stream().mapToLong(each -> each.nanos().get(place)).sum());
    }
    return new Measurement(nanos, machine.instructions(), exits, exitNanos, places);
  }

  long exitCount() {
    return exits.values().stream().mapToLong(Long::longValue).sum();
  }

  /**
   * Nanoseconds of the monitor for an exit, of those that were measured; 0 where most were not,
   * since their work is too small for it.
   */
  long nanosPerExit() {
    long measured = 0;
    long time = 0;
    for (ExitReason reason : ExitReason.values()) {
      long each = exitNanos.getOrDefault(reason, 0L);
      if (each > 0) {
        time += each;
        measured += exits.getOrDefault(reason, 0L);
      }
    }
    return 2 * measured < exitCount() || measured == 0 ? 0 : time / measured;
  }

  /** The same as text, {@code --} where most were not measured. */
  String perExit() {
    return nanosPerExit() == 0 ? "--" : nanosPerExit() + " ns";
  }

  /** Nanoseconds of the monitor for an exit of each reason, where they were measured. */
  private Map<String, Object> nanosByReason() {
    Map<String, Object> result = new LinkedHashMap<>();
    exits.forEach((reason, count) -> {
      long time = exitNanos.getOrDefault(reason, 0L);
      if (time > 0 && count > 0) {
        result.put(reason.key(), time / count);
      }
    });
    return result;
  }

  /** The reasons of exits with their numbers, the commonest first, separated by commas. */
  String reasons() {
    return exits.entrySet().stream()
        .filter(each -> each.getValue() > 0)
        .sorted(
            Comparator.comparing(
                (Map.Entry<ExitReason, Long> each) -> each.getValue(), Comparator.reverseOrder()))
        .map(each -> each.getKey().key() + " " + each.getValue())
        .collect(Collectors.joining(", "));
  }

  /** Share of the processors' time that was not idle, in percent. */
  int percent(Place place) {
    long busy = 0;
    for (Map.Entry<Place, Long> each : places.entrySet()) {
      busy += each.getKey() == Place.IDLE ? 0 : each.getValue();
    }
    return busy == 0 ? 0 : (int) Math.round(100.0 * places.getOrDefault(place, 0L) / busy);
  }

  /** For JSON. */
  Map<String, Object> json() {
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("millis", nanos / 1_000_000);
    result.put("guestInstructions", instructions);
    Map<String, Object> byReason = new LinkedHashMap<>();
    exits.forEach((reason, count) -> byReason.put(reason.key(), count));
    result.put("exits", byReason);
    result.put("nanosPerExit", nanosPerExit());
    result.put("nanosPerExitByReason", nanosByReason());
    Map<String, Object> share = new LinkedHashMap<>();
    share.put("ring3", percent(Place.RING_3));
    share.put("ring0", percent(Place.RING_0));
    share.put("monitor", percent(Place.MONITOR));
    result.put("percentOfTime", share);
    return result;
  }
}
