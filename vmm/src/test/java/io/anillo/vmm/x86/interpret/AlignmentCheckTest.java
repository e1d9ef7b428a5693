package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Which accesses of ring 3 under CR0.AM and EFLAGS.AC raise #AC, byte by byte over two times 16: as
 * an AMD EPYC did it.
 */
class AlignmentCheckTest {
  private static final int DATA = 0x30000;
  private static final String BY_2 = ".A.A.A.A.A.A.A.A.";
  private static final String BY_4 = ".AAA.AAA.AAA.AAA.";
  private static final String BY_8 = ".AAAAAAA.AAAAAAA.";
  private static final String BY_16 = ".AAAAAAAAAAAAAAA.";
  private static final String ALIGNED = ".GGGGGGGGGGGGGGG.";

  /** Instructions with a memory operand at RSI, or RDI, and how each offset ends. */
  static Stream<Arguments> accesses() {
    return Stream.of(
        Arguments.of("movups load", "0f1006", BY_16),
        Arguments.of("movups store", "0f1106", BY_16),
        Arguments.of("movdqu load", "f30f6f06", BY_16),
        Arguments.of("movdqu store", "f30f7f06", BY_16),
        Arguments.of("lddqu", "f20ff006", BY_16),
        Arguments.of("pcmpistri", "660f3a630600", BY_16),
        Arguments.of("movaps load", "0f2806", ALIGNED),
        Arguments.of("movaps store", "0f2906", ALIGNED),
        Arguments.of("paddd", "660ffe06", ALIGNED),
        Arguments.of("addps", "0f5806", ALIGNED),
        Arguments.of("movntdqa", "660f382a06", ALIGNED),
        Arguments.of("movsd", "f20f1006", BY_8),
        Arguments.of("movss", "f30f1006", BY_4),
        Arguments.of("movq", "f30f7e06", BY_8),
        Arguments.of("movhps store", "0f1706", BY_8),
        Arguments.of("cvtps2pd", "0f5a06", BY_8),
        Arguments.of("pmovzxbd", "660f383106", BY_4),
        Arguments.of("pmovzxbq", "660f383206", BY_2),
        Arguments.of("movddup", "f20f1206", BY_8),
        Arguments.of("pinsrw", "660fc40600", BY_2),
        Arguments.of("maskmovdqu", "660ff7c1", BY_8),
        Arguments.of("mov rax", "488b06", BY_8),
        Arguments.of("movnti", "480fc306", BY_8),
        Arguments.of("fld m80", "db2e", BY_8),
        Arguments.of("stmxcsr", "0fae1e", BY_4));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("accesses")
  void misalignedAccessesOfRing3(String name, String code, String expected) {
    StringBuilder found = new StringBuilder();
    try (SmallMachine machine = new SmallMachine()) {
      for (int offset = 0; offset < expected.length(); offset++) {
        machine.reset();
        machine.longMode(true);
        machine.state.cr0 |= CpuState.CR0_AM;
        machine.userMode();
        machine.state.setRflags(CpuState.AC | 2);
        machine.state.xmm[2] = -1;
        machine.state.xmm[3] = -1;
        machine.state.general[CpuState.RSI] = DATA + offset;
        machine.state.general[CpuState.RDI] = DATA + offset;
        machine.cpu.stateReplaced();
        machine.code(SmallMachine.CODE, code);
        machine.runToHalt();
        long vector = (machine.state.rip - 1 - SmallMachine.HANDLERS) / SmallMachine.HANDLER_BYTES;
        boolean halted =
            machine.memory.getLong(machine.state.general[CpuState.RSP] + 8)
                == SmallMachine.CODE + code.length() / 2;
        if (vector == GuestFault.ALIGNMENT) {
          assertThat(machine.errorCode()).isZero();
          machine.assertFault(GuestFault.ALIGNMENT, SmallMachine.CODE);
        }
        // The HLT behind the instruction is not for ring 3 either.
        found.append(
            vector == GuestFault.ALIGNMENT
                ? 'A'
                : vector == GuestFault.GENERAL_PROTECTION ? (halted ? '.' : 'G') : '?');
      }
    }
    assertThat(found.toString()).isEqualTo(expected);
  }
}
