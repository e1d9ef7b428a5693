package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.hypercall.InterprocessorCalls;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.machine.TestBoard;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** VMCALL and VMMCALL, and a kick that ends HLT. */
class HypercallTest {
  private static final String VMCALL = "0f01c1", VMMCALL = "0f01d9";
  private static final int UNDEFINED = 6;

  private final SmallMachine machine = new SmallMachine();
  private final TestBoard board = new TestBoard();

  @AfterEach
  void close() {
    machine.close();
    board.close();
  }

  private void offer() {
    machine.cpu.paravirtual =
        new ParavirtualProcessor(
            machine.state,
            board.board,
            machine.controller,
            InterprocessorCalls.NONE,
            (function, a, b, c) -> function * 1000L + a * 100 + b * 10 + c,
            1_000_000_000);
  }

  @Test
  void bothInstructionsCall() {
    for (String instruction : new String[] {VMCALL, VMMCALL}) {
      machine.reset();
      machine.longMode(true);
      offer();
      machine.code(SmallMachine.CODE, instruction);
      machine.state.general[CpuState.RAX] = ParavirtualProcessor.OWN_CALLS + 4;
      machine.state.general[CpuState.RBX] = 3;
      machine.state.general[CpuState.RCX] = 2;
      machine.state.general[CpuState.RDX] = 1;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(4321);
      assertThat(machine.state.rip).isEqualTo(SmallMachine.CODE + 4);
    }
  }

  @Test
  void withoutTheInterfaceThereIsNoSuchInstruction() {
    for (String instruction : new String[] {VMCALL, VMMCALL}) {
      machine.reset();
      machine.longMode(true);
      machine.code(SmallMachine.CODE, instruction);
      machine.runToHalt();
      machine.assertFault(UNDEFINED, SmallMachine.CODE);
    }
  }

  @Test
  void aKickEndsTheHaltItFindsOrTheNext() {
    machine.longMode(true);
    // hlt; inc ebx; hlt
    machine.code(SmallMachine.CODE, "f4ffc3");
    assertThat(machine.cpu.run(100)).isEqualTo(new Exit.Halted());
    assertThat(machine.cpu.run(100)).isEqualTo(new Exit.Halted());
    machine.cpu.wake();
    assertThat(machine.cpu.run(100)).isEqualTo(new Exit.Halted());
    assertThat(machine.state.general[CpuState.RBX]).isEqualTo(1);
    machine.longMode(true);
    machine.state.halted = false;
    machine.cpu.wake();
    assertThat(machine.cpu.run(100)).isEqualTo(new Exit.Halted());
    assertThat(machine.state.general[CpuState.RBX]).as("went through the first HLT").isEqualTo(2);
  }
}
