package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.EntropySource;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * What a guest observed while it was recorded, it observes again in the replay, at the same
 * instructions.
 */
class RecordReplayTest {

  /**
   * A stand-in for a processor and a device: counts instructions and notes all that it observes,
   * and when.
   */
  private static final class Guest {
    final BoardExecutor board;
    final List<String> observed = new ArrayList<>();
    final EventChannel channel;
    final BoardTimer timer;
    long instructions;

    Guest(BoardExecutor board) {
      this.board = board;
      board.setInstructionCounter(() -> instructions);
      channel = board.channel("disk", this::arrived);
      timer = board.timer("tick", this::tick);
    }

    private void note(String what) {
      observed.add(instructions + " " + what);
    }

    private void arrived(byte[] payload) {
      note("payload " + payload.length + " at " + board.nowNanos());
    }

    private void tick() {
      note("tick at " + board.nowNanos());
      timer.arm(board.nowNanos() + 300_000);
    }

    /** Executes one instruction; some of them look at the clock, take entropy or ask the disk. */
    void step() {
      instructions++;
      if (instructions % 97 == 0) {
        note("clock " + board.nowNanos());
      }
      if (instructions % 1009 == 0) {
        byte[] bytes = new byte[8];
        board.entropy().fill(bytes);
        note("entropy " + java.util.Arrays.hashCode(bytes));
      }
      if (instructions % 501 == 0) {
        int size = (int) (instructions % 41);
        channel.startExternal(() -> channel.post(new byte[size]));
      }
    }
  }

  private static byte[] record(List<String> observed) {
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    try (GuestMemory memory = new GuestMemory(1 << 20)) {
      Guest[] guest = new Guest[1];
      EventRecorder recorder = new EventRecorder(log);
      SplittableRandom random = new SplittableRandom(7);
      EntropySource entropy = bytes -> random.nextBytes(bytes);
      BoardExecutor board = BoardExecutor.recording(memory, Clock.system(), entropy, recorder);
      guest[0] = new Guest(board);
      guest[0].timer.arm(100_000);
      board.startTime();
      while (guest[0].instructions < 200_000) {
        guest[0].step();
        if (guest[0].instructions % 7 == 0) {
          board.runPending();
        }
      }
      board.quiesce();
      board.close();
      observed.addAll(guest[0].observed);
    }
    return log.toByteArray();
  }

  private static Guest replay(byte[] log, GuestMemory memory) throws IOException {
    Guest guest =
        new Guest(
            BoardExecutor.replaying(memory, new EventReplayer(new ByteArrayInputStream(log))));
    guest.timer.arm(100_000);
    guest.board.startTime();
    while (true) {
      while (guest.instructions < guest.board.nextEventInstruction()) {
        guest.step();
      }
      guest.board.runPending();
      if (guest.board.replayFinished()
          && guest.instructions >= guest.board.nextEventInstruction()) {
        return guest;
      }
    }
  }

  @Test
  void aReplayObservesWhatWasRecorded() throws IOException {
    List<String> recorded = new ArrayList<>();
    byte[] log = record(recorded);
    assertThat(recorded)
        .anyMatch(line -> line.contains("payload"))
        .anyMatch(line -> line.contains("tick"));
    try (GuestMemory memory = new GuestMemory(1 << 20)) {
      Guest guest = replay(log, memory);
      assertThat(guest.observed).isEqualTo(recorded);
      assertThat(guest.instructions).isEqualTo(200_000);
      guest.channel.post(new byte[3]);
      assertThat(guest.board.runPending()).as("nothing enters from outside").isFalse();
    }
    assertThat((double) log.length / recorded.size()).as("bytes an entry").isLessThan(16);
  }

  @Test
  void anotherGuestDiverges() {
    byte[] log = record(new ArrayList<>());
    try (GuestMemory memory = new GuestMemory(1 << 20)) {
      assertThatThrownBy(
              () -> {
                var replayer = new EventReplayer(new ByteArrayInputStream(log));
                Guest guest = new Guest(BoardExecutor.replaying(memory, replayer));
                while (true) {
                  guest.board.nowNanos();
                }
              })
          .isInstanceOf(EventReplayer.Divergence.class)
          .hasMessageContaining("diverges");
    }
  }

  @Test
  void damagedRecordingsAreRefused() {
    assertThatThrownBy(() -> new EventReplayer(new ByteArrayInputStream(new byte[] {1, 2, 3})))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("not a recording");
    byte[] log = record(new ArrayList<>());
    byte[] cut = java.util.Arrays.copyOf(log, log.length / 2);
    try (GuestMemory memory = new GuestMemory(1 << 20)) {
      assertThatThrownBy(() -> replay(cut, memory)).hasMessageContaining("truncated");
    }
  }
}
