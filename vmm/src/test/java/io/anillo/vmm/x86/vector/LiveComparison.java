package io.anillo.vmm.x86.vector;

import io.anillo.vmm.x86.decode.FormCatalog;
import io.anillo.vmm.x86.decode.FormCatalog.Form;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Compares the interpreter with the processor this program runs on, over generated cases: {@code
 * LiveComparison [seed] [cases per form]}. docs/testing.md tells how to run it.
 */
final class LiveComparison {
  static final Path SOURCE = Path.of("src/test/recorder/integer/execute.c");

  private LiveComparison() {}

  /** The setups in which a form exists. */
  static int[] setups(Form form) {
    if (!form.outside64()) {
      return new int[] {0};
    }
    return form.in64() ? new int[] {0, 0, 0, 1, 2, 3, 4, 5} : new int[] {1, 2, 3, 4, 5};
  }

  public static void main(String[] arguments) {
    long seed = arguments.length > 0 ? Long.parseLong(arguments[0]) : System.nanoTime() >>> 10;
    int count = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 32;
    String filter = arguments.length > 2 ? arguments[2] : "";
    System.out.println("seed " + seed);
    CaseGenerator generator = new CaseGenerator(seed);
    Comparison comparison = new Comparison();
    int cases = 0;
    int failures = 0;
    try (NativeProcessor real = new NativeProcessor(SOURCE);
        InterpretedTarget model = new InterpretedTarget()) {
      for (Form form : FormCatalog.all()) {
        if (CaseGenerator.EXCLUDED.contains(form.operation())
            || !form.toString().contains(filter)) {
          continue;
        }
        List<List<VectorCase>> byImage = new ArrayList<>();
        for (int i = 0; i < CaseGenerator.IMAGES; i++) {
          byImage.add(new ArrayList<>());
        }
        int[] setups = setups(form);
        for (int i = 0; i < count; i++) {
          VectorCase c = generator.make(form, setups[i % setups.length]);
          byImage.get(c.image).add(c);
        }
        int shown = 0;
        for (int image = 0; image < byImage.size(); image++) {
          real.useImage(generator.image(image));
          model.useImage(generator.image(image));
          List<VectorCase> list = byImage.get(image);
          List<VectorOutcome> outcomes = real.runAll(list);
          for (int i = 0; i < list.size(); i++) {
            cases++;
            String difference;
            try {
              difference =
                  comparison.differences(list.get(i), outcomes.get(i), model.run(list.get(i)));
            } catch (RuntimeException e) {
              difference = "the interpreter threw " + e;
            }
            if (!difference.isEmpty()) {
              failures++;
              if (shown++ < 2) {
                System.out.println(
                    form
                        + ": "
                        + difference
                        + "\n  "
                        + comparison.instruction(list.get(i))
                        + " "
                        + list.get(i));
              }
            }
          }
        }
        if (shown > 0) {
          System.out.println("== " + form + ": " + shown + " of " + count);
        }
      }
    }
    System.out.println(cases + " cases, " + failures + " differences");
  }
}
