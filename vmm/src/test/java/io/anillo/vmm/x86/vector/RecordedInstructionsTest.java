package io.anillo.vmm.x86.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.kvm.KvmException;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.x86.decode.FormCatalog;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.vector.InterpretedTarget.Code;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Machine code through decoder and interpreter does what a real processor was recorded to do:
 * registers, flags, memory and exceptions.
 */
class RecordedInstructionsTest {
  private static final String INTEGER = "integer-code.bin.gz", FLOATING = "floating-code.bin.gz";
  private static final int SHOWN = 40;

  /** One case in so many, where each is slow. */
  private static final int EMULATED_SHARE = 5;

  private static final int TRANSLATED_SHARE = Integer.getInteger("anillo.vectors.share", 8);

  private final Comparison comparison = new Comparison();

  @Test
  void integerInstructionsDoWhatTheRealProcessorDid() throws IOException {
    assertThat(replay(INTEGER, false)).isEmpty();
  }

  @Test
  void floatingPointInstructionsDoWhatTheRealProcessorDid() throws IOException {
    assertThat(replay(FLOATING, false)).isEmpty();
  }

  @Test
  void instructionsDoTheSameInsideBlocks() throws IOException {
    assertThat(replay(INTEGER, true)).isEmpty();
    assertThat(replay(FLOATING, true)).isEmpty();
  }

  /** Every case is a class of its own here, so only one in {@link #TRANSLATED_SHARE} is taken. */
  @Test
  void instructionsDoTheSameTranslated() throws IOException {
    assertThat(replayTranslated(INTEGER)).isEmpty();
    assertThat(replayTranslated(FLOATING)).isEmpty();
  }

  /**
   * The same files through KVM, which tells that state goes in and comes out whole.
   *
   * <p>Where KVM has no hardware underneath it carries out a part of ring 3's code in software:
   * nearly all outside 64-bit mode, and inside whatever faults, for which it often raises #UD
   * instead of the fault. There one case in twenty may end with another exception.
   */
  @Test
  void instructionsDoTheSameThroughKvm() throws IOException {
    try (InterpretedTarget hardware = onHardware()) {
      if (KvmProbe.measure().fast()) {
        assertThat(replay(INTEGER, hardware, false)).isEmpty();
        assertThat(replay(FLOATING, hardware, false)).isEmpty();
      } else {
        replayPatiently(hardware);
      }
    }
  }

  private void replayPatiently(InterpretedTarget hardware) throws IOException {
    byte[][] images = new byte[CaseGenerator.IMAGES][];
    for (int i = 0; i < images.length; i++) {
      images[i] = InitialState.image(i);
    }
    List<String> otherExceptions = new ArrayList<>();
    List<String> otherValues = new ArrayList<>();
    int number = 0;
    for (String file : List.of(INTEGER, FLOATING)) {
      for (VectorFile.Group group : read(file)) {
        for (VectorFile.Recorded recorded : group.cases()) {
          VectorCase c = recorded.vectorCase();
          if (!c.segments().code64() || number++ % EMULATED_SHARE != 0) {
            continue;
          }
          hardware.useImage(images[c.image]);
          VectorOutcome outcome = hardware.run(c);
          String difference = comparison.differences(c, recorded.outcome(), outcome);
          if (!difference.isEmpty()) {
            boolean sameException = outcome.vector == recorded.outcome().vector;
            (sameException ? otherValues : otherExceptions)
                .add(group.name() + ": " + difference + c);
          }
        }
      }
    }
    int cases = number / EMULATED_SHARE;
    System.out.printf(
        "KVM without hardware: of %d cases in 64-bit mode %d end with another exception, %d with"
            + " other values%n",
        cases, otherExceptions.size(), otherValues.size());
    assertThat(otherExceptions).hasSizeLessThan(cases / 20);
    assertThat(otherValues).hasSizeLessThan(cases / 200);
  }

  private static InterpretedTarget onHardware() {
    try {
      return InterpretedTarget.onHardware();
    } catch (KvmException e) {
      assumeTrue(false, "the hardware cannot be used: " + e.getMessage());
      throw new AssertionError(e);
    }
  }

  private List<String> replayTranslated(String file) throws IOException {
    List<String> differences = new ArrayList<>();
    byte[][] images = new byte[CaseGenerator.IMAGES][];
    for (int i = 0; i < images.length; i++) {
      images[i] = InitialState.image(i);
    }
    int number = 0;
    try (InterpretedTarget usual = new InterpretedTarget(Code.TRANSLATED);
        InterpretedTarget unusual = new InterpretedTarget(Code.TRANSLATED_FOR_UNUSUAL_VALUES)) {
      BlockwiseTarget[] targets = {new BlockwiseTarget(usual), new BlockwiseTarget(unusual)};
      for (VectorFile.Group group : read(file)) {
        if (showsTrapFlag(group.name())) {
          continue;
        }
        for (VectorFile.Recorded recorded : group.cases()) {
          VectorCase c = recorded.vectorCase();
          if (!c.segments().code64()
              || !BlockwiseTarget.canRun(c, recorded.outcome())
              || number++ % TRANSLATED_SHARE != 0) {
            continue;
          }
          BlockwiseTarget target = targets[number / TRANSLATED_SHARE % targets.length];
          target.useImage(images[c.image]);
          String difference = comparison.differences(c, recorded.outcome(), target.run(c));
          if (!difference.isEmpty() && differences.size() < SHOWN) {
            differences.add(group.name() + ": " + difference + c);
          }
        }
      }
    }
    assertThat(number).isGreaterThan(1000);
    return differences;
  }

  @Test
  void everyFormOfTheInstructionTableIsRecorded() throws IOException {
    Set<String> recorded = new HashSet<>();
    for (String file : List.of(INTEGER, FLOATING)) {
      read(file).forEach(group -> recorded.add(group.name()));
    }
    assertThat(FormCatalog.all())
        .filteredOn(form -> !CaseGenerator.EXCLUDED.contains(form.operation()))
        .allSatisfy(form -> assertThat(recorded).contains(form.toString()));
  }

  private List<String> replay(String file, boolean blockwise) throws IOException {
    try (InterpretedTarget interpreted = new InterpretedTarget()) {
      return replay(file, interpreted, blockwise);
    }
  }

  private List<String> replay(String file, InterpretedTarget plain, boolean blockwise)
      throws IOException {
    List<String> differences = new ArrayList<>();
    byte[][] images = new byte[CaseGenerator.IMAGES][];
    for (int i = 0; i < images.length; i++) {
      images[i] = InitialState.image(i);
    }
    VectorTarget target = blockwise ? new BlockwiseTarget(plain) : plain;
    for (VectorFile.Group group : read(file)) {
      if (blockwise && showsTrapFlag(group.name())) {
        continue;
      }
      for (VectorFile.Recorded recorded : group.cases()) {
        VectorCase c = recorded.vectorCase();
        if (blockwise && !BlockwiseTarget.canRun(c, recorded.outcome())) {
          continue;
        }
        target.useImage(images[c.image]);
        String difference = comparison.differences(c, recorded.outcome(), target.run(c));
        if (!difference.isEmpty() && differences.size() < SHOWN) {
          differences.add(group.name() + ": " + difference + c);
        }
      }
    }
    return differences;
  }

  /** Instructions that let a program see TF, or that stop after an iteration because of it. */
  private static boolean showsTrapFlag(String name) {
    for (Operation operation :
        List.of(
            Operation.PUSHF,
            Operation.POPF,
            Operation.MOVS,
            Operation.STOS,
            Operation.LODS,
            Operation.SCAS,
            Operation.CMPS)) {
      if (name.contains(" " + operation + " ")) {
        return true;
      }
    }
    return false;
  }

  private static List<VectorFile.Group> read(String name) throws IOException {
    try (InputStream in = RecordedInstructionsTest.class.getResourceAsStream("/vectors/" + name)) {
      if (in == null) {
        throw new IOException("vectors/" + name + " is not on the class path");
      }
      return VectorFile.read(in);
    }
  }
}
