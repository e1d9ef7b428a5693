package io.anillo.vmm.x86.vector;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.FormCatalog;
import io.anillo.vmm.x86.decode.FormCatalog.Form;
import io.anillo.vmm.x86.decode.Operation;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * Compares whole sequences of random instructions with the processor this program runs on: {@code
 * LiveSequences [seed] [batches]}, 512 sequences a batch. Instructions that leave more than AF
 * undefined, or show AF, stay out; so does what has no place in a sequence.
 */
final class LiveSequences {
  private static final int BATCH = 512;
  private static final int INVALID_OPCODE = 6;

  /** Leave flags or results undefined, or show the undefined AF. */
  private static final Set<Operation> UNDEFINED =
      EnumSet.of(
          Operation.SHL,
          Operation.SHR,
          Operation.SAR,
          Operation.ROL,
          Operation.ROR,
          Operation.RCL,
          Operation.RCR,
          Operation.SHLD,
          Operation.SHRD,
          Operation.MUL,
          Operation.IMUL1,
          Operation.IMUL2,
          Operation.IMUL3,
          Operation.DIV,
          Operation.IDIV,
          Operation.BT,
          Operation.BTS,
          Operation.BTR,
          Operation.BTC,
          Operation.BSF,
          Operation.BSR,
          Operation.BSWAP,
          Operation.AAA,
          Operation.AAS,
          Operation.AAM,
          Operation.AAD,
          Operation.DAA,
          Operation.DAS,
          Operation.PUSHA,
          Operation.POPA,
          Operation.PUSHF,
          Operation.POPF,
          Operation.LAHF,
          Operation.INT,
          Operation.INT3,
          Operation.INTO,
          Operation.HLT,
          Operation.CLI,
          Operation.STI,
          Operation.IN,
          Operation.OUT,
          Operation.INS,
          Operation.OUTS,
          Operation.UD0,
          Operation.UD1,
          Operation.UD2);

  private LiveSequences() {}

  private static List<Form> forms(boolean code64) {
    return FormCatalog.all().stream()
        .filter(form -> code64 ? form.in64() : form.outside64())
        .filter(form -> !CaseGenerator.isFloating(form))
        .filter(form -> !UNDEFINED.contains(form.operation()))
        .filter(form -> !CaseGenerator.EXCLUDED.contains(form.operation()))
        .filter(form -> !isPrivileged(form.operation()))
        .toList();
  }

  private static boolean isPrivileged(Operation operation) {
    return switch (operation) {
      case LGDT, LIDT, LLDT, LTR, LMSW, CLTS, INVLPG, INVPCID, INVD, WBINVD -> true;
      case RDMSR, WRMSR, XSETBV, SWAPGS, CLAC, STAC -> true;
      case MOV_FROM_CONTROL, MOV_TO_CONTROL, MOV_FROM_DEBUG, MOV_TO_DEBUG -> true;
      default -> false;
    };
  }

  public static void main(String[] arguments) {
    long seed = arguments.length > 0 ? Long.parseLong(arguments[0]) : System.nanoTime() >>> 10;
    int batches = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 20;
    System.out.println("seed " + seed);
    CaseGenerator generator = new CaseGenerator(seed);
    Comparison comparison = new Comparison();
    int differences = 0;
    int completed = 0;
    int timedOut = 0;
    try (NativeProcessor real = new NativeProcessor(LiveComparison.SOURCE);
        InterpretedTarget model = new InterpretedTarget()) {
      for (int batch = 0; batch < batches; batch++) {
        int image = batch % CaseGenerator.IMAGES;
        real.useImage(generator.image(image));
        model.useImage(generator.image(image));
        List<VectorCase> cases = new ArrayList<>();
        for (int i = 0; i < BATCH; i++) {
          cases.add(sequence(generator, generator.random().below(6), image));
        }
        List<VectorOutcome> outcomes = real.runAll(cases);
        for (int i = 0; i < BATCH; i++) {
          VectorOutcome expected = outcomes.get(i);
          completed += expected.vector == 3 ? 1 : 0;
          if (expected.vector == VectorOutcome.TIMED_OUT) {
            timedOut++;
            continue;
          }
          VectorOutcome actual = model.run(cases.get(i));
          if (actual.vector == INVALID_OPCODE) {
            // A jump into an instruction may find one that this processor has and anillo-v2 has
            // not.
            continue;
          }
          expected.flags &= ~CpuState.AF;
          actual.flags &= ~CpuState.AF;
          String difference = comparison.differences(cases.get(i), expected, actual);
          if (!difference.isEmpty() && differences++ < 20) {
            System.out.println(difference + "\n  " + cases.get(i));
          }
        }
      }
    }
    System.out.printf(
        "%d sequences, %d to their end, %d without end, %d differences%n",
        batches * BATCH, completed, timedOut, differences);
  }

  private static VectorCase sequence(CaseGenerator generator, int setup, int image) {
    Randomness random = generator.random();
    VectorCase sequence = new VectorCase((int) random.next(), setup, image, VectorCase.TIMED);
    List<Form> forms = forms(sequence.segments().code64());
    ByteArrayOutputStream code = new ByteArrayOutputStream();
    int pieces = 2 + random.below(7);
    VectorCase first = sequence;
    for (int i = 0; i < pieces && code.size() < 48; i++) {
      VectorCase piece = generator.make(forms.get(random.below(forms.size())), setup, image);
      if (i == 0) {
        first = piece;
      }
      code.writeBytes(piece.code);
    }
    long data = VectorLayout.segmentBase(setup, CpuState.DS) == 0 ? VectorLayout.DATA : 0;
    for (int i = 0; i < 16; i++) {
      sequence.set(i, first.general[i]);
      boolean named = (first.overrides >> i & 1) != 0;
      if (!named && random.below(2) == 0 && (i < 8 || sequence.segments().code64())) {
        sequence.set(i, data + 0x400 + random.below(0x1000));
      }
    }
    sequence.set(CpuState.RCX, random.below(300));
    sequence.flags = first.flags & ~(CpuState.TF | CpuState.AC);
    sequence.rip = first.rip;
    sequence.code = code.toByteArray();
    return sequence;
  }
}
