package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class BoardExecutorTest {

  @Test
  void timersExpireInOrderOfTheirDeadlines() {
    try (TestBoard board = new TestBoard()) {
      List<String> expired = new ArrayList<>();
      var first = board.board.timer("first", () -> expired.add("first"));
      var second = board.board.timer("second", () -> expired.add("second"));
      var third = board.board.timer("third", () -> expired.add("third"));
      first.arm(300);
      second.arm(200);
      third.arm(100);
      third.cancel();
      assertThat(board.board.nanosUntilNextDeadline()).isEqualTo(200);
      board.clock.advance(199);
      assertThat(board.board.runPending()).isFalse();
      board.clock.advance(200);
      assertThat(board.board.runPending()).isTrue();
      assertThat(expired).containsExactly("second", "first");
      assertThat(first.armed()).isFalse();
      assertThat(board.board.nanosUntilNextDeadline()).isEqualTo(Long.MAX_VALUE);
      assertThatThrownBy(() -> board.board.timer("first", () -> {})).hasMessageContaining("first");
    }
  }

  @Test
  void timeStandsStillWhilePaused() {
    try (TestBoard board = new TestBoard()) {
      var timer = board.board.timer("timer", () -> {});
      timer.arm(100);
      board.clock.advance(50);
      board.board.pauseTime();
      board.clock.advance(1000);
      assertThat(board.board.nowNanos()).isEqualTo(50);
      assertThat(board.board.runPending()).isFalse();
      board.board.clock().start();
      board.clock.advance(50);
      assertThat(board.board.runPending()).isTrue();
    }
  }

  @Test
  void payloadsAreAppliedInOrderAtTheBoundary() throws InterruptedException {
    try (TestBoard board = new TestBoard()) {
      List<Integer> applied = new ArrayList<>();
      var channel = board.board.channel("channel", payload -> applied.add(payload[0] & 0xFF));
      Thread poster =
          Thread.ofPlatform()
              .start(() -> {
                for (int i = 0; i < 100; i++) {
                  channel.post(new byte[] {(byte) i});
                }
              });
      poster.join();
      assertThat(applied).isEmpty();
      assertThat(board.board.hasPending()).isTrue();
      board.board.runPending();
      assertThat(applied).hasSize(100).isSorted();
    }
  }

  @Test
  void theHostTimerKicksOnceForADeadline() throws InterruptedException {
    try (GuestMemory memory = new GuestMemory(1 << 20)) {
      BoardExecutor board = BoardExecutor.live(memory, Clock.system(), bytes -> {});
      CountDownLatch kicked = new CountDownLatch(1);
      int[] kicks = new int[1];
      board.setKick(() -> {
        kicks[0]++;
        kicked.countDown();
      });
      board.startTime();
      List<Long> expired = new ArrayList<>();
      var timer = board.timer("timer", () -> expired.add(board.nowNanos()));
      long deadline = board.nowNanos() + 20_000_000;
      timer.arm(deadline);
      assertThat(kicked.await(5, TimeUnit.SECONDS)).isTrue();
      assertThat(board.nanosUntilNextDeadline()).isZero();
      Thread.sleep(50);
      assertThat(kicks[0]).as("it does not poll").isEqualTo(1);
      board.runPending();
      assertThat(expired)
          .singleElement()
          .satisfies(at -> assertThat(at).isGreaterThanOrEqualTo(deadline));
      board.close();
    }
  }

  @Test
  void externalWorkIsWaitedForAndItsFailureIsReported() {
    try (TestBoard board = new TestBoard()) {
      List<Integer> applied = new ArrayList<>();
      var channel = board.board.channel("channel", payload -> applied.add(payload.length));
      channel.startExternal(() -> {
        try {
          Thread.sleep(30);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
        channel.post(new byte[5]);
      });
      board.board.quiesce();
      assertThat(applied).containsExactly(5);
      channel.startExternal(() -> {
        throw new IllegalArgumentException("disk on fire");
      });
      assertThatThrownBy(board.board::quiesce)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("disk on fire");
    }
  }

  @Test
  void theFirstRequestWins() {
    try (TestBoard board = new TestBoard()) {
      board.board.request(new MachineRequest.PowerOff());
      board.board.request(new MachineRequest.DebugExit(3));
      assertThat(board.board.takeRequest()).contains(new MachineRequest.PowerOff());
      assertThat(board.board.takeRequest()).isEmpty();
    }
  }

  @Test
  void theBusFindsRangesAndRefusesOverlaps() {
    try (TestBoard board = new TestBoard()) {
      var bus = board.board.bus();
      List<String> writes = new ArrayList<>();
      for (long base = 0x1_0000; base < 0x5_0000; base += 0x1000) {
        long start = base;
        bus.mapMmio(
            base,
            0x800,
            new MmioDevice() {
              @Override
              public long readMmio(long offset, int sizeBytes) {
                return start + offset;
              }

              @Override
              public void writeMmio(long offset, int sizeBytes, long value) {
                writes.add(Long.toHexString(start + offset) + "=" + Long.toHexString(value));
              }
            });
      }
      assertThat(bus.readMmio(0x2_3004, 8)).isEqualTo(0x2_3004);
      assertThat(bus.readMmio(0x2_37FF, 2)).isEqualTo(0x37FF);
      assertThat(bus.readMmio(0x2_3800, 4)).isEqualTo(0xFFFFFFFFL);
      assertThat(bus.readMmio(0xF, 1)).isEqualTo(0xFF);
      bus.writeMmio(0x4_F010, 2, 0x12345678);
      assertThat(writes).containsExactly("4f010=5678");
      MmioDevice other =
          new MmioDevice() {
            @Override
            public long readMmio(long offset, int sizeBytes) {
              return 0;
            }

            @Override
            public void writeMmio(long offset, int sizeBytes, long value) {}
          };
      assertThatThrownBy(() -> bus.mapMmio(0x2_2900, 0x701, other))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> bus.mapMmio(0x2_37FF, 1, other))
          .isInstanceOf(IllegalArgumentException.class);
      bus.mapMmio(0x2_2900, 0x700, other);
      bus.unmapMmio(0x2_3000, 0x800);
      assertThat(bus.readMmio(0x2_3004, 8)).isEqualTo(-1);
      assertThat(bus.readPort(0x1234, 2)).isEqualTo(0xFFFF);
    }
  }
}
