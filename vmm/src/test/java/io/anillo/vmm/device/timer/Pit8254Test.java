package io.anillo.vmm.device.timer;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.CountedLine;
import io.anillo.vmm.machine.TestBoard;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class Pit8254Test {
  private static final long TICK_COUNT = 1193; // about a millisecond
  private final TestBoard board = new TestBoard();
  private int rises;
  private boolean line;
  private boolean open = true;
  private boolean waiting;
  private Runnable taken = () -> {};
  private final Pit8254 pit = new Pit8254(board.board, new Input());

  /** An interrupt input whose processor takes nothing, unless {@link #take} says so. */
  private final class Input implements CountedLine {
    @Override
    public void set(boolean asserted) {
      if (asserted && !line) {
        rises++;
      }
      line = asserted;
    }

    @Override
    public boolean open() {
      return open;
    }

    @Override
    public boolean waiting() {
      return waiting;
    }

    @Override
    public void onTaken(Runnable listener) {
      taken = listener;
    }
  }

  /** A processor takes interrupts until none follows; gives how many followed. */
  private int take() {
    int before;
    int first = rises;
    do {
      before = rises;
      taken.run();
    } while (rises != before);
    return rises - first;
  }

  Pit8254Test() {
    pit.reset();
    rises = 0;
  }

  @AfterEach
  void close() {
    board.close();
  }

  private void program(int channel, int mode, long count) {
    board.out(0x43, channel << 6 | 0x30 | mode << 1);
    board.out(0x40 + channel, (int) count & 0xFF);
    board.out(0x40 + channel, (int) count >> 8);
  }

  private void ticks(long count) {
    long now = board.board.clock().nanos();
    board.advance(Pit8254.nanos(Pit8254.ticks(now) + count) - now);
  }

  private int read(int channel) {
    return board.in(0x40 + channel) | board.in(0x40 + channel) << 8;
  }

  private boolean out2() {
    return (board.in(0x61) & 0x20) != 0;
  }

  @Test
  void ticksAndNanosecondsAgree() {
    for (long ticks : new long[] {0, 1, 2, 1193, 1193181, 1193182, 1193183, 123_456_789_012L}) {
      assertThat(Pit8254.ticks(Pit8254.nanos(ticks))).isEqualTo(ticks);
      assertThat(ticks == 0 || Pit8254.ticks(Pit8254.nanos(ticks) - 1) == ticks - 1).isTrue();
    }
  }

  @Test
  void mode0InterruptsOnceAtTheEndOfTheCount() {
    program(0, 0, TICK_COUNT);
    ticks(TICK_COUNT - 1);
    assertThat(rises).isZero();
    ticks(1);
    assertThat(rises).isEqualTo(1);
    ticks(200_000);
    assertThat(rises).isEqualTo(1);
  }

  @Test
  void mode2IsARateGenerator() {
    program(0, 2, TICK_COUNT);
    rises = 0;
    ticks(TICK_COUNT * 10);
    assertThat(rises).isEqualTo(10);
    ticks(3);
    board.out(0x43, 0x00);
    assertThat(read(0)).isEqualTo((int) TICK_COUNT - 3);
  }

  /** The host did not run the machine meanwhile: time goes on in one step. */
  private void sleep(long tickCount) {
    long now = board.board.clock().nanos();
    board.clock.advance(Pit8254.nanos(Pit8254.ticks(now) + tickCount) - now);
    board.board.runPending();
  }

  @Test
  void ticksThatALateHostLetPassAreSentOneByOne() {
    program(0, 2, TICK_COUNT);
    rises = 0;
    sleep(TICK_COUNT * 25 + 10);
    assertThat(rises).as("one edge at once").isEqualTo(1);
    assertThat(take()).as("the others when the one before is taken").isEqualTo(24);
    ticks(TICK_COUNT);
    assertThat(rises).as("and then in time").isEqualTo(26);
    assertThat(take()).isZero();
    assertThat(pit.metrics().madeUp()).isEqualTo(24);
  }

  @Test
  void ticksThatComeWhileOneWaitsAreSentLater() {
    program(0, 3, TICK_COUNT);
    rises = 0;
    ticks(TICK_COUNT);
    waiting = true;
    ticks(TICK_COUNT * 4);
    waiting = false;
    assertThat(take()).isEqualTo(4);
  }

  @Test
  void lostTicksAreBoundedAndForgottenWhereNobodyWantsThem() {
    program(0, 2, TICK_COUNT);
    sleep(TICK_COUNT * 100_000);
    assertThat(take()).as("a second of them").isBetween(999, 1001);
    sleep(TICK_COUNT * 100);
    program(0, 2, TICK_COUNT);
    assertThat(take()).as("programmed anew").isZero();
    open = false;
    sleep(TICK_COUNT * 100);
    assertThat(take()).as("masked").isZero();
    open = true;
    program(0, 2, 50);
    sleep(5_000);
    assertThat(take()).as("faster than a guest can follow").isZero();
    program(0, 0, TICK_COUNT);
    sleep(TICK_COUNT * 100);
    assertThat(take()).as("once only").isZero();
  }

  @Test
  void mode3IsASquareWave() {
    program(0, 3, 1000);
    rises = 0;
    ticks(5000);
    assertThat(rises).isEqualTo(5);
    board.out(0x61, 1);
    program(2, 3, 1000);
    ticks(499);
    assertThat(out2()).isTrue();
    ticks(1);
    assertThat(out2()).isFalse();
    ticks(500);
    assertThat(out2()).isTrue();
  }

  @Test
  void mode1IsStartedByTheGate() {
    program(2, 1, 100);
    assertThat(out2()).isTrue();
    board.out(0x61, 1);
    assertThat(out2()).isFalse();
    ticks(99);
    assertThat(out2()).isFalse();
    ticks(1);
    assertThat(out2()).isTrue();
    board.out(0x61, 0);
    board.out(0x61, 1);
    assertThat(out2()).as("triggered again").isFalse();
  }

  @Test
  void modes4And5StrobeForOneTick() {
    board.out(0x61, 1);
    program(2, 4, 100);
    ticks(99);
    assertThat(out2()).isTrue();
    ticks(1);
    assertThat(out2()).isFalse();
    ticks(1);
    assertThat(out2()).isTrue();
    board.out(0x61, 0);
    program(2, 5, 100);
    board.out(0x61, 1);
    ticks(100);
    assertThat(out2()).isFalse();
    ticks(1);
    assertThat(out2()).isTrue();
  }

  @Test
  void theGateHoldsTheCountOfMode0() {
    board.out(0x61, 1);
    program(2, 0, 1000);
    ticks(400);
    board.out(0x61, 0);
    ticks(5000);
    board.out(0x43, 0x80);
    assertThat(read(2)).isEqualTo(600);
    board.out(0x61, 1);
    ticks(599);
    assertThat(out2()).isFalse();
    ticks(1);
    assertThat(out2()).isTrue();
  }

  @Test
  void latchedCountsStand() {
    program(0, 2, 50_000);
    ticks(1000);
    board.out(0x43, 0x00);
    ticks(1000);
    assertThat(read(0)).isEqualTo(49_000);
    assertThat(read(0)).isEqualTo(48_000);
  }

  @Test
  void readBackLatchesStatusAndCount() {
    program(0, 2, 50_000);
    ticks(1000);
    board.out(0x43, 0xC2);
    assertThat(board.in(0x40)).as("status: out high, both bytes, mode 2").isEqualTo(0xB4);
    assertThat(read(0)).isEqualTo(49_000);
    board.out(0x43, 0x30);
    board.out(0x43, 0xE2);
    assertThat(board.in(0x40)).as("status: no count yet").isEqualTo(0x70);
  }

  @Test
  void countsInDecimal() {
    board.out(0x43, 0x35);
    board.out(0x40, 0x00);
    board.out(0x40, 0x10); // 1000
    ticks(1);
    board.out(0x43, 0x00);
    assertThat(read(0)).isEqualTo(0x999);
    rises = 0;
    ticks(1999);
    assertThat(rises).isEqualTo(2);
  }

  @Test
  void singleByteAccess() {
    board.out(0x43, 0x14); // low byte only, mode 2
    board.out(0x40, 100);
    ticks(1);
    assertThat(board.in(0x40)).isEqualTo(99);
    assertThat(board.in(0x40)).isEqualTo(99);
  }

  @Test
  void refreshToggles() {
    int toggles = 0;
    int last = board.in(0x61) & 0x10;
    for (int i = 0; i < 100; i++) {
      board.advance(15_085);
      int now = board.in(0x61) & 0x10;
      toggles += now != last ? 1 : 0;
      last = now;
    }
    assertThat(toggles).isEqualTo(100);
  }

  @Test
  void stateGoesRound() {
    program(0, 2, TICK_COUNT);
    board.out(0x61, 1);
    program(2, 0, 500);
    ticks(100);
    board.out(0x43, 0xC2);
    sleep(TICK_COUNT * 3);
    byte[] state = TestBoard.save(pit);
    pit.reset();
    TestBoard.restore(pit, state);
    assertThat(TestBoard.save(pit)).isEqualTo(state);
    assertThat(board.in(0x40)).isEqualTo(0xB4);
    assertThat(take()).as("lost ticks").isEqualTo(2);
    rises = 0;
    ticks(TICK_COUNT);
    assertThat(rises).isEqualTo(1);
    assertThat(out2()).isTrue();
  }
}
