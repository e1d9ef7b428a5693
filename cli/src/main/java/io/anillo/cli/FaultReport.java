package io.anillo.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;

/** The file that a fault of the monitor itself leaves, for whoever mends it. */
final class FaultReport {
  private static final DateTimeFormatter STAMP =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss-SSS", Locale.ROOT).withZone(ZoneOffset.UTC);

  private FaultReport() {}

  /**
   * Writes a report.
   *
   * @param directory where to; the directory for temporary files is used when that fails
   * @param machine the machine's own description of itself
   * @return what to tell the person: one sentence that names the file
   */
  static String write(Path directory, List<String> arguments, Throwable fault, String machine) {
    StringWriter text = new StringWriter();
    PrintWriter out = new PrintWriter(text);
    out.println("anillo " + Anillo.VERSION + ": a fault of the monitor itself");
    out.println("time: " + Instant.now());
    out.println("command: anillo " + String.join(" ", arguments));
    out.println(
        "host: "
            + System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + " "
            + System.getProperty("os.arch")
            + ", Java "
            + Runtime.version());
    out.println();
    fault.printStackTrace(out);
    out.println();
    out.println(machine);
    String name = "anillo-fault-" + STAMP.format(Instant.now()) + ".txt";
    for (Path place : List.of(directory, Path.of(System.getProperty("java.io.tmpdir")))) {
      try {
        Files.createDirectories(place);
        Path file = place.resolve(name);
        Files.writeString(file, text.toString());
        return "Anillo itself failed ("
            + fault.getClass().getSimpleName()
            + "); please report it with the file "
            + file
            + ".";
      } catch (IOException e) {
        // The next place may do.
      }
    }
    return "Anillo itself failed, and no report could be written:\n" + text;
  }
}
