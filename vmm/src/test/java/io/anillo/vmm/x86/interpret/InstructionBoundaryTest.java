package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import org.junit.jupiter.api.Test;

/** What may happen between two instructions, and when: budgets, interrupts, debug exceptions. */
class InstructionBoundaryTest {
  private static final int DEBUG = 1;

  @Test
  void runStopsAfterExactlyItsBudget() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      // inc eax seven times; jmp back
      machine.code(SmallMachine.CODE, "ffc0ffc0ffc0ffc0ffc0ffc0ffc0 ebf0");
      machine.state.general[CpuState.RAX] = 0;
      long total = 0;
      for (int budget = 1; budget < 40; budget++) {
        long before = machine.state.instructions;
        assertThat(machine.cpu.run(budget)).isInstanceOf(Exit.Deadline.class);
        assertThat(machine.state.instructions - before).isEqualTo(budget);
        total += budget;
        assertThat(machine.state.general[CpuState.RAX]).isEqualTo(total - total / 8);
      }
    }
  }

  @Test
  void anInterruptWaitsForTheInstructionBehindSti() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "fb ffc0 ffc0");
      machine.state.general[CpuState.RAX] = 0;
      machine.controller.vector = 0x40;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(1);
      assertThat(machine.state.rip).isEqualTo(SmallMachine.HANDLERS + 0x40 * 4 + 1);
      machine.assertFault(0x40, SmallMachine.CODE + 3);
    }
  }

  @Test
  void anInterruptWaitsForTheInstructionBehindALoadOfSs() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      // mov ss,ecx; inc eax; inc eax
      machine.code(SmallMachine.CODE, "8ed1 ffc0 ffc0");
      machine.state.general[CpuState.RAX] = 0;
      machine.state.general[CpuState.RCX] = 0x10;
      machine.state.setRflags(0x302);
      machine.cpu.stateReplaced();
      machine.runToHalt();
      // Single-step is held off for one instruction.
      machine.assertFault(DEBUG, SmallMachine.CODE + 4);
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(1);
      assertThat(machine.state.debug[6] & 0x4000).isNotZero();
    }
  }

  @Test
  void singleStepTrapsBehindEveryInstruction() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "ffc0 ffc0");
      machine.state.setRflags(0x102);
      machine.cpu.stateReplaced();
      machine.runToHalt();
      machine.assertFault(DEBUG, SmallMachine.CODE + 2);
    }
  }

  @Test
  void aCodeBreakpointStopsBeforeItsInstruction() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "ffc0 ffc0 ffc0");
      machine.state.general[CpuState.RAX] = 0;
      machine.state.debug[1] = SmallMachine.CODE + 4;
      machine.state.debug[7] = 0x400 | 1 << 2;
      machine.cpu.stateReplaced();
      machine.runToHalt();
      machine.assertFault(DEBUG, SmallMachine.CODE + 4);
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(2);
      assertThat(machine.state.debug[6] & 0xF).isEqualTo(2);
    }
  }

  @Test
  void aDataBreakpointTrapsBehindTheWrite() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "8b03 8903 ffc0");
      machine.state.general[CpuState.RBX] = SmallMachine.DATA;
      machine.state.debug[0] = SmallMachine.DATA + 2;
      // Writes, two bytes.
      machine.state.debug[7] = 0x400 | 1 | 1 << 16 | 1 << 18;
      machine.cpu.stateReplaced();
      machine.runToHalt();
      machine.assertFault(DEBUG, SmallMachine.CODE + 4);
      assertThat(machine.state.debug[6] & 0xF).isEqualTo(1);
    }
  }

  @Test
  void aRepeatedInstructionIsInterruptedInTheMiddleAndGoesOn() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "f3a4");
      CpuState state = machine.state;
      state.general[CpuState.RCX] = 0x6000;
      state.general[CpuState.RSI] = 0x14_0000;
      state.general[CpuState.RDI] = 0x15_0001;
      for (int i = 0; i < 0x6000; i++) {
        machine.memory.putByte(0x14_0000 + i, (byte) (i * 7));
      }
      assertThat(machine.cpu.run(2)).isInstanceOf(Exit.Deadline.class);
      assertThat(state.general[CpuState.RCX]).isBetween(1L, 0x5FFFL);
      assertThat(state.rip).isEqualTo(SmallMachine.CODE);
      state.setRflags(0x202);
      machine.controller.vector = 0x41;
      machine.runToHalt();
      machine.assertFault(0x41, SmallMachine.CODE);
      long left = state.general[CpuState.RCX];
      assertThat(state.general[CpuState.RSI]).isEqualTo(0x14_0000 + 0x6000 - left);
      // Back, as IRET would.
      state.rip = SmallMachine.CODE;
      state.halted = false;
      machine.cpu.stateReplaced();
      machine.runToHalt();
      assertThat(state.general[CpuState.RCX]).isZero();
      for (int i = 0; i < 0x6000; i++) {
        assertThat(machine.memory.getByte(0x15_0001 + i)).isEqualTo((byte) (i * 7));
      }
    }
  }

  @Test
  void aFaultInTheMiddleOfARepetitionLeavesExactCounts() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.memory.putLong(SmallMachine.TABLE + 0x152 * 8, 0);
      machine.code(SmallMachine.CODE, "f3ab");
      CpuState state = machine.state;
      state.general[CpuState.RAX] = 0x1020_3040;
      state.general[CpuState.RCX] = 0x1000;
      state.general[CpuState.RDI] = 0x15_1FF8;
      machine.runToHalt();
      machine.assertFault(14, SmallMachine.CODE);
      assertThat(state.cr2).isEqualTo(0x15_2000);
      assertThat(state.general[CpuState.RCX]).isEqualTo(0xFFE);
      assertThat(state.general[CpuState.RDI]).isEqualTo(0x15_2000);
    }
  }
}
