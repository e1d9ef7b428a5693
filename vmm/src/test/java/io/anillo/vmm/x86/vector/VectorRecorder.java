package io.anillo.vmm.x86.vector;

import io.anillo.vmm.x86.decode.FormCatalog;
import io.anillo.vmm.x86.decode.FormCatalog.Form;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Records vectors on the processor it runs on; docs/testing.md tells how. */
final class VectorRecorder {
  private static final Path DIRECTORY = Path.of("src/test/resources/vectors");
  private static final int INTEGER_CASES = 128, FLOATING_CASES = 20, ESCAPE_CASES = 320;

  private VectorRecorder() {}

  public static void main(String[] arguments) throws IOException {
    List<VectorFile.Group> integer = new ArrayList<>();
    List<VectorFile.Group> floating = new ArrayList<>();
    CaseGenerator generator = new CaseGenerator(2026);
    try (NativeProcessor real = new NativeProcessor(LiveComparison.SOURCE)) {
      for (Form form : FormCatalog.all()) {
        if (CaseGenerator.EXCLUDED.contains(form.operation())) {
          continue;
        }
        boolean simd = CaseGenerator.isFloating(form);
        boolean escape = form.operation() == io.anillo.vmm.x86.decode.Operation.X87;
        int count = escape ? ESCAPE_CASES : simd ? FLOATING_CASES : cases(form);
        (simd ? floating : integer).add(record(form, count, generator, real));
      }
    }
    write("integer-code.bin.gz", integer);
    write("floating-code.bin.gz", floating);
  }

  /** Eight opcodes that name a register share what one opcode needs. */
  private static int cases(Form form) {
    boolean eightfold = form.has("Zv") || form.has("Zb") || form.has("Zy");
    boolean branch = form.has("Jb") || form.has("Jz");
    return eightfold ? INTEGER_CASES / 4 : branch ? INTEGER_CASES / 2 : INTEGER_CASES;
  }

  private static VectorFile.Group record(
      Form form, int count, CaseGenerator generator, NativeProcessor real) {
    List<VectorFile.Recorded> recorded = new ArrayList<>();
    int[] setups = LiveComparison.setups(form);
    for (int image = 0; image < CaseGenerator.IMAGES; image++) {
      List<VectorCase> cases = new ArrayList<>();
      for (int i = 0; i < count / CaseGenerator.IMAGES + 1; i++) {
        int number = i * CaseGenerator.IMAGES + image;
        cases.add(generator.make(form, setups[number % setups.length], image));
      }
      real.useImage(generator.image(image));
      List<VectorOutcome> outcomes = real.runAll(cases);
      for (int i = 0; i < cases.size(); i++) {
        recorded.add(new VectorFile.Recorded(cases.get(i), outcomes.get(i)));
      }
    }
    return new VectorFile.Group(form.toString(), recorded);
  }

  private static void write(String name, List<VectorFile.Group> groups) throws IOException {
    Path path = DIRECTORY.resolve(name);
    try (OutputStream out = Files.newOutputStream(path)) {
      VectorFile.write(out, groups);
    }
    int cases = groups.stream().mapToInt(group -> group.cases().size()).sum();
    System.out.println(path + ": " + cases + " cases, " + Files.size(path) + " bytes");
  }
}
