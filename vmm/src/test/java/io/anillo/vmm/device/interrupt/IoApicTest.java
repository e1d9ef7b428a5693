package io.anillo.vmm.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.machine.TestBoard;
import io.anillo.vmm.machine.TestMachine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class IoApicTest {
  private static final int MASKED = 1 << 16, LEVEL = 1 << 15, REMOTE_IRR = 1 << 14;
  private final TestMachine machine = new TestMachine(2);
  private final IoApic ioApic;

  IoApicTest() {
    ioApic =
        machine.board.devices().stream()
            .filter(IoApic.class::isInstance)
            .map(IoApic.class::cast)
            .findFirst()
            .orElseThrow();
    machine.apic(0, 0xF0, 0x1FF);
    machine.apic(1, 0xF0, 0x1FF);
  }

  @AfterEach
  void close() {
    machine.close();
  }

  private void redirect(int pin, int low, int destination) {
    machine.ioApic(0x11 + 2 * pin, destination << 24);
    machine.ioApic(0x10 + 2 * pin, low);
  }

  private void end(int cpu) {
    machine.apic(cpu, 0xB0, 0);
  }

  @Test
  void registersReadBack() {
    assertThat(machine.ioApic(1)).isEqualTo(0x00170011);
    machine.ioApic(0, 0x05000000);
    assertThat(machine.ioApic(0)).isEqualTo(0x05000000);
    assertThat(machine.ioApic(0x10)).isEqualTo(MASKED);
    redirect(7, -1, 0xFF);
    assertThat(machine.ioApic(0x1E)).as("read-only bits stay clear").isEqualTo(0x1AFFF);
    assertThat(machine.ioApic(0x1F)).isEqualTo(0xFF000000);
    assertThat(machine.ioApic(0x40)).isZero();
  }

  @Test
  void edgesAreSentOnce() {
    redirect(4, 0x41, 1);
    ioApic.line(4).set(true);
    ioApic.line(4).set(true);
    assertThat(machine.take(1)).isEqualTo(0x41);
    end(1);
    assertThat(machine.take(1)).isEqualTo(-1);
    ioApic.line(4).set(false);
    ioApic.line(4).set(true);
    assertThat(machine.take(1)).isEqualTo(0x41);
  }

  @Test
  void maskedEdgesAreLost() {
    redirect(4, 0x41 | MASKED, 0);
    ioApic.line(4).pulse();
    redirect(4, 0x41, 0);
    assertThat(machine.take(0)).isEqualTo(-1);
  }

  @Test
  void levelsAreSentAgainAfterTheirEndWhileAsserted() {
    redirect(17, 0x52 | LEVEL, 0);
    ioApic.line(17).set(true);
    assertThat(machine.ioApic(0x32) & REMOTE_IRR).isEqualTo(REMOTE_IRR);
    assertThat(machine.take(0)).isEqualTo(0x52);
    end(0);
    assertThat(machine.take(0)).as("still asserted").isEqualTo(0x52);
    ioApic.line(17).set(false);
    end(0);
    assertThat(machine.take(0)).isEqualTo(-1);
    assertThat(machine.ioApic(0x32) & REMOTE_IRR).isZero();
  }

  @Test
  void maskedLevelsAreSentWhenUnmasked() {
    redirect(17, 0x52 | LEVEL | MASKED, 0);
    ioApic.line(17).set(true);
    assertThat(machine.take(0)).isEqualTo(-1);
    redirect(17, 0x52 | LEVEL, 0);
    assertThat(machine.take(0)).isEqualTo(0x52);
  }

  @Test
  void switchingToEdgeForgetsAnUnendedLevel() {
    redirect(17, 0x52 | LEVEL, 0);
    ioApic.line(17).set(true);
    machine.take(0);
    redirect(17, 0x52 | MASKED, 0);
    assertThat(machine.ioApic(0x32) & REMOTE_IRR).isZero();
  }

  @Test
  void theIntervalTimerComesInAtInputTwo() {
    redirect(2, 0x30, 0);
    machine.out(0x43, 0x34);
    machine.out(0x40, 0xA9);
    machine.out(0x40, 0x04); // 1193 ticks: about a millisecond
    machine.advance(1_100_000);
    assertThat(machine.take(0)).isEqualTo(0x30);
  }

  @Test
  void lostTicksFollowTheirPredecessorAtOnce() {
    redirect(2, 0x30, 0);
    machine.out(0x43, 0x34);
    machine.out(0x40, 0xA9);
    machine.out(0x40, 0x04); // 1193 ticks: about a millisecond
    assertThat(machine.take(0)).as("its output rose when it was programmed").isEqualTo(0x30);
    end(0);
    machine.base.clock.advance(5_100_000);
    machine.base.board.runPending();
    for (int tick = 0; tick < 5; tick++) {
      assertThat(machine.take(0)).as("tick %d", tick).isEqualTo(0x30);
      assertThat(machine.take(0)).as("its end has not come yet").isEqualTo(-1);
      end(0);
    }
    assertThat(machine.take(0)).isEqualTo(-1);
  }

  @Test
  void lostTicksFollowAtThe8259AsToo() {
    for (int[] word :
        new int[][] {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}, {0x21, 0xFE}}) {
      machine.out(word[0], word[1]);
    }
    machine.apic(0, 0x350, 0x700); // LINT0 takes the 8259As' interrupts
    machine.out(0x43, 0x34);
    machine.out(0x40, 0xA9);
    machine.out(0x40, 0x04);
    assertThat(machine.take(0)).isEqualTo(0x20);
    machine.out(0x20, 0x20);
    machine.base.clock.advance(3_100_000);
    machine.base.board.runPending();
    for (int tick = 0; tick < 3; tick++) {
      assertThat(machine.take(0)).as("tick %d", tick).isEqualTo(0x20);
      assertThat(machine.take(0)).isEqualTo(-1);
      machine.out(0x20, 0x20);
    }
    assertThat(machine.take(0)).isEqualTo(-1);
  }

  @Test
  void stateGoesRound() {
    redirect(17, 0x52 | LEVEL, 1);
    ioApic.line(17).set(true);
    redirect(3, 0x41 | MASKED, 1);
    byte[] state = TestBoard.save(ioApic);
    ioApic.reset();
    TestBoard.restore(ioApic, state);
    assertThat(TestBoard.save(ioApic)).isEqualTo(state);
    assertThat(machine.take(1)).isEqualTo(0x52);
    end(1);
    assertThat(machine.take(1)).as("remote IRR was restored").isEqualTo(0x52);
  }
}
