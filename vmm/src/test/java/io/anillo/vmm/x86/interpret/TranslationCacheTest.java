package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

/** When a changed page table must be seen: INVLPG, CR3, global pages (Intel SDM vol. 3A §4.10). */
class TranslationCacheTest {
  private static final int FIRST = 0x8_0000, SECOND = 0x8_1000;
  private static final int ENTRY = SmallMachine.TABLE + (FIRST >> 12) * 8;

  /** mov eax,[rbx]; mov [rsi],rdi (the page-table entry); {@code between}; mov ecx,[rbx]. */
  private static SmallMachine read(String between, boolean global) {
    SmallMachine machine = new SmallMachine();
    machine.longMode(true);
    machine.memory.putInt(FIRST, 1);
    machine.memory.putInt(SECOND, 2);
    long rights = 7 | (global ? SmallMachine.GLOBAL : 0);
    machine.memory.putLong(ENTRY, FIRST | rights);
    machine.code(SmallMachine.CODE, "8b03 48893e" + between + "8b0b");
    CpuState state = machine.state;
    state.general[CpuState.RBX] = FIRST;
    state.general[CpuState.RSI] = ENTRY;
    state.general[CpuState.RDI] = SECOND | rights;
    machine.runToHalt();
    assertThat(state.general[CpuState.RAX]).isEqualTo(1);
    return machine;
  }

  @Test
  void invlpgMakesAChangeVisible() {
    try (SmallMachine machine = read("0f013b", false)) {
      assertThat(machine.state.general[CpuState.RCX]).isEqualTo(2);
    }
  }

  @Test
  void invlpgDropsGlobalPagesToo() {
    try (SmallMachine machine = read("0f013b", true)) {
      assertThat(machine.state.general[CpuState.RCX]).isEqualTo(2);
    }
  }

  @Test
  void loadingCr3MakesAChangeVisible() {
    try (SmallMachine machine = read("0f20da 0f22da", false)) {
      assertThat(machine.state.general[CpuState.RCX]).isEqualTo(2);
    }
  }

  @Test
  void changingGlobalPagesInCr4DropsThem() {
    // mov rdx,cr4; xor dl,80; mov cr4,rdx
    try (SmallMachine machine = read("0f20e2 80f280 0f22e2", true)) {
      assertThat(machine.state.general[CpuState.RCX]).isEqualTo(2);
    }
  }

  @Test
  void codeIsFetchedThroughTheNewTranslationAfterInvlpg() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      // Both pages: inc of a register, then jmp rbp.
      machine.code(FIRST, "48ffc0 ffe5");
      machine.code(SECOND, "48ffc1 ffe5");
      // lea rbp,[rip+2]; jmp rbx; mov [rsi],rdi; invlpg [rbx]; lea rbp,[rip+2]; jmp rbx; hlt
      machine.code(SmallMachine.CODE, "488d2d02000000 ffe3 48893e 0f013b 488d2d02000000 ffe3");
      CpuState state = machine.state;
      state.general[CpuState.RBX] = FIRST;
      state.general[CpuState.RSI] = ENTRY;
      state.general[CpuState.RDI] = SECOND | 7;
      machine.runToHalt();
      assertThat(state.general[CpuState.RAX]).isEqualTo(1);
      assertThat(state.general[CpuState.RCX]).isEqualTo(1);
    }
  }
}
