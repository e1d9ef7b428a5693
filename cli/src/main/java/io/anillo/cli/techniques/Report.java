package io.anillo.cli.techniques;

import io.anillo.vmm.machine.ProcessorActivity.Place;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** All pieces of work under all techniques: as a table, as JSON, as a page with charts. */
final class Report {
  /**
   * One piece of work.
   *
   * @param description what it does, on one line
   * @param explanation why the techniques differ, on one line
   */
  record Row(
      String title, String description, String explanation, Map<Technique, Outcome> outcomes) {}

  private final List<Row> rows = new ArrayList<>();
  private final String hardware;

  /**
   * Begins a report.
   *
   * @param hardware what was found out about KVM here
   */
  Report(String hardware) {
    this.hardware = hardware;
  }

  void add(String title, String description, String explanation, Map<Technique, Outcome> outcomes) {
    rows.add(new Row(title, description, explanation, new EnumMap<>(outcomes)));
  }

  List<Row> rows() {
    return rows;
  }

  String hardware() {
    return hardware;
  }

  // ---- as a table

  String table() {
    StringBuilder text = new StringBuilder();
    text.append("Hardware: ").append(hardware).append(".\n");
    for (Row row : rows) {
      text.append("\n%s: %s%n".formatted(row.title, row.description));
      text.append(
          String.format(
              Locale.ROOT,
              "  %-15s %10s %10s %9s  %5s %5s %7s  %s%n",
              "technique",
              "time",
              "exits",
              "per exit",
              "ring3",
              "ring0",
              "monitor",
              "exits by reason"));
      row.outcomes.forEach((technique, outcome) -> text.append(line(technique, outcome)));
      text.append("  ").append(row.explanation).append('\n');
    }
    return text.toString();
  }

  private static String line(Technique technique, Outcome outcome) {
    return switch (outcome) {
      case Outcome.Absent absent -> "  %-15s -- %s%n".formatted(technique.title, absent.why());
      case Outcome.Measured measured -> {
        Measurement m = measured.measurement();
        yield String.format(
            Locale.ROOT,
            "  %-15s %8.1f ms %10d %9s  %4d%% %4d%% %6d%%  %s%n",
            technique.title,
            m.nanos() / 1e6,
            m.exitCount(),
            m.perExit(),
            m.percent(Place.RING_3),
            m.percent(Place.RING_0),
            m.percent(Place.MONITOR),
            m.reasons());
      }
    };
  }

  // ---- as JSON

  Map<String, Object> json() {
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("hardware", hardware);
    Map<String, Object> works = new LinkedHashMap<>();
    for (Row row : rows) {
      Map<String, Object> work = new LinkedHashMap<>();
      work.put("description", row.description);
      work.put("explanation", row.explanation);
      Map<String, Object> techniques = new LinkedHashMap<>();
      row.outcomes.forEach((technique, outcome) ->
          techniques.put(
              technique.title,
              switch (outcome) {
                case Outcome.Absent absent -> Map.<String, Object>of("absent", absent.why());
                case Outcome.Measured measured -> measured.measurement().json();
              }));
      work.put("techniques", techniques);
      works.put(row.title, work);
    }
    result.put("workloads", works);
    return result;
  }
}
