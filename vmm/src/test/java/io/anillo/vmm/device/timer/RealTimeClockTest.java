package io.anillo.vmm.device.timer;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.machine.TestBoard;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The board's wall clock begins at 2024-02-28T23:59:58Z. */
class RealTimeClockTest {
  private static final long SECOND = 1_000_000_000L;
  private final TestBoard board = new TestBoard();
  private boolean line;
  private final RealTimeClock clock = new RealTimeClock(board.board, asserted -> line = asserted);

  RealTimeClockTest() {
    clock.reset();
  }

  @AfterEach
  void close() {
    board.close();
  }

  private int read(int register) {
    board.out(0x70, register);
    return board.in(0x71);
  }

  private void write(int register, int value) {
    board.out(0x70, register);
    board.out(0x71, value);
  }

  private String time() {
    return String.format(
        "%02x%02x-%02x-%02x %02x:%02x:%02x",
        read(0x32), read(9), read(8), read(7), read(4), read(2), read(0));
  }

  @Test
  void timeRunsInDecimal() {
    assertThat(time()).isEqualTo("2024-02-28 23:59:58");
    assertThat(read(6)).as("Wednesday").isEqualTo(4);
    board.advance(3 * SECOND);
    assertThat(time()).isEqualTo("2024-02-29 00:00:01");
    assertThat(read(13)).isEqualTo(0x80);
  }

  @Test
  void timeIsSetAndGoesOnFromThere() {
    write(11, 0x82);
    write(0x32, 0x19);
    write(9, 0x99);
    write(8, 0x12);
    write(7, 0x31);
    write(4, 0x23);
    write(2, 0x59);
    write(0, 0x59);
    board.advance(10 * SECOND);
    assertThat(time()).as("held while SET").isEqualTo("1999-12-31 23:59:59");
    write(11, 0x02);
    board.advance(SECOND);
    assertThat(time()).isEqualTo("2000-01-01 00:00:00");
  }

  @Test
  void binaryAndTwelveHourFormats() {
    write(11, 0x06);
    assertThat(read(4)).isEqualTo(23);
    assertThat(read(2)).isEqualTo(59);
    write(11, 0x00);
    assertThat(read(4)).as("11 PM").isEqualTo(0x91);
    board.advance(2 * SECOND);
    assertThat(read(4)).as("midnight is 12 AM").isEqualTo(0x12);
  }

  @Test
  void impossibleDatesAreHarmless() {
    write(8, 0x77);
    write(7, 0xFF);
    write(4, 0xEE);
    board.advance(SECOND);
    assertThat(read(0)).isBetween(0, 0x59);
  }

  @Test
  void updateInProgressIsShownBeforeTheSecondEnds() {
    board.advance(SECOND / 2);
    assertThat(read(10) & 0x80).isZero();
    board.advance(SECOND / 2 - 200_000);
    assertThat(read(10) & 0x80).isEqualTo(0x80);
    board.advance(200_000);
    assertThat(read(10) & 0x80).isZero();
  }

  @Test
  void updateInterruptsComeEverySecond() {
    write(11, 0x12);
    int interrupts = 0;
    for (int i = 0; i < 5; i++) {
      board.advance(SECOND);
      interrupts += line ? 1 : 0;
      assertThat(read(12) & 0x90).isEqualTo(0x90);
      assertThat(line).isFalse();
    }
    assertThat(interrupts).isEqualTo(5);
  }

  @Test
  void periodicInterruptsComeAtTheirRate() {
    write(10, 0x26); // 1024 Hz
    read(12);
    write(11, 0x42);
    int interrupts = 0;
    for (int i = 0; i < 1000; i++) {
      board.advance(SECOND / 1000);
      if (line) {
        interrupts++;
        assertThat(read(12) & 0xC0).isEqualTo(0xC0);
      }
    }
    assertThat(interrupts).isBetween(990, 1000);
  }

  @Test
  void alarmsRingOnceWhenTheTimeMatches() {
    write(5, 0x00);
    write(3, 0x00);
    write(1, 0x05);
    write(11, 0x22);
    board.advance(6 * SECOND);
    assertThat(line).isFalse();
    board.advance(SECOND);
    assertThat(line).isTrue();
    assertThat(read(12) & 0xA0).isEqualTo(0xA0);
    board.advance(86_000 * SECOND);
    assertThat(line).isFalse();
    board.advance(400 * SECOND);
    assertThat(line).as("again a day later").isTrue();
  }

  @Test
  void alarmBytesMayMatchEverything() {
    write(5, 0xFF);
    write(3, 0xC0);
    write(1, 0x30);
    write(11, 0x22);
    board.advance(32 * SECOND);
    assertThat(line).isTrue();
    read(12);
    board.advance(60 * SECOND);
    assertThat(line).isTrue();
  }

  @Test
  void memoryKeepsWhatIsWritten() {
    write(0x40, 0xA7);
    clock.reset();
    assertThat(read(0x40)).isEqualTo(0xA7);
  }

  @Test
  void stateGoesRound() {
    write(0x40, 0xA7);
    write(4, 0x05);
    write(11, 0x12);
    board.advance(SECOND / 2);
    byte[] state = TestBoard.save(clock);
    try (TestBoard other = new TestBoard()) {
      RealTimeClock copy = new RealTimeClock(other.board, asserted -> {});
      copy.reset();
      TestBoard.restore(copy, state);
      assertThat(TestBoard.save(copy)).isEqualTo(state);
      other.out(0x70, 4);
      assertThat(other.in(0x71)).isEqualTo(0x05);
    }
  }
}
