package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.cpu.CpuStateRecord;
import io.anillo.vmm.machine.FreestandingGuest.Keyboard;
import io.anillo.vmm.memory.MemoryDigest;
import io.anillo.vmm.state.StateWriter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A recorded machine and its replay end with the same memory, processor and devices. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class MachineReplayTest {
  // Where the guest counts; see replay.s.
  private static final int COUNTERS_BEFORE_END = 16;

  private record End(
      MachineExit exit, long instructions, String memory, String processor, int characters) {}

  private static MachineConfig config(Keyboard keyboard) {
    return FreestandingGuest.config("replay").withSerial(List.of(keyboard));
  }

  private static End run(Machine machine) throws InterruptedException {
    MachineExit exit = machine.run();
    StateWriter out = new StateWriter();
    CpuStateRecord.save(machine.processors().getFirst().state(), out);
    long counters = 0x100000 + FreestandingGuest.image("replay").remaining() - COUNTERS_BEFORE_END;
    return new End(
        exit,
        machine.instructions(),
        MemoryDigest.sha256(machine.memory()),
        HexFormat.of().formatHex(out.toByteArray()),
        machine.memory().getInt(counters + 8));
  }

  private static End record(ByteArrayOutputStream log, long seed, int stopAfterMillis)
      throws BootException, InterruptedException {
    Keyboard keyboard = new Keyboard();
    try (Machine machine = Machine.record(config(keyboard), log)) {
      Thread typist = Thread.ofPlatform().daemon().start(() -> type(keyboard, machine, seed));
      if (stopAfterMillis > 0) {
        Thread.ofPlatform()
            .daemon()
            .start(() -> {
              sleep(stopAfterMillis);
              machine.stop();
            });
      }
      End end = run(machine);
      typist.interrupt();
      typist.join();
      return end;
    }
  }

  private static void type(Keyboard keyboard, Machine machine, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    while (!Thread.currentThread().isInterrupted()) {
      byte[] bytes = new byte[1 + random.nextInt(4)];
      random.nextBytes(bytes);
      keyboard.type(bytes);
      // Kicks for nothing must not be seen either.
      machine.processors().getFirst().kick();
      sleep(1 + random.nextInt(3));
    }
  }

  private static void sleep(int millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static End replay(byte[] log) throws BootException, IOException, InterruptedException {
    try (Machine machine = Machine.replay(config(new Keyboard()), new ByteArrayInputStream(log))) {
      return run(machine);
    }
  }

  @Test
  void aReplayEndsAsItsRecordingDid() throws Exception {
    for (long seed = 1; seed <= 2; seed++) {
      ByteArrayOutputStream log = new ByteArrayOutputStream();
      End recorded = record(log, seed, 0);
      assertThat(recorded.exit()).isEqualTo(new MachineExit.DebugExit(0x21));
      assertThat(recorded.characters()).as("characters that the guest got").isPositive();
      assertThat(replay(log.toByteArray())).isEqualTo(recorded);
      assertThat(replay(log.toByteArray())).as("once more").isEqualTo(recorded);
    }
  }

  @Test
  void twoRecordingsDiffer() throws Exception {
    End one = record(new ByteArrayOutputStream(), 3, 0);
    End other = record(new ByteArrayOutputStream(), 3, 0);
    assertThat(one.memory()).isNotEqualTo(other.memory());
  }

  @Test
  void aReplayStopsWhereTheRecordedMachineWasStopped() throws Exception {
    for (int millis : new int[] {30, 77, 105}) {
      ByteArrayOutputStream log = new ByteArrayOutputStream();
      End recorded = record(log, millis, millis);
      assertThat(recorded.exit()).isEqualTo(new MachineExit.Stopped());
      assertThat(replay(log.toByteArray())).isEqualTo(recorded);
    }
  }

  @Test
  void severalProcessorsAreNotRecorded() {
    assertThatThrownBy(
            () -> Machine.record(config(new Keyboard()).withCpus(2), new ByteArrayOutputStream()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("one processor");
  }
}
