package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/**
 * Replays what a real processor (AMD EPYC, Linux 6) did in ring 3 with far returns at the limits of
 * stacks of all kinds. The recorder is src/test/recorder/system/stacks.c.
 */
class StackLimitRecordingTest {
  private static final long STACK = 0x2002_0000L, TARGET = 0x100;
  private static final int FLAGS = 0x202;

  private final List<String[]> entries = new ArrayList<>();

  /** Compatibility mode in ring 3 with the LDT of the recorder and one of its stacks. */
  private Guest guest(int stackSelector, long pointer) {
    Guest guest = Guest.compatibility();
    guest.state.segmentBase[CpuState.LDTR] = TestProcessor.LDT;
    guest.state.segmentAccess[CpuState.LDTR] = 0x82;
    guest.state.segmentLimit[CpuState.LDTR] = entries.size() * 8L - 1;
    for (String[] entry : entries) {
      long base = Long.parseLong(entry[2], 16);
      long limit = Long.parseLong(entry[3], 16);
      long access = Long.parseLong(entry[4], 16);
      guest.write(
          TestProcessor.LDT + Long.parseLong(entry[1]) * 8,
          8,
          limit & 0xFFFF
              | (base & 0xFF_FFFF) << 16
              | (access & 0xF0FF) << 40
              | (limit & 0xF_0000) << 32
              | (base & 0xFF00_0000L) << 32);
    }
    SegmentLoader.load(guest.processor, SS, stackSelector);
    guest.state.general[RSP] = pointer;
    return guest;
  }

  private static void put(Guest guest, long offset, int bytes, long value) {
    boolean big = (guest.state.segmentAccess[SS] & CpuState.ACCESS_BIG) != 0;
    for (int i = 0; i < bytes; i++) {
      long at = offset + i & (big ? 0xFFFF_FFFFL : 0xFFFF);
      if (at < 0x2_0000) {
        guest.write(STACK + at, 1, value >> 8 * i & 0xFF);
      }
    }
  }

  @Test
  void farReturnsAtTheStacksLimitBehaveAsOnARealProcessor() throws IOException {
    int cases = 0;
    List<String> differences = new ArrayList<>();
    try (InputStream stream = Objects.requireNonNull(getClass().getResourceAsStream("stacks.txt"));
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(stream, StandardCharsets.US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] fields = line.split(" ");
        if (fields[0].equals("entry")) {
          entries.add(fields);
          continue;
        }
        cases++;
        String ours = replay(fields);
        if (!ours.equals(line)) {
          differences.add(line + " but ours: " + ours);
        }
      }
    }
    assertThat(differences).isEmpty();
    assertThat(cases).isGreaterThan(2000);
  }

  private String replay(String[] fields) {
    String code = fields[0];
    int selector = Integer.parseInt(fields[3], 16);
    long pointer = Long.parseLong(fields[2], 16);
    Guest guest = guest(Integer.parseInt(fields[1], 16), pointer);
    int bytes = code.startsWith("66") ? 2 : 4;
    put(guest, pointer, bytes, TARGET);
    put(guest, pointer + bytes, bytes, selector);
    put(guest, pointer + 2L * bytes, bytes, FLAGS);
    String head = String.join(" ", fields[0], fields[1], fields[2], fields[3]);
    TestProcessor processor = guest.processor;
    try {
      switch (code.replaceFirst("^66", "")) {
        case "cb" -> FarReturn.ret(processor, bytes, 0);
        case "ca0800" -> FarReturn.ret(processor, bytes, 8);
        case "cf" -> FarReturn.interruptReturn(processor, bytes, 1);
        default -> throw new AssertionError("a code that is not known: " + code);
      }
    } catch (GuestFault fault) {
      return head + " " + fault.vector + " " + Integer.toHexString(fault.errorCode);
    }
    CpuState state = guest.state;
    return String.format(
        "%s ok %x %x %x", head, state.segmentSelector[CS], state.rip, state.general[RSP]);
  }
}
