package io.anillo.vmm.x86.decode;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Lengths agree with binutils' disassembler; bytes are decoded or refused. */
class DisassemblerAgreementTest {
  private static final int SLOT = 32;
  private static final int SLOTS = 20_000;
  private static final long SEED = 20260103;
  private static final Pattern LINE =
      Pattern.compile("^\\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\\s*(.*)$");

  /** A line of prefixes alone. */
  private static final Pattern PREFIXES =
      Pattern.compile(
          "((rex(\\.[WRXB]+)?|data16|data32|addr16|addr32|repz|repnz|lock|[c-gs]s)\\s*)+");

  @TempDir Path directory;

  @Test
  void lengthsOf64BitInstructionsAgree() throws Exception {
    assertThat(disagreements(CodeSize.CODE_64, "i386:x86-64")).isEmpty();
  }

  @Test
  void lengthsOf32BitInstructionsAgree() throws Exception {
    assertThat(disagreements(CodeSize.CODE_32, "i386")).isEmpty();
  }

  @Test
  void lengthsOf16BitInstructionsAgree() throws Exception {
    assertThat(disagreements(CodeSize.CODE_16, "i8086")).isEmpty();
  }

  @Test
  void bytesAreDecodedOrRefusedAndNothingElse() {
    SplittableRandom random = new SplittableRandom(SEED);
    Decoder decoder = new Decoder();
    byte[] bytes = new byte[20];
    int decoded = 0;
    for (int i = 0; i < 2_000_000; i++) {
      fill(bytes, 0, bytes.length, random);
      int available = 1 + random.nextInt(bytes.length);
      CodeSize size = CodeSize.values()[random.nextInt(3)];
      try {
        Instruction instruction = decoder.decode(bytes, 0, available, size);
        assertThat(instruction.length()).isBetween(1, Math.min(15, available));
        decoded++;
      } catch (DecodeException expected) {
        assertThat(expected.getMessage()).isNotEmpty();
      }
    }
    assertThat(decoded).isGreaterThan(500_000);
  }

  private List<String> disagreements(CodeSize size, String machine) throws Exception {
    assumeTrue(
        Files.isExecutable(Path.of("/usr/bin/objdump")), "binutils' objdump is not installed");
    byte[] code = new byte[SLOTS * SLOT];
    java.util.Arrays.fill(code, (byte) 0x90);
    SplittableRandom random = new SplittableRandom(SEED);
    for (int slot = 0; slot < SLOTS; slot++) {
      fill(code, slot * SLOT, 16, random);
    }
    Path blob = directory.resolve("code");
    Files.write(blob, code);
    Process objdump =
        new ProcessBuilder(
                "/usr/bin/objdump",
                "-D",
                "-b",
                "binary",
                "-m",
                machine,
                "--insn-width=16",
                "-z",
                blob.toString())
            .redirectErrorStream(true)
            .start();
    Decoder decoder = new Decoder();
    List<String> found = new ArrayList<>();
    int compared = 0;
    try (var lines = objdump.inputReader(StandardCharsets.US_ASCII)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Matcher matcher = LINE.matcher(line);
        if (!matcher.matches()) {
          continue;
        }
        int at = Integer.parseInt(matcher.group(1), 16);
        int length = matcher.group(2).length() / 3;
        String text = matcher.group(3);
        int end = (at | SLOT - 1) + 1;
        Instruction instruction;
        try {
          instruction = decoder.decode(code, at, Math.min(end + SLOT, code.length), size);
        } catch (DecodeException undefined) {
          continue;
        }
        if (text.contains("(bad)") || isApart(instruction, text)) {
          continue;
        }
        compared++;
        if (instruction.length() != length) {
          found.add(
              "%s is %d bytes, not %d: %s"
                  .formatted(instruction, instruction.length(), length, line.trim()));
        }
      }
    }
    assertThat(objdump.waitFor()).isZero();
    assertThat(compared).isGreaterThan(SLOTS);
    return found.subList(0, Math.min(found.size(), 30));
  }

  /** Where the disassembler shows prefixes as instructions, or other processors' instructions. */
  private static boolean isApart(Instruction instruction, String text) {
    if (PREFIXES.matcher(text).matches()) {
      return true;
    }
    return switch (instruction.operation()) {
      // It shows a waiting form as one instruction.
      case FWAIT -> true;
      // UD0 and UD1 end at the opcode on AMD's processors.
      case UD0, UD1 -> true;
      default -> false;
    };
  }

  private static void fill(byte[] bytes, int at, int length, SplittableRandom random) {
    byte[] piece = new byte[length];
    random.nextBytes(piece);
    int start = 0;
    if (random.nextInt(3) == 0) {
      byte[] prefixes = {0x66, 0x67, (byte) 0xF2, (byte) 0xF3, 0x2E, 0x64};
      piece[start++] = prefixes[random.nextInt(prefixes.length)];
    }
    if (random.nextInt(3) == 0) {
      piece[start++] = (byte) (0x40 | random.nextInt(16));
    }
    if (random.nextInt(2) == 0) {
      piece[start++] = 0x0F;
    }
    System.arraycopy(piece, 0, bytes, at, length);
  }
}
