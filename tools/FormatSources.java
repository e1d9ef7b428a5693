import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Stream;

/**
 * Formats the project's Java sources with google-java-format, or checks that they are formatted.
 *
 * <p>Usage: {@code java FormatSources.java check|apply [FILE_OR_DIRECTORY...]}; without paths,
 * every module. It is a program of its own because the formatter parses with the compiler of the
 * JVM it runs in: it has to run in the JDK that builds the project, while Maven itself may run in
 * an older one.
 */
final class FormatSources {
  private FormatSources() {}

  public static void main(String[] arguments) throws IOException {
    if (arguments.length == 0 || !List.of("check", "apply").contains(arguments[0])) {
      System.err.println("usage: FormatSources check|apply [FILE_OR_DIRECTORY...]");
      System.exit(2);
    }
    boolean apply = arguments[0].equals("apply");
    List<Path> sources = new ArrayList<>();
    List<Path> roots = new ArrayList<>();
    for (int i = 1; i < arguments.length; i++) {
      roots.add(Path.of(arguments[i]));
    }
    if (roots.isEmpty()) {
      roots.add(Path.of("."));
    }
    for (Path root : roots) {
      collect(root, sources);
    }
    ConcurrentLinkedQueue<String> unformatted = new ConcurrentLinkedQueue<>();
    ConcurrentLinkedQueue<String> broken = new ConcurrentLinkedQueue<>();
    sources.parallelStream()
        .forEach(source -> {
          try {
            String text = Files.readString(source);
            String formatted = new Formatter().formatSourceAndFixImports(text);
            if (!formatted.equals(text)) {
              unformatted.add(source.toString());
              if (apply) {
                Files.writeString(source, formatted);
              }
            }
          } catch (FormatterException | IOException e) {
            broken.add(source + ": " + e.getMessage());
          }
        });
    broken.stream().sorted().forEach(System.err::println);
    unformatted.stream()
        .sorted()
        .forEach(name -> System.err.println((apply ? "formatted " : "not formatted: ") + name));
    if (!apply && !unformatted.isEmpty()) {
      System.err.printf(
          Locale.ROOT,
          "%d of %d sources are not formatted; run ./anillo dev format%n",
          unformatted.size(),
          sources.size());
    }
    System.exit(!broken.isEmpty() || (!apply && !unformatted.isEmpty()) ? 1 : 0);
  }

  private static void collect(Path root, List<Path> into) throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      files
          .filter(Files::isRegularFile)
          .filter(file -> file.getFileName().toString().endsWith(".java"))
          .filter(file -> !file.toString().contains("target/"))
          .map(Path::normalize)
          .forEach(into::add);
    }
  }
}
