package io.anillo.vmm.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.machine.TestBoard;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PicPairTest {
  private final TestBoard board = new TestBoard();
  private final PicPair pic = new PicPair(board.board.bus());

  PicPairTest() {
    pic.reset();
    initialize(0x01);
  }

  @AfterEach
  void close() {
    board.close();
  }

  /** The customary initialization: vectors 0x20 and 0x28, nothing masked. */
  private void initialize(int word4) {
    board.out(0x20, 0x11);
    board.out(0xA0, 0x11);
    board.out(0x21, 0x20);
    board.out(0xA1, 0x28);
    board.out(0x21, 0x04);
    board.out(0xA1, 0x02);
    board.out(0x21, word4);
    board.out(0xA1, word4);
    board.out(0x21, 0);
    board.out(0xA1, 0);
  }

  @Test
  void edgesAreLatchedAndAcknowledged() {
    pic.line(3).pulse();
    assertThat(pic.asserted()).isTrue();
    assertThat(pic.acknowledge()).isEqualTo(0x23);
    assertThat(pic.asserted()).isFalse();
    board.out(0x20, 0x0B);
    assertThat(board.in(0x20)).as("in service").isEqualTo(8);
    board.out(0x20, 0x20);
    assertThat(board.in(0x20)).isZero();
  }

  @Test
  void aHeldEdgeDoesNotInterruptTwice() {
    pic.line(4).set(true);
    assertThat(pic.acknowledge()).isEqualTo(0x24);
    board.out(0x20, 0x20);
    pic.line(4).set(true);
    assertThat(pic.asserted()).isFalse();
  }

  @Test
  void levelsInterruptUntilReleased() {
    board.out(0x4D1, 0x0E);
    assertThat(board.in(0x4D1)).isEqualTo(0x0E);
    pic.line(11).set(true);
    assertThat(pic.acknowledge()).isEqualTo(0x2B);
    board.out(0xA0, 0x20);
    board.out(0x20, 0x20);
    assertThat(pic.asserted()).isTrue();
    pic.line(11).set(false);
    assertThat(pic.asserted()).isFalse();
  }

  @Test
  void edgeLevelControlLeavesOutTheFixedInputs() {
    board.out(0x4D0, 0xFF);
    board.out(0x4D1, 0xFF);
    assertThat(board.in(0x4D0)).isEqualTo(0xF8);
    assertThat(board.in(0x4D1)).isEqualTo(0xDE);
  }

  @Test
  void higherPrioritiesInterruptLowerOnes() {
    pic.line(5).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x25);
    pic.line(6).pulse();
    assertThat(pic.asserted()).isFalse();
    pic.line(1).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x21);
    board.out(0x20, 0x20);
    board.out(0x20, 0x20);
    assertThat(pic.acknowledge()).isEqualTo(0x26);
  }

  @Test
  void secondChipComesThroughTheCascade() {
    pic.line(8).pulse();
    pic.line(12).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x28);
    board.out(0xA0, 0x20);
    board.out(0x20, 0x20);
    assertThat(pic.acknowledge()).isEqualTo(0x2C);
  }

  @Test
  void masksHoldInterruptsBack() {
    board.out(0x21, 0x10);
    assertThat(board.in(0x21)).isEqualTo(0x10);
    pic.line(4).pulse();
    assertThat(pic.asserted()).isFalse();
    board.out(0x21, 0);
    assertThat(pic.acknowledge()).isEqualTo(0x24);
  }

  @Test
  void whatVanishesBeforeTheAcknowledgeIsSpurious() {
    board.out(0x4D0, 0x20);
    pic.line(5).set(true);
    pic.line(5).set(false);
    assertThat(pic.acknowledge()).isEqualTo(0x27);
    board.out(0x20, 0x0B);
    assertThat(board.in(0x20)).as("nothing is in service").isZero();
    assertThat(pic.metrics().spurious()).isEqualTo(1);
  }

  @Test
  void automaticEndLeavesNothingInService() {
    initialize(0x03);
    pic.line(2 + 1).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x23);
    board.out(0x20, 0x0B);
    assertThat(board.in(0x20)).isZero();
  }

  @Test
  void specificEndAndRotationChangePriorities() {
    pic.line(0).pulse();
    pic.line(1).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x20);
    board.out(0x20, 0xA0); // rotate on non-specific end: 0 is lowest now
    pic.line(0).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x21);
    board.out(0x20, 0x61); // specific end of 1
    assertThat(pic.acknowledge()).isEqualTo(0x20);
    board.out(0x20, 0x20);
    board.out(0x20, 0xC5); // 5 is lowest, 6 highest
    pic.line(0).pulse();
    pic.line(6).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x26);
  }

  @Test
  void specialMaskModeLetsLowerPrioritiesThrough() {
    pic.line(1).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x21);
    board.out(0x21, 0x02);
    board.out(0x20, 0x68);
    pic.line(6).pulse();
    assertThat(pic.acknowledge()).isEqualTo(0x26);
  }

  @Test
  void pollingAcknowledges() {
    pic.line(6).pulse();
    board.out(0x20, 0x0C);
    assertThat(board.in(0x20)).isEqualTo(0x86);
    assertThat(pic.asserted()).isFalse();
    board.out(0x20, 0x0C);
    assertThat(board.in(0x20)).isZero();
  }

  @Test
  void stateGoesRound() {
    board.out(0x4D1, 0x0E);
    board.out(0x21, 0x81);
    pic.line(3).pulse();
    pic.acknowledge();
    pic.line(10).set(true);
    pic.line(1).pulse();
    byte[] state = TestBoard.save(pic);
    try (TestBoard other = new TestBoard()) {
      PicPair copy = new PicPair(other.board.bus());
      copy.reset();
      TestBoard.restore(copy, state);
      assertThat(TestBoard.save(copy)).isEqualTo(state);
      assertThat(copy.acknowledge()).isEqualTo(0x21);
      assertThat(other.in(0x21)).isEqualTo(0x81);
    }
  }
}
