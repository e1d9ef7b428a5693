package io.anillo.vmm.x86.vector;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.DecodeException;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operation;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Tells where two outcomes of a case differ in what the architecture defines. */
final class Comparison {
  private static final int FLAGS =
      CpuState.ARITHMETIC_FLAGS
          | CpuState.TF
          | CpuState.IF
          | CpuState.DF
          | CpuState.NT
          | CpuState.RF
          | CpuState.AC
          | CpuState.ID;

  private static final int PAGE_FAULT = 14;

  private final Decoder decoder = new Decoder();

  /** The first instruction of a case; null when it cannot be decoded. */
  @Nullable Instruction instruction(VectorCase c) {
    CodeSize size =
        c.segments().code64()
            ? CodeSize.CODE_64
            : c.segments().code16() ? CodeSize.CODE_16 : CodeSize.CODE_32;
    try {
      return decoder.decode(c.code, 0, c.code.length, size);
    } catch (DecodeException e) {
      return null;
    }
  }

  /** What differs, as a sentence; empty when nothing does. */
  String differences(VectorCase c, VectorOutcome expected, VectorOutcome actual) {
    StringBuilder text = new StringBuilder();
    if (UndefinedResults.faults(instruction(c)) && expected.vector >= 4) {
      return "";
    }
    compare(text, "vector", expected.vector, actual.vector);
    if (expected.vector == VectorOutcome.TIMED_OUT
        || (UndefinedResults.partial(instruction(c)) && expected.vector >= 4)) {
      return text.toString();
    }
    Instruction instruction = instruction(c);
    if (expected.vector == actual.vector) {
      if (expected.vector >= 10 && expected.vector <= 17 && expected.vector != 16) {
        // Linux hides whether a page above the user's half is present.
        long mask = expected.vector == PAGE_FAULT && expected.cr2 < 0 ? ~1L : -1L;
        compare(text, "error code", expected.error & mask, actual.error & mask);
      }
      if (expected.vector == PAGE_FAULT) {
        compare(text, "CR2", expected.cr2, actual.cr2);
      }
    }
    compare(text, "RIP", expected.rip, actual.rip);
    int flagMask = FLAGS & ~UndefinedResults.flags(c, instruction);
    compare(text, "flags", expected.flags & flagMask, actual.flags & flagMask);
    compare(text, "CS", expected.cs, actual.cs);
    compare(text, "SS", expected.ss, actual.ss);
    int undefined = UndefinedResults.register(c, instruction);
    for (int i = 0; i < 16; i++) {
      // Returning to a 16-bit stack leaves bits of the kernel's stack pointer above bit 31.
      long mask = i == CpuState.RSP && !c.segments().code64() ? 0xFFFF_FFFFL : -1L;
      if (i != undefined) {
        compare(text, "register " + i, expected.general[i] & mask, actual.general[i] & mask);
      }
    }
    if (c.segments().code64()) {
      compare(text, "FS base", expected.fsBase, actual.fsBase);
      compare(text, "GS base", expected.gsBase, actual.gsBase);
    }
    boolean undefinedMemory = UndefinedResults.memory(c, instruction);
    var offsets = new TreeSet<>(expected.changes.keySet());
    offsets.addAll(actual.changes.keySet());
    for (int offset : offsets) {
      if (undefinedMemory) {
        break;
      }
      Long want = expected.changes.get(offset);
      Long got = actual.changes.get(offset);
      if (want == null || got == null) {
        text.append("data at %x became %s, not %s; ".formatted(offset, hex(got), hex(want)));
      } else {
        compare(text, "data at " + Integer.toHexString(offset), want, got);
      }
    }
    if (c.floatingMatters()) {
      compareFloating(text, instruction, expected.floating, actual.floating);
    }
    return text.toString();
  }

  private static String hex(@Nullable Long value) {
    return value == null ? "unchanged" : Long.toHexString(value);
  }

  private static void compareFloating(
      StringBuilder text, @Nullable Instruction instruction, byte[] expected, byte[] actual) {
    ByteBuffer want = ByteBuffer.wrap(expected).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer got = ByteBuffer.wrap(actual).order(ByteOrder.LITTLE_ENDIAN);
    int status = 0xFFFF & ~UndefinedResults.status(instruction);
    compare(text, "FCW", want.getShort(0) & 0xFFFF, got.getShort(0) & 0xFFFF);
    compare(text, "FSW", want.getShort(2) & status, got.getShort(2) & status);
    compare(text, "tags", want.get(4) & 0xFF, got.get(4) & 0xFF);
    compare(text, "MXCSR", want.getInt(24), got.getInt(24));
    boolean approximate =
        instruction != null
            && (instruction.operation() == Operation.RCPPS
                || instruction.operation() == Operation.RCPSS
                || instruction.operation() == Operation.RSQRTPS
                || instruction.operation() == Operation.RSQRTSS);
    for (int i = 0; i < 8 && !UndefinedResults.transcendental(instruction); i++) {
      compare(text, "ST" + i, want.getLong(32 + 16 * i), got.getLong(32 + 16 * i));
      compare(
          text,
          "exponent of ST" + i,
          want.getShort(40 + 16 * i) & 0xFFFF,
          got.getShort(40 + 16 * i) & 0xFFFF);
    }
    for (int i = 0; i < 32 && !approximate; i++) {
      compare(text, "XMM" + i / 2, want.getLong(160 + 8 * i), got.getLong(160 + 8 * i));
    }
  }

  private static void compare(StringBuilder text, String what, long expected, long actual) {
    if (expected != actual) {
      text.append("%s is %x, not %x; ".formatted(what, actual, expected));
    }
  }
}
