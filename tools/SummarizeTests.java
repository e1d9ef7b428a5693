import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.SAXException;

/**
 * Counts the tests of all modules and lists those that were skipped, by reason, so that a test that
 * did not run is seen. Reads surefire's reports below the directory given as the only argument.
 */
final class SummarizeTests {
  private SummarizeTests() {}

  private static final int EXAMPLES_PER_REASON = 3;

  public static void main(String[] arguments)
      throws IOException, ParserConfigurationException, SAXException {
    List<Path> reports;
    try (Stream<Path> modules = Files.list(Path.of(arguments[0]))) {
      reports = modules.flatMap(module -> reportsOf(module).stream()).sorted().toList();
    }
    int tests = 0;
    Map<String, List<String>> skipped = new TreeMap<>();
    for (Path report : reports) {
      Element suite =
          DocumentBuilderFactory.newInstance()
              .newDocumentBuilder()
              .parse(report.toFile())
              .getDocumentElement();
      NodeList cases = suite.getElementsByTagName("testcase");
      tests += cases.getLength();
      for (int i = 0; i < cases.getLength(); i++) {
        Element test = (Element) cases.item(i);
        NodeList skips = test.getElementsByTagName("skipped");
        if (skips.getLength() > 0) {
          String reason = ((Element) skips.item(0)).getAttribute("message");
          String className = test.getAttribute("classname");
          skipped
              .computeIfAbsent(reason, ignored -> new java.util.ArrayList<>())
              .add(
                  className.substring(className.lastIndexOf('.') + 1)
                      + "."
                      + test.getAttribute("name"));
        }
      }
    }
    int skippedTests = skipped.values().stream().mapToInt(List::size).sum();
    System.out.printf(
        Locale.ROOT, "%d tests ran, %d were skipped%n", tests - skippedTests, skippedTests);
    skipped.forEach((reason, names) -> {
      List<String> shown = names.subList(0, Math.min(EXAMPLES_PER_REASON, names.size()));
      System.out.printf(
          Locale.ROOT,
          "  %d x %s (%s%s)%n",
          names.size(),
          reason.isBlank() ? "no reason given" : reason.strip(),
          String.join(", ", shown),
          names.size() > shown.size() ? ", ..." : "");
    });
  }

  private static List<Path> reportsOf(Path module) {
    Path directory = module.resolve("target/surefire-reports");
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(file -> file.getFileName().toString().matches("TEST-.*\\.xml")).toList();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
