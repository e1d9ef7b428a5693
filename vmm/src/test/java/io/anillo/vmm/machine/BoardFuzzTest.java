package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** A guest that programs every device with random values never brings the board down. */
class BoardFuzzTest {
  private static final long SECOND = 1_000_000_000L;
  private static final int[] PORTS = {
    0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x92, 0xA0, 0xA1, 0xE9, 0xF4,
    0x2F8, 0x2F9, 0x2FA, 0x2FC, 0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x3FD, 0x402, 0x4D0, 0x4D1,
    0x510, 0x511, 0x514, 0x518, 0x600, 0x602, 0x604, 0x608, 0xCF8, 0xCF9, 0xCFC, 0xCFE
  };
  private static final int[] SIZES = {1, 2, 4, 8};

  @Test
  void randomAccessesNeverThrow() {
    long seed = Long.getLong("anillo.fuzz.seed", 20_260_101L);
    System.out.println("board fuzz seed " + seed);
    SplittableRandom random = new SplittableRandom(seed);
    long end = System.nanoTime() + 2 * SECOND;
    long accesses = 0;
    while (System.nanoTime() < end) {
      try (TestMachine machine = new TestMachine(2)) {
        for (int i = 0; i < 20_000; i++) {
          step(machine, random);
          accesses++;
        }
        StateWriter out = new StateWriter();
        machine.board.save(out);
        try (TestMachine copy = new TestMachine(2)) {
          copy.base.board.clock().pause();
          copy.board.restore(new StateReader(out.toByteArray()));
          for (int i = 0; i < machine.board.devices().size(); i++) {
            String name = machine.board.devices().get(i).name();
            byte[] expected = TestBoard.save(machine.board.devices().get(i));
            byte[] found = TestBoard.save(copy.board.devices().get(i));
            assertThat(found)
                .as("state of " + name + " goes round, seed " + seed)
                .isEqualTo(expected);
          }
        }
      }
    }
    assertThat(accesses).isGreaterThan(20_000);
  }

  private static void step(TestMachine machine, SplittableRandom random) {
    int cpu = random.nextInt(2);
    var bus = machine.board.busOf(cpu);
    int size = SIZES[random.nextInt(3)];
    int value = random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(256);
    switch (random.nextInt(10)) {
      case 0, 1, 2 -> bus.writePort(port(random), size, value);
      case 3, 4 -> bus.readPort(port(random), size);
      case 5 ->
          bus.writeMmio(
              address(random), SIZES[random.nextInt(4)], random.nextLong() >>> random.nextInt(64));
      case 6 -> bus.readMmio(address(random), SIZES[random.nextInt(4)]);
      case 7 -> msr(machine.interrupts(cpu), random);
      case 8 -> {
        if (machine.interrupts(cpu).pending()) {
          assertThat(machine.interrupts(cpu).acknowledge()).isBetween(-1, 255);
        }
      }
      default -> {
        machine.base.clock.advance(random.nextLong(1L << random.nextInt(1, 34)));
        machine.base.board.runPending();
      }
    }
    machine.base.board.takeRequest();
  }

  private static int port(SplittableRandom random) {
    return random.nextInt(8) == 0 ? random.nextInt(0x10000) : PORTS[random.nextInt(PORTS.length)];
  }

  private static long address(SplittableRandom random) {
    return switch (random.nextInt(5)) {
      case 0 -> 0xFEE00000L + random.nextInt(0x1000);
      case 1 ->
          0xFEC00000L + (random.nextInt(4) == 0 ? random.nextInt(0x1000) : random.nextInt(2) * 16);
      case 2 -> 0xE0000000L + random.nextInt(1 << 20);
      case 3 -> 0xC0000000L + random.nextInt(1 << 20);
      default -> random.nextLong();
    };
  }

  private static void msr(LocalInterrupts interrupts, SplittableRandom random) {
    int[] indexes = {0x1B, 0x6E0, 0x800 + random.nextInt(256)};
    int index = indexes[random.nextInt(3)];
    try {
      if (random.nextBoolean()) {
        long value =
            random.nextInt(4) == 0 ? random.nextLong() : random.nextInt(1 << random.nextInt(1, 20));
        interrupts.writeMsr(index, index == 0x1B ? 0xFEE00000L | value & 0xD00 : value);
      } else {
        interrupts.readMsr(index);
      }
    } catch (LocalInterrupts.UnknownMsrException generalProtection) {
      assertThat(generalProtection).hasMessageContaining("MSR");
    }
  }
}
