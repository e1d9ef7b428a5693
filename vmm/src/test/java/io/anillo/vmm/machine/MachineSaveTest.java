package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.hypercall.KvmInterface;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A machine saved in the middle of a computation ends it elsewhere with the same result. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class MachineSaveTest {
  // Where the guest tells how far it is; see checksum.s.
  private static final long STEPS = 0x100040;
  private static final long SUM = STEPS + 4;
  private static final long TICKS = STEPS + 8;
  private static final long RESULT = STEPS + 12;
  private static final int LAST_STEP = 3000;

  @TempDir private Path directory;

  private static MachineConfig config() {
    return FreestandingGuest.config("checksum");
  }

  private static int finish(Machine machine) throws InterruptedException {
    assertThat(machine.run()).isEqualTo(new MachineExit.DebugExit(0x21));
    GuestMemory memory = machine.memory();
    assertThat(memory.getInt(STEPS)).isEqualTo(LAST_STEP);
    assertThat(memory.getInt(RESULT)).isEqualTo(1);
    assertThat(memory.getInt(TICKS)).as("timer interrupts").isGreaterThan(10);
    return memory.getInt(SUM);
  }

  private static void awaitStep(Machine machine, int step) throws InterruptedException {
    while (machine.memory().getInt(STEPS) < step) {
      Thread.sleep(1);
    }
  }

  @Test
  void aRestoredMachineEndsWithTheSameResult() throws Exception {
    int expected;
    Path file = directory.resolve("machine");
    int ticks;
    long instructions;
    try (Machine machine = Machine.create(config())) {
      CompletableFuture<Integer> result =
          CompletableFuture.supplyAsync(() -> {
            try {
              return finish(machine);
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          });
      awaitStep(machine, LAST_STEP / 3);
      machine.save(file);
      instructions = machine.instructions();
      ticks = machine.memory().getInt(TICKS);
      // The saved machine itself goes on as if nothing had been.
      expected = result.get();
      assertThat(machine.instructions()).isGreaterThan(instructions);
    }
    for (int i = 0; i < 2; i++) {
      try (Machine restored = Machine.restore(config(), file)) {
        assertThat(restored.memory().getInt(STEPS)).isBetween(LAST_STEP / 3, LAST_STEP - 1);
        assertThat(restored.memory().getInt(TICKS)).isBetween(1, ticks + 1);
        assertThat(restored.instructions()).isBetween(1L, instructions);
        assertThat(finish(restored)).isEqualTo(expected);
      }
    }
  }

  @Test
  void aRestoredMachineSavesTheSame() throws Exception {
    Path file = directory.resolve("machine");
    Path again = directory.resolve("again");
    try (Machine machine = Machine.create(config())) {
      CompletableFuture<Void> run =
          CompletableFuture.runAsync(() -> {
            try {
              machine.run();
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
          });
      awaitStep(machine, 100);
      machine.stop();
      run.get();
      machine.save(file);
    }
    try (Machine restored = Machine.restore(config(), file)) {
      restored.save(again);
    }
    assertThat(again).hasSameBinaryContentAs(file);
    try (var files = Files.list(directory)) {
      assertThat(files).as("nothing is left beside them").containsExactlyInAnyOrder(file, again);
    }
  }

  /** Engines differ in the frequency of the counter that the page is about. */
  @Test
  void theSharedClockSpeaksOfTheCounterOfTheEngineThatGoesOn() throws Exception {
    Path file = directory.resolve("machine");
    long page = 0x3000;
    int multiplier;
    try (Machine machine = Machine.create(config())) {
      ParavirtualProcessor aware = machine.processors().getFirst().paravirtual();
      assertThat(aware).isNotNull();
      aware.write(KvmInterface.MSR_SYSTEM_TIME, page | 1);
      multiplier = machine.memory().getInt(page + 24);
      machine.memory().putInt(page + 24, multiplier / 2);
      machine.save(file);
    }
    try (Machine restored = Machine.restore(config(), file)) {
      assertThat(restored.memory().getInt(page + 24)).isEqualTo(multiplier);
      assertThat(restored.memory().getInt(page) & 1).as("version").isZero();
    }
  }

  @Test
  void otherFilesAndOtherMachinesAreRefused() throws Exception {
    Path file = directory.resolve("machine");
    try (Machine machine = Machine.create(config())) {
      machine.save(file);
    }
    assertThatThrownBy(() -> Machine.restore(config().withCpus(2), file))
        .isInstanceOf(StateException.class)
        .hasMessageContaining("1 processors; this one");
    byte[] bytes = Files.readAllBytes(file);
    for (int length = 0; length < bytes.length; length += bytes.length / 40) {
      Path cut = directory.resolve("cut");
      Files.write(cut, java.util.Arrays.copyOf(bytes, length));
      assertThatThrownBy(() -> Machine.restore(config(), cut)).isInstanceOf(StateException.class);
    }
    assertThatThrownBy(() -> Machine.restore(config(), directory.resolve("none")))
        .isInstanceOf(IOException.class);
  }
}
