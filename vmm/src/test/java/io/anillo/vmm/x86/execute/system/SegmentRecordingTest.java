package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.ES;
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
 * Replays what a real processor (AMD EPYC, Linux 6) did in ring 3 with segment loads, far transfers
 * and IRET over an LDT of all descriptor types. The recorder is src/test/recorder/system.
 */
class SegmentRecordingTest {
  private static final long STACK_TOP = 0x2000_2000L;
  private final List<String> entries = new ArrayList<>();

  /** 64-bit mode in ring 3 with the GDT of Linux and the LDT of the recorder. */
  private Guest guest() {
    Guest guest = Guest.long64(3);
    guest.descriptor(0x08, 0, 0xF_FFFF, Guest.FLAT | 0x9B);
    guest.descriptor(0x10, 0, 0xF_FFFF, Guest.FLAT64 | 0x9B);
    guest.descriptor(0x18, 0, 0xF_FFFF, Guest.FLAT | 0x93);
    guest.descriptor(0x20, 0, 0xF_FFFF, Guest.FLAT | 0xFB);
    guest.descriptor(0x28, 0, 0xF_FFFF, Guest.FLAT | 0xF3);
    guest.descriptor(0x30, 0, 0xF_FFFF, Guest.FLAT64 | 0xFB);
    guest.state.gdtLimit = 0x7F;
    guest.state.segmentBase[CpuState.LDTR] = TestProcessor.LDT;
    guest.state.segmentAccess[CpuState.LDTR] = 0x82;
    guest.state.segmentLimit[CpuState.LDTR] = entries.size() * 8L - 1;
    for (String entry : entries) {
      String[] fields = entry.split(" ");
      long limit = Long.parseLong(fields[2], 16);
      long access = Long.parseLong(fields[3], 16);
      long descriptor = limit & 0xFFFF | access << 40 | (limit & 0xF_0000) << 32;
      guest.write(TestProcessor.LDT + Long.parseLong(fields[1]) * 8, 8, descriptor);
    }
    SegmentLoader.load(guest.processor, SS, 0x2B);
    guest.state.general[RSP] = STACK_TOP;
    return guest;
  }

  @Test
  void segmentsBehaveAsOnARealProcessor() throws IOException {
    int cases = 0;
    List<String> differences = new ArrayList<>();
    try (InputStream stream =
            Objects.requireNonNull(getClass().getResourceAsStream("segments.txt"));
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(stream, StandardCharsets.US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("entry")) {
          entries.add(line);
          continue;
        }
        cases++;
        String ours = replay(line.split(" "));
        // A page fault is that of the fetch at the target: the transfer succeeded.
        boolean fetchFault = line.matches("(jump|call|ret|iret) .* 14 .*");
        if (fetchFault ? !ours.contains(" ok ") : !ours.equals(line)) {
          differences.add(line + " but ours: " + ours);
        }
      }
    }
    assertThat(differences).isEmpty();
    assertThat(cases).isGreaterThan(2000);
  }

  private String replay(String[] fields) {
    Guest guest = guest();
    TestProcessor processor = guest.processor;
    int selector = Integer.parseInt(fields[1], 16);
    String head = fields[0] + " " + fields[1];
    switch (fields[0]) {
      case "es", "ss" -> {
        int segment = fields[0].equals("es") ? ES : SS;
        return outcome(head, () -> SegmentLoader.load(processor, segment, selector), "ok");
      }
      case "lar", "lsl" -> {
        long answer =
            fields[0].equals("lar")
                ? SegmentQueries.accessRights(processor, selector)
                : SegmentQueries.limit(processor, selector);
        boolean visible = answer != SegmentQueries.NOT_VISIBLE;
        return head + (visible ? " 1 " + Long.toHexString(answer) : " 0 0");
      }
      case "verr" -> {
        return head + (SegmentQueries.isReadable(processor, selector) ? " 1" : " 0");
      }
      case "verw" -> {
        return head + (SegmentQueries.isWritable(processor, selector) ? " 1" : " 0");
      }
      default -> {
        return transfer(guest, fields, selector);
      }
    }
  }

  private static String transfer(Guest guest, String[] fields, int selector) {
    TestProcessor processor = guest.processor;
    long offset = Long.parseUnsignedLong(fields[3], 16);
    String head = String.join(" ", fields[0], fields[1], fields[2], fields[3]);
    Runnable action =
        switch (fields[0]) {
          case "jump" -> () -> FarTransfer.jump(processor, selector, offset, 0);
          case "call" -> () -> FarTransfer.call(processor, selector, offset, 4, 0);
          case "ret" -> {
            guest.push(8, selector, offset);
            yield () -> FarReturn.ret(processor, 8, 0);
          }
          default -> {
            int stack = Integer.parseInt(fields[2], 16);
            guest.push(8, stack, STACK_TOP, 0x202, selector, offset);
            yield () -> FarReturn.interruptReturn(processor, 8, 0);
          }
        };
    String result = outcome(head, action, "");
    CpuState state = guest.state;
    return result.equals(head + " ")
        ? String.format(
            "%s ok %x %x %x %x",
            head,
            state.segmentSelector[CS],
            state.segmentSelector[SS],
            state.rip,
            state.general[RSP])
        : result;
  }

  private static String outcome(String head, Runnable action, String success) {
    try {
      action.run();
      return head + " " + success;
    } catch (GuestFault fault) {
      return head + " " + fault.vector + " " + Integer.toHexString(fault.errorCode);
    }
  }
}
