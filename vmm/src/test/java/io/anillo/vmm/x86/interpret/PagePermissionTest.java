package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;

/**
 * Page walks: who may do what, error codes, accessed and dirty bits (Intel SDM vol. 3A §4.6-4.8).
 */
class PagePermissionTest {
  private static final int TARGET = SmallMachine.DATA;
  private static final int READ = 0, WRITE = 1, FETCH = 2;
  private static final int PAGE_FAULT = 14;
  private static final String[] ACCESS_CODE = {"8b03", "8903", "ffe3"};

  @Test
  void everyCombinationOfRightsAndControlsGivesTheFaultOfTheManual() {
    try (SmallMachine machine = new SmallMachine()) {
      for (boolean large : new boolean[] {false, true}) {
        for (int combination = 0; combination < 1 << 10; combination++) {
          for (int access = READ; access <= FETCH; access++) {
            check(machine, large, combination, access);
          }
        }
      }
    }
  }

  private static boolean bit(int value, int number) {
    return (value >> number & 1) != 0;
  }

  private static void check(SmallMachine machine, boolean large, int combination, int access) {
    boolean present = bit(combination, 0);
    boolean writableLeaf = bit(combination, 1);
    boolean userLeaf = bit(combination, 2);
    boolean noExecute = bit(combination, 3);
    boolean writableAbove = bit(combination, 4);
    boolean userMode = bit(combination, 5);
    boolean protect = bit(combination, 6);
    boolean smep = bit(combination, 7);
    boolean smap = bit(combination, 8);
    boolean reserved = bit(combination, 9);
    machine.cpu.reset();
    machine.makeTables();
    machine.longMode(true);
    CpuState state = machine.state;
    state.cr4 |= (smep ? CpuState.CR4_SMEP : 0) | (smap ? CpuState.CR4_SMAP : 0);
    if (!protect) {
      state.cr0 &= ~CpuState.CR0_WP;
    }
    for (int page = 0; page < 512; page++) {
      boolean code = page == SmallMachine.CODE >> 12;
      long rights = code && userMode ? 7 : 3;
      machine.memory.putLong(SmallMachine.TABLE + page * 8, (long) page << 12 | rights);
    }
    // The target has a directory entry of its own, so that its rights do not touch the rest.
    long linear = large ? 0x40_0000 : 0x20_0000 + (TARGET & 0x1F_F000);
    long leaf =
        (present ? 1 : 0)
            | (writableLeaf ? 2 : 0)
            | (userLeaf ? 4 : 0)
            | (noExecute ? SmallMachine.NO_EXECUTE : 0)
            | (reserved ? 1L << 45 : 0);
    long above = 1 | (writableAbove ? 2 : 0) | 4;
    int directory = SmallMachine.DIRECTORY + (int) (linear >> 21) * 8;
    if (large) {
      machine.memory.putLong(directory, leaf | SmallMachine.LARGE);
    } else {
      int table = 0x11_0000;
      machine.memory.putLong(directory, table | above);
      machine.memory.putLong(table + (int) (linear >> 12 & 511) * 8, leaf | TARGET);
    }
    boolean writable = writableLeaf && (large || writableAbove);
    machine.code(SmallMachine.CODE, ACCESS_CODE[access]);
    if (large && access == WRITE) {
      // Physical page 0 is behind the large page: keep what is there.
      state.general[CpuState.RAX] = machine.memory.getInt(0);
    }
    machine.memory.putByte(large ? 0 : TARGET, (byte) 0xF4);
    if (userMode) {
      machine.userMode();
    }
    state.general[CpuState.RBX] = linear;
    machine.cpu.stateReplaced();
    machine.runToHalt();

    int expected =
        expectedError(
            present, reserved, access, userMode, userLeaf, writable, noExecute, protect, smep,
            smap);
    String what = "combination %x access %d large %b".formatted(combination, access, large);
    if (expected < 0) {
      // HLT in ring 3, or behind the access, ends with #GP or halts.
      if (access == FETCH && !userMode) {
        assertThat(state.rip).as(what).isEqualTo(linear + 1);
      } else {
        assertThat(state.rip).as(what).isNotEqualTo(handler(PAGE_FAULT));
      }
    } else {
      assertThat(state.rip).as(what).isEqualTo(handler(PAGE_FAULT));
      assertThat(machine.errorCode()).as(what).isEqualTo(expected);
      assertThat(state.cr2).as(what).isEqualTo(linear);
    }
  }

  private static long handler(int vector) {
    return SmallMachine.HANDLERS + vector * 4 + 1;
  }

  /** The error code that the manual asks for, or -1 where the access is allowed. */
  private static int expectedError(
      boolean present,
      boolean reserved,
      int access,
      boolean userMode,
      boolean userPage,
      boolean writable,
      boolean noExecute,
      boolean protect,
      boolean smep,
      boolean smap) {
    int code = (access == WRITE ? 2 : 0) | (userMode ? 4 : 0) | (access == FETCH ? 16 : 0);
    if (!present) {
      return code;
    }
    if (reserved) {
      return code | 9;
    }
    boolean allowed;
    if (userMode) {
      allowed = userPage && (access != WRITE || writable) && (access != FETCH || !noExecute);
    } else {
      allowed =
          switch (access) {
            case FETCH -> !noExecute && !(userPage && smep);
            case WRITE -> !(userPage && smap) && (writable || !protect);
            default -> !(userPage && smap);
          };
    }
    return allowed ? -1 : code | 1;
  }

  @Test
  void accessedAndDirtyAreSetByWhatTheyAreNamedAfter() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.code(SmallMachine.CODE, "8b03");
      machine.state.general[CpuState.RBX] = TARGET;
      machine.runToHalt();
      int entry = SmallMachine.TABLE + (TARGET >> 12) * 8;
      assertThat(machine.memory.getLong(entry) & 0x60).isEqualTo(SmallMachine.ACCESSED);
      machine.code(SmallMachine.CODE, "8903");
      machine.state.rip = SmallMachine.CODE;
      machine.state.halted = false;
      machine.runToHalt();
      assertThat(machine.memory.getLong(entry) & 0x60)
          .isEqualTo(SmallMachine.ACCESSED | SmallMachine.DIRTY);
      assertThat(machine.memory.getLong(SmallMachine.DIRECTORY) & SmallMachine.ACCESSED)
          .isNotZero();
    }
  }

  @Test
  void legacyPagingFaultsWithoutInstructionBit() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.protectedMode(true);
      machine.paging32();
      machine.memory.putInt(SmallMachine.TABLE_32 + (TARGET >> 12) * 4, 0);
      machine.code(SmallMachine.CODE, "ffe3");
      machine.state.general[CpuState.RBX] = TARGET;
      machine.runToHalt();
      machine.assertFault(PAGE_FAULT, TARGET);
      assertThat(machine.errorCode()).isZero();
    }
  }

  @Test
  void fourMebibytePagesTranslateInLegacyPaging() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.protectedMode(true);
      machine.paging32();
      machine.memory.putInt(SmallMachine.DIRECTORY_32 + 4, 0x80 | 7);
      machine.memory.putInt(0x12_3450, 0x1234_5678);
      machine.code(SmallMachine.CODE, "8b03");
      machine.state.general[CpuState.RBX] = 0x40_0000 + 0x12_3450;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(0x1234_5678);
      assertThat(machine.memory.getInt(SmallMachine.DIRECTORY_32 + 4) & 0x60).isEqualTo(0x20);
    }
  }

  @Test
  void gibibytePagesTranslate() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.longMode(true);
      machine.memory.putLong(SmallMachine.PDPT + 8, SmallMachine.LARGE | 7);
      machine.memory.putInt(0x12_3450, 0x1234_5678);
      machine.code(SmallMachine.CODE, "8b03");
      machine.state.general[CpuState.RBX] = (1L << 30) + 0x12_3450;
      machine.runToHalt();
      assertThat(machine.state.general[CpuState.RAX]).isEqualTo(0x1234_5678);
    }
  }
}
