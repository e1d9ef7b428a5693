package io.anillo.cli.techniques;

import io.anillo.vmm.machine.ProcessorActivity.Place;
import java.util.Locale;
import java.util.Map;

/** A report as one HTML page that needs nothing else: tables, and charts as SVG. */
final class ReportPage {
  private static final int CHART_WIDTH = 560, BAR_HEIGHT = 22, LABEL_WIDTH = 120, TIME_WIDTH = 140;

  /** Parts of a bar, as in the legend. */
  private static final String RING_3 = "#2a78c2", RING_0 = "#e08a2c", MONITOR = "#b03a48";

  private ReportPage() {}

  static String of(Report report) {
    StringBuilder page = new StringBuilder();
    page.append(
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>Anillo: techniques side by side</title>
        <style>
        body { font: 15px/1.45 system-ui, sans-serif; max-width: 60em; margin: 2em auto; }
        table { border-collapse: collapse; margin: .5em 0; }
        td, th { padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
        td:first-child, th:first-child, th:last-child { text-align: left; }
        .why { color: #444; } td.absent, td.reasons { color: #666; text-align: left; white-space: normal; }
        </style></head><body>
        <h1>Techniques side by side</h1>
        """);
    page.append("<p>Hardware: ").append(escape(report.hardware())).append(".</p>\n");
    page.append(
        "<p>Bars are host time, divided into <b style=\"color:%s\">ring 3</b>, <b style=\"color:%s\">ring 0</b> and the <b style=\"color:%s\">monitor</b>.</p>%n"
            .formatted(RING_3, RING_0, MONITOR));
    for (Report.Row row : report.rows()) {
      page.append(
          "<h2>%s</h2>%n<p>%s</p>%n".formatted(escape(row.title()), escape(row.description())));
      chart(page, row);
      table(page, row);
      page.append("<p class=\"why\">").append(escape(row.explanation())).append("</p>\n");
    }
    return page.append("</body></html>\n").toString();
  }

  private static void chart(StringBuilder page, Report.Row row) {
    long longest =
        row.outcomes().values().stream()
            .mapToLong(outcome ->
                outcome instanceof Outcome.Measured measured ? measured.measurement().nanos() : 0)
            .max()
            .orElse(0);
    if (longest == 0) {
      return;
    }
    int height = row.outcomes().size() * (BAR_HEIGHT + 6);
    page.append(
        "<svg width=\"%d\" height=\"%d\" role=\"img\">%n"
            .formatted(CHART_WIDTH + LABEL_WIDTH + TIME_WIDTH, height));
    int y = 0;
    for (Map.Entry<Technique, Outcome> each : row.outcomes().entrySet()) {
      page.append("<text x=\"0\" y=\"%d\">%s</text>%n".formatted(y + 16, each.getKey().title));
      switch (each.getValue()) {
        case Outcome.Measured measured -> bar(page, measured.measurement(), longest, y);
        case Outcome.Absent absent ->
            page.append(
                "<text x=\"%d\" y=\"%d\" fill=\"#888\">not measured</text>%n"
                    .formatted(LABEL_WIDTH, y + 16));
      }
      y += BAR_HEIGHT + 6;
    }
    page.append("</svg>\n");
  }

  private static void bar(StringBuilder page, Measurement m, long longest, int y) {
    double width = (double) CHART_WIDTH * m.nanos() / longest;
    double x = LABEL_WIDTH;
    Place[] places = {Place.RING_3, Place.RING_0, Place.MONITOR};
    String[] colours = {RING_3, RING_0, MONITOR};
    for (int i = 0; i < places.length; i++) {
      double part = width * m.percent(places[i]) / 100;
      page.append(
          String.format(
              Locale.ROOT,
              "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>%n",
              x,
              y,
              part,
              BAR_HEIGHT,
              colours[i]));
      x += part;
    }
    page.append(
        String.format(
            Locale.ROOT,
            "<text x=\"%.1f\" y=\"%d\">%.1f ms</text>%n",
            x + 4,
            y + 16,
            m.nanos() / 1e6));
  }

  private static void table(StringBuilder page, Report.Row row) {
    page.append(
        "<table><tr><th>technique</th><th>time</th><th>exits</th><th>per exit</th>"
            + "<th>ring 3</th><th>ring 0</th><th>monitor</th><th>exits by reason</th></tr>\n");
    row.outcomes()
        .forEach((technique, outcome) -> {
          page.append("<tr><td>").append(technique.title).append("</td>");
          switch (outcome) {
            case Outcome.Absent absent ->
                page.append("<td class=\"absent\" colspan=\"7\">")
                    .append(escape(absent.why()))
                    .append("</td>");
            case Outcome.Measured measured -> {
              Measurement m = measured.measurement();
              page.append(
                  String.format(
                      Locale.ROOT,
                      "<td>%.1f ms</td><td>%d</td><td>%s</td><td>%d %%</td><td>%d %%</td>"
                          + "<td>%d %%</td><td class=\"reasons\">%s</td>",
                      m.nanos() / 1e6,
                      m.exitCount(),
                      m.perExit(),
                      m.percent(Place.RING_3),
                      m.percent(Place.RING_0),
                      m.percent(Place.MONITOR),
                      m.reasons()));
            }
          }
          page.append("</tr>\n");
        });
    page.append("</table>\n");
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
