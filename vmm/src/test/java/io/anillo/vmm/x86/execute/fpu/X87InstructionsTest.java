package io.anillo.vmm.x86.execute.fpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.GuestFault;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What an escape instruction does around its work: checks, faults, pointers and formats. */
class X87InstructionsTest {
  private static final long OPERAND = 0x1000;

  private final GuestMemory memory = new GuestMemory(1 << 20);
  private final FlatProcessor processor = new FlatProcessor(memory);
  private final CpuState state = processor.state;
  private final X87Instructions instructions = new X87Instructions(processor);

  @BeforeEach
  void startInProtectedMode() {
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_NE;
    instructions.unit().initialize();
  }

  @AfterEach
  void releaseMemory() {
    memory.close();
  }

  private void execute(int opcode, int modrm) {
    instructions.execute(opcode, modrm, OPERAND, 0x2345, 0x2B, 0x1234, true);
  }

  private int vectorOf(Runnable action) {
    GuestFault fault = catchThrowableOfType(GuestFault.class, action::run);
    return fault == null ? -1 : fault.vector;
  }

  @Test
  void encodingsThatAProcessorRefusesAreInvalidOpcodes() {
    TreeSet<Integer> refused = new TreeSet<>();
    for (int opcode = 0xD8; opcode <= 0xDF; opcode++) {
      for (int modrm = 0; modrm < 0x100; modrm += modrm < 0x38 ? 8 : modrm == 0x38 ? 0x88 : 1) {
        int encoding = opcode << 8 | modrm;
        instructions.unit().initialize();
        processor.store(OPERAND, 8, 0x37F);
        if (vectorOf(() -> execute(encoding >> 8, encoding & 0xFF)) == GuestFault.INVALID_OPCODE) {
          refused.add(encoding);
        }
      }
    }
    // What an AMD family 19h processor answers with SIGILL.
    TreeSet<Integer> expected = new TreeSet<>();
    addRange(expected, 0xD908, 0xD908);
    addRange(expected, 0xD9D1, 0xD9D7);
    addRange(expected, 0xD9E2, 0xD9E3);
    addRange(expected, 0xD9E6, 0xD9E7);
    addRange(expected, 0xD9EF, 0xD9EF);
    addRange(expected, 0xDAE0, 0xDAE8);
    addRange(expected, 0xDAEA, 0xDAFF);
    addRange(expected, 0xDB20, 0xDB20);
    addRange(expected, 0xDB30, 0xDB30);
    addRange(expected, 0xDBE5, 0xDBE7);
    addRange(expected, 0xDBF8, 0xDBFF);
    addRange(expected, 0xDD28, 0xDD28);
    addRange(expected, 0xDDF0, 0xDDFF);
    addRange(expected, 0xDED8, 0xDED8);
    addRange(expected, 0xDEDA, 0xDEDF);
    addRange(expected, 0xDFE1, 0xDFE7);
    addRange(expected, 0xDFF8, 0xDFFF);
    assertThat(refused).isEqualTo(expected);
  }

  private static void addRange(Set<Integer> encodings, int first, int last) {
    for (int encoding = first; encoding <= last; encoding++) {
      encodings.add(encoding);
    }
  }

  @Test
  void taskSwitchedOrEmulatedUnitIsNotAvailable() {
    for (long flag : new long[] {CpuState.CR0_TS, CpuState.CR0_EM}) {
      state.cr0 = CpuState.CR0_PE | flag;
      assertThat(vectorOf(() -> execute(0xD9, 0xE8))).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
      assertThat(vectorOf(() -> execute(0xDB, 0xE3))).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
      assertThat(vectorOf(instructions::waitForUnit)).isEqualTo(-1);
    }
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_TS | CpuState.CR0_MP;
    assertThat(vectorOf(instructions::waitForUnit)).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
    assertThat(vectorOf(instructions::checkMmx)).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_EM;
    assertThat(vectorOf(instructions::checkMmx)).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  private void divideOneByZeroUnmasked() {
    processor.store(OPERAND, 2, 0x37B);
    execute(0xD9, 0x28);
    execute(0xD9, 0xE8);
    execute(0xD9, 0xEE);
    execute(0xDE, 0xF9);
  }

  @Test
  void unmaskedExceptionIsRaisedByTheNextWaitingInstruction() {
    divideOneByZeroUnmasked();
    assertThat(instructions.unit().statusWord()).isEqualTo(0xB084);
    execute(0xDF, 0xE0);
    assertThat(state.general[CpuState.RAX]).isEqualTo(0xB084);
    assertThat(vectorOf(() -> execute(0xD9, 0xE8))).isEqualTo(GuestFault.X87);
    assertThat(vectorOf(() -> execute(0xD9, 0xD0))).isEqualTo(GuestFault.X87);
    assertThat(vectorOf(instructions::waitForUnit)).isEqualTo(GuestFault.X87);
    assertThat(vectorOf(instructions::checkMmx)).isEqualTo(GuestFault.X87);
    execute(0xDB, 0xE2);
    assertThat(vectorOf(instructions::waitForUnit)).isEqualTo(-1);
    assertThat(state.x87Top).isEqualTo(6);
  }

  @Test
  void withoutNumericErrorTheExternalLineIsAsked() {
    state.cr0 = CpuState.CR0_PE;
    int[] reports = {0};
    boolean[] ignored = {true};
    instructions.connect(() -> {
      reports[0]++;
      return ignored[0];
    });
    divideOneByZeroUnmasked();
    assertThat(reports[0]).isZero();
    assertThat(vectorOf(instructions::waitForUnit)).isEqualTo(-1);
    assertThat(reports[0]).isEqualTo(1);
    ignored[0] = false;
    assertThat(vectorOf(instructions::waitForUnit)).isEqualTo(GuestFault.X87);
  }

  @Test
  void storeThatFaultsLeavesTheUnitAsItWas() {
    execute(0xD9, 0xEB);
    String before = snapshot();
    int[] stores = {
      0xD910, 0xD918, 0xDB08, 0xDB10, 0xDB18, 0xDB38, 0xDD08, 0xDD10, 0xDD18, 0xDF08, 0xDF10,
      0xDF18, 0xDF30, 0xDF38, 0xD930, 0xD938, 0xDD30, 0xDD38
    };
    for (int store : stores) {
      // The last byte is out of reach.
      for (long limit = OPERAND; limit < OPERAND + 2; limit++) {
        processor.writeLimit = limit;
        assertThat(vectorOf(() -> execute(store >> 8, store & 0xFF)))
            .isEqualTo(GuestFault.PAGE_FAULT);
        assertThat(snapshot()).isEqualTo(before);
      }
    }
    processor.store(OPERAND - 8, 8, 0);
    processor.writeLimit = OPERAND + 9;
    for (int store : new int[] {0xDB38, 0xDF30, 0xDD30, 0xD930}) {
      assertThat(vectorOf(() -> execute(store >> 8, store & 0xFF)))
          .isEqualTo(GuestFault.PAGE_FAULT);
      assertThat(snapshot()).isEqualTo(before);
      assertThat(processor.load(OPERAND, 8)).isZero();
    }
  }

  @Test
  void loadThatFaultsLeavesTheUnitAsItWas() {
    execute(0xD9, 0xEB);
    String before = snapshot();
    int[] loads = {
      0xD800, 0xD900, 0xD928, 0xDA00, 0xDB00, 0xDB28, 0xDC00, 0xDD00, 0xDE00, 0xDF00, 0xDF20, 0xDF28
    };
    processor.readLimit = OPERAND + 1;
    for (int load : loads) {
      assertThat(vectorOf(() -> execute(load >> 8, load & 0xFF))).isEqualTo(GuestFault.PAGE_FAULT);
      assertThat(snapshot()).isEqualTo(before);
    }
    for (long limit = OPERAND; limit < OPERAND + 108; limit++) {
      processor.readLimit = limit;
      assertThat(vectorOf(() -> execute(0xDD, 0x20))).isEqualTo(GuestFault.PAGE_FAULT);
      assertThat(snapshot()).isEqualTo(before);
      if (limit < OPERAND + 28) {
        assertThat(vectorOf(() -> execute(0xD9, 0x20))).isEqualTo(GuestFault.PAGE_FAULT);
        assertThat(snapshot()).isEqualTo(before);
      }
    }
  }

  private String snapshot() {
    return String.format(
        "%x %x %x %x %x %x %x %x:%x",
        state.x87Control,
        instructions.unit().statusWord(),
        state.x87Valid,
        state.x87Opcode,
        state.x87InstructionPointer,
        state.x87DataPointer,
        state.x87DataSelector,
        state.x87SignExponent[7],
        state.x87Significand[7]);
  }

  @Test
  void pointersAreOfTheLastInstructionThatIsNotControl() {
    state.segmentSelector[CpuState.CS] = 0x23;
    processor.store(OPERAND, 4, 0x3F80_0000);
    instructions.execute(0xD9, 0x05, OPERAND, 0x77, 0x2B, 0x1000, true);
    instructions.execute(0xD9, 0xE0, 0, 0, 0, 0x1006, true);
    instructions.execute(0xD9, 0x7D, OPERAND, 0x99, 0x33, 0x1008, true);
    assertThat(state.x87Opcode).isEqualTo(0x1E0);
    assertThat(state.x87InstructionPointer).isEqualTo(0x1006);
    assertThat(state.x87InstructionSelector).isEqualTo(0x23);
    assertThat(state.x87DataPointer).isEqualTo(0x77);
    assertThat(state.x87DataSelector).isEqualTo(0x2B);
  }

  @Test
  void realModeEnvironmentHoldsLinearPointers() {
    state.cr0 = CpuState.CR0_NE;
    state.segmentSelector[CpuState.CS] = 0xF000;
    processor.store(OPERAND, 4, 0x3F80_0000);
    instructions.execute(0xD9, 0x06, OPERAND, 0x4321, 0x8000, 0xFFF0, false);
    execute(0xD9, 0x30);
    assertThat(processor.load(OPERAND + 12, 4)).isEqualTo(0xFFFF_FFF0L);
    assertThat(processor.load(OPERAND + 16, 4)).isEqualTo(0xF106);
    assertThat(processor.load(OPERAND + 20, 4)).isEqualTo(0xFFFF_4321L);
    assertThat(processor.load(OPERAND + 24, 4)).isEqualTo(0x8000);
    instructions.execute(0xD9, 0x30, OPERAND, 0, 0, 0, false);
    assertThat(processor.load(OPERAND + 6, 2)).isEqualTo(0xFFF0);
    assertThat(processor.load(OPERAND + 8, 2)).isEqualTo(0xF106);
    assertThat(processor.load(OPERAND + 10, 2)).isEqualTo(0x4321);
    assertThat(processor.load(OPERAND + 12, 2)).isEqualTo(0x8000);
    instructions.unit().initialize();
    instructions.execute(0xD9, 0x20, OPERAND, 0, 0, 0, false);
    assertThat(state.x87InstructionPointer).isEqualTo(0xFFFF0);
    assertThat(state.x87DataPointer).isEqualTo(0x84321);
    assertThat(state.x87Opcode).isEqualTo(0x106);
    assertThat(state.x87Valid).isEqualTo(0x80);
  }

  @Test
  void mmxRegistersAreTheSignificandsByPhysicalIndex() {
    execute(0xD9, 0xE8);
    X87.enterMmx(state);
    X87.writeMmx(state, 3, 0x1122334455667788L);
    assertThat(state.x87Top).isZero();
    assertThat(instructions.environment().tagWord() >> 6 & 3).isEqualTo(2);
    execute(0xD9, 0xC3);
    assertThat(state.x87Significand[7])
        .as("a full stack")
        .isEqualTo(Float80.INDEFINITE_SIGNIFICAND);
    assertThat(state.x87SignExponent[3]).isEqualTo(0xFFFF);
    X87.emptyMmx(state);
    assertThat(instructions.environment().tagWord()).isEqualTo(0xFFFF);
  }
}
