package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThatCode;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A guest that jumps into garbage hurts only itself: whatever bytes are executed with whatever
 * registers, {@code run} returns an exit. A longer run takes {@code -Danillo.fuzz.rounds=100000};
 * {@code -Danillo.fuzz.seed=} repeats one.
 */
class GarbageExecutionTest {
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 30);
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 20260102L);
  private static final int BUDGET = 400;

  /** How often the same garbage is entered, elsewhere and with other registers. */
  private static final int ENTRIES = 40;

  /** Modes in which garbage runs. */
  enum Mode {
    REAL,
    PROTECTED_16,
    PROTECTED_32,
    PAGED_32,
    PAE,
    LONG,
    COMPATIBILITY
  }

  @ParameterizedTest
  @EnumSource(Mode.class)
  void garbageNeverBringsTheProcessorDown(Mode mode) {
    System.out.println("garbage in " + mode + ", seed " + SEED);
    try (SmallMachine machine = new SmallMachine()) {
      for (int round = 0; round < ROUNDS; round++) {
        long seed = SEED + round;
        assertThatCode(() -> runGarbage(machine, mode, seed))
            .as("%s, seed %d", mode, seed)
            .doesNotThrowAnyException();
      }
    }
  }

  @Test
  void codeWhereNoMemoryIsRaisesInvalidOpcode() {
    try (SmallMachine machine = new SmallMachine()) {
      machine.protectedMode(true);
      machine.state.rip = 0xD000_0000L;
      machine.runToHalt();
      machine.assertFault(6, 0xD000_0000L);
    }
  }

  private static void runGarbage(SmallMachine machine, Mode mode, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    machine.reset();
    byte[] garbage = new byte[0x2000];
    random.nextBytes(garbage);
    if (random.nextBoolean()) {
      likelyOpcodes(garbage, random);
    }
    for (int i = 0; i < ENTRIES; i++) {
      enter(machine, mode, random);
      machine.memory.dmaWrite(SmallMachine.CODE, garbage, 0, garbage.length);
      CpuState state = machine.state;
      for (int j = 0; j < 16; j++) {
        state.general[j] = value(random) & (mode == Mode.LONG ? -1L : 0xFFFF_FFFFL);
      }
      state.setRflags((int) random.nextLong() & 0x0005_4FD5);
      int start = random.nextInt(garbage.length);
      state.rip = mode == Mode.REAL ? start : SmallMachine.CODE + start;
      machine.cpu.stateReplaced();
      for (int piece = 0; piece < 4; piece++) {
        Exit exit = machine.cpu.run(BUDGET);
        if (exit instanceof Exit.Halted || exit instanceof Exit.Shutdown) {
          break;
        }
      }
    }
  }

  private static void enter(SmallMachine machine, Mode mode, SplittableRandom random) {
    machine.cpu.reset();
    machine.makeTables();
    switch (mode) {
      case REAL -> machine.realMode();
      case PROTECTED_16 -> machine.protectedMode(false);
      case PROTECTED_32 -> machine.protectedMode(true);
      case PAGED_32 -> {
        machine.protectedMode(true);
        machine.paging32();
      }
      case PAE -> {
        machine.protectedMode(true);
        machine.pagingPae();
      }
      case LONG -> machine.longMode(true);
      case COMPATIBILITY -> machine.longMode(false);
    }
    if (mode != Mode.REAL && random.nextInt(3) == 0) {
      machine.userMode();
    }
    if (random.nextInt(4) == 0) {
      machine.state.debug[0] = SmallMachine.CODE + random.nextInt(64);
      machine.state.debug[7] = 0x400 | random.nextInt() & 0xFFFF_03FFL;
    }
  }

  /** Registers that are small, addresses in memory, and anything. */
  private static long value(SplittableRandom random) {
    return switch (random.nextInt(5)) {
      case 0 -> random.nextInt(64);
      case 1, 2 -> SmallMachine.DATA + random.nextInt(0x3000);
      case 3 -> random.nextInt(1 << 22);
      default -> random.nextLong();
    };
  }

  /**
   * Spreads opcodes that random bytes seldom make: two-byte ones, prefixes, system instructions.
   */
  private static void likelyOpcodes(byte[] garbage, SplittableRandom random) {
    byte[] starts = {0x0F, 0x0F, 0x0F, 0x66, (byte) 0xF3, (byte) 0xF2, (byte) 0xF0, 0x48, 0x67};
    for (int at = 0; at < garbage.length - 4; at += 2 + random.nextInt(8)) {
      garbage[at] = starts[random.nextInt(starts.length)];
      if (random.nextInt(3) == 0) {
        garbage[at + 1] = (byte) random.nextInt(0x40);
      }
    }
  }
}
