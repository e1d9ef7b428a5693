package io.anillo.vmm.x86.execute.simd;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.GuestFault;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** The recording {@code vectors/simd.bin.gz}, whose format {@code recorder/simd/record.c} tells. */
final class SimdVectors {
  private static final int POOL = 1024;
  private static final int INTEGER = 0, SHIFT = 1, STRING = 4;

  /** Where a result is, in the recorder's order. */
  private enum Result {
    XMM,
    MMX,
    RAX,
    FLAGS,
    INDEX,
    MASK,
    CRC
  }

  /** One instruction form and its cases, which follow in {@link #data} at {@code offset}. */
  record Group(String name, int form, int result, int operands, int cases, int offset) {
    boolean isApproximation() {
      return name.startsWith("RCP") || name.startsWith("RSQRT");
    }

    @Override
    public String toString() {
      return name + " form " + form + " to " + Result.values()[result];
    }
  }

  private static final int CASE_BYTES = 32;

  private final ByteBuffer data;
  private final long[][][] pools = new long[5][POOL][2];
  private final List<Group> groups = new ArrayList<>();
  private final SmallProcessor processor;
  private final SimdUnit unit;
  private final CpuState state;

  SimdVectors(GuestMemory memory) {
    processor = new SmallProcessor(memory);
    unit = new SimdUnit(processor);
    state = processor.state;
    try (InputStream in = SimdVectors.class.getResourceAsStream("/vectors/simd.bin.gz")) {
      if (in == null) {
        throw new IllegalStateException("vectors/simd.bin.gz is not on the class path");
      }
      data = ByteBuffer.wrap(new GZIPInputStream(in).readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    for (long[][] pool : pools) {
      for (long[] operand : pool) {
        operand[0] = data.getLong();
        operand[1] = data.getLong();
      }
    }
    for (int remaining = data.getShort(); remaining > 0; remaining--) {
      byte[] name = new byte[data.get()];
      data.get(name);
      Group group =
          new Group(
              new String(name, StandardCharsets.US_ASCII),
              data.get(),
              data.get(),
              data.get(),
              data.getShort() & 0xFFFF,
              data.position());
      groups.add(group);
      data.position(group.offset + group.cases * CASE_BYTES);
    }
  }

  List<Group> groups() {
    return groups;
  }

  /** Replays one form; returns what differed from the recording, one line for each case. */
  List<String> replay(Group group) {
    List<String> differences = new ArrayList<>();
    for (int index = 0; index < group.cases; index++) {
      String difference = replay(group, group.offset + index * CASE_BYTES);
      if (!difference.isEmpty()) {
        differences.add(group + " case " + index + ": " + difference);
      }
    }
    return differences;
  }

  private String replay(Group group, int at) {
    Result kind = Result.values()[group.result];
    long[] a = pools[group.operands == SHIFT ? INTEGER : group.operands][data.getShort(at)];
    long[] b = pools[group.operands][data.getShort(at + 2)];
    long[] c = pools[group.operands == STRING ? STRING : INTEGER][data.getShort(at + 4)];
    int immediate = data.get(at + 6) & 0xFF;
    boolean trapped = data.get(at + 7) != 0;
    int mxcsr = data.getShort(at + 8) & 0xFFFF;
    state.mxcsr = mxcsr;
    state.cr4 = CpuState.CR4_OSFXSR | CpuState.CR4_OSXMMEXCPT;
    state.x87Top = 3;
    state.x87Valid = 0;
    state.setArithmeticFlags(CpuState.ZF | CpuState.PF);
    setXmm(0, c);
    setXmm(1, a);
    setXmm(2, b);
    state.x87Significand[1] = a[0];
    state.general[CpuState.RAX] = c[0];
    state.general[CpuState.RDX] = c[1];
    state.general[CpuState.RCX] = b[0];
    long low = 0;
    boolean faulted = false;
    try {
      low = run(group, kind, a, b, c, immediate);
    } catch (GuestFault fault) {
      faulted = fault.vector == GuestFault.SIMD;
    }
    StringBuilder difference = new StringBuilder();
    compare(difference, "trapped", trapped ? 1 : 0, faulted ? 1 : 0);
    compare(difference, "MXCSR", data.getShort(at + 10) & 0xFFFF, state.mxcsr);
    // The recorder did not look at the x87 state of what trapped; vectors of machine code do.
    if (!trapped) {
      compare(difference, "tags", data.get(at + 30) & 0xFF, state.x87Valid);
      compare(difference, "TOP", data.get(at + 31), state.x87Top);
    }
    if (!trapped) {
      compareResult(difference, group, kind, low, at);
      compare(difference, "flags", data.getShort(at + 12) & 0x8D5, state.arithmeticFlags());
    } else {
      compare(difference, "XMM1", a[0], unit.low(1));
      compare(difference, "XMM1 high", a[1], unit.high(1));
    }
    if (!difference.isEmpty()) {
      difference.append(
          " for %x:%x, %x:%x, %x:%x, immediate %x, MXCSR %x"
              .formatted(a[1], a[0], b[1], b[0], c[1], c[0], immediate, mxcsr));
    }
    return difference.toString();
  }

  private void setXmm(int register, long[] value) {
    state.xmm[2 * register] = value[0];
    state.xmm[2 * register + 1] = value[1];
  }

  private long run(Group group, Result kind, long[] a, long[] b, long[] c, int immediate) {
    if (kind == Result.CRC) {
      int sizeBytes = group.name.charAt(group.name.length() - 1) - '0';
      return Crc32.update(c[0], cut(b[0], sizeBytes), sizeBytes);
    }
    SimdOperation operation = SimdOperation.valueOf(group.name);
    long source = b[0];
    if (group.name.startsWith("CVTSI2")) {
      source = (group.form & SimdUnit.FORM_WIDE) != 0 ? source : (int) source;
    } else if ((group.form & SimdUnit.FORM_MEMORY) != 0) {
      source = cut(source, operation.memoryBytes(group.form));
    }
    unit.checkAvailable(operation, group.form);
    if (kind == Result.RAX) {
      return unit.toGeneral(operation, source, b[1], immediate, group.form);
    }
    boolean shiftByImmediate =
        operation.shape() == SimdOperation.Shape.SHIFT && group.operands == INTEGER;
    unit.execute(operation, 1, shiftByImmediate ? immediate : source, b[1], immediate, group.form);
    return 0;
  }

  private static long cut(long value, int sizeBytes) {
    return sizeBytes >= 8 ? value : value & ((1L << (8 * sizeBytes)) - 1);
  }

  private void compareResult(StringBuilder difference, Group group, Result kind, long low, int at) {
    long expected = data.getLong(at + 14);
    long expectedHigh = data.getLong(at + 22);
    switch (kind) {
      case XMM -> {
        if (group.isApproximation()) {
          compareApproximately(difference, expected, unit.low(1));
          compareApproximately(difference, expectedHigh, unit.high(1));
        } else {
          compare(difference, "low", expected, unit.low(1));
          compare(difference, "high", expectedHigh, unit.high(1));
        }
      }
      case MMX -> {
        compare(difference, "MM1", expected, unit.mmx(1));
        compare(difference, "exponent of MM1", expectedHigh, state.x87SignExponent[1]);
      }
      case MASK -> {
        compare(difference, "low", expected, unit.low(0));
        compare(difference, "high", expectedHigh, unit.high(0));
      }
      case RAX, CRC -> compare(difference, "value", expected, low);
      case INDEX -> compare(difference, "index", expected, state.general[CpuState.RCX]);
      case FLAGS -> {}
    }
  }

  private static void compare(StringBuilder difference, String what, long expected, long actual) {
    if (expected != actual) {
      difference.append(" %s is %x, not %x;".formatted(what, actual, expected));
    }
  }

  /** Two approximations of one number, each with a relative error below 1.5 * 2^-12. */
  private static void compareApproximately(StringBuilder difference, long expected, long actual) {
    for (int shift = 0; shift < 64; shift += 32) {
      int expectedBits = (int) (expected >> shift);
      int actualBits = (int) (actual >> shift);
      double expectedValue = Float.intBitsToFloat(expectedBits);
      double actualValue = Float.intBitsToFloat(actualBits);
      boolean close =
          Math.abs(expectedValue - actualValue) < Math.abs(expectedValue) * 2 * 1.5 * 0x1p-12;
      if (expectedBits != actualBits && !close) {
        difference.append(" lane is %x, not %x;".formatted(actualBits, expectedBits));
      }
    }
  }
}
