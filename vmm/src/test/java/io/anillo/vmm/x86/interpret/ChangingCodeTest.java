package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

/** Code that is written while it is cached or running is executed as it is then. */
class ChangingCodeTest {
  @Test
  void aStoreAheadInTheSameBlockIsSeenByTheNextInstruction() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      // mov byte [rbx],c2: the "inc eax" behind it becomes "inc edx"
      machine.code(SmallMachine.CODE, "c603c2 ffc0");
      machine.state.general[CpuState.RBX] = SmallMachine.CODE + 4;
      machine.state.general[CpuState.RAX] = 0;
      machine.state.general[CpuState.RDX] = 0;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isZero();
      assertThat(machine.state.general[CpuState.RDX]).isEqualTo(1);
    }
  }

  @Test
  void aStoreIntoAnotherPageOfCodeIsSeen() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      int other = SmallMachine.CODE + 0x1000;
      machine.code(other, "ffc0 c3");
      // call rbp; mov byte [rbx],c1 (inc ecx); call rbp
      machine.code(SmallMachine.CODE, "ffd5 c603c1 ffd5");
      clear(machine);
      machine.state.general[CpuState.RBP] = other;
      machine.state.general[CpuState.RBX] = other + 1;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(1);
      assertThat(machine.state.general[CpuState.RCX]).isEqualTo(1);
    }
  }

  @Test
  void aRepeatedStoreOverTheRunningInstructionEndsAsTheOldOneAndGoesOnWithTheNew() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      // rep stosb over what follows it: eight times "inc eax"s become f4, hlt
      machine.code(SmallMachine.CODE, "f3aa ffc2 ffc2");
      clear(machine);
      machine.state.general[CpuState.RDI] = SmallMachine.CODE + 2;
      machine.state.general[CpuState.RCX] = 4;
      machine.state.general[CpuState.RAX] = 0xF4;
      machine.runToHalt();
      assertThat(machine.state.rip).isEqualTo(SmallMachine.CODE + 3);
      assertThat(machine.state.general[CpuState.RDX]).isZero();
    }
  }

  @Test
  void codeWrittenByADeviceIsSeen() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "ffc0");
      clear(machine);
      machine.runToHalt();
      machine.code(SmallMachine.CODE, "ffc2");
      machine.state.rip = SmallMachine.CODE;
      machine.state.halted = false;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(1);
      assertThat(machine.state.general[CpuState.RDX]).isEqualTo(1);
    }
  }

  @Test
  void anInstructionAcrossTwoPagesIsSeenToChangeInTheSecond() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      int start = SmallMachine.CODE + 0x1000 - 2;
      // mov eax,imm32 with its last three bytes in the next page; ret
      machine.code(start, "b811000000 c3");
      machine.code(SmallMachine.CODE, "ffd5 89c2 c60322 ffd5");
      clear(machine);
      machine.state.general[CpuState.RBP] = start;
      machine.state.general[CpuState.RBX] = start + 2;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RDX]).isEqualTo(0x11);
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(0x2211);
    }
  }

  private static void clear(SmallMachine machine) {
    machine.state.general[CpuState.RAX] = 0;
    machine.state.general[CpuState.RCX] = 0;
    machine.state.general[CpuState.RDX] = 0;
  }
}
