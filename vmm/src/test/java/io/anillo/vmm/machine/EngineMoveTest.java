package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.kvm.KvmException;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.kvm.KvmVirtualMachine;
import io.anillo.vmm.machine.MachineConfig.Engine;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A machine goes from engine to engine in the middle of a computation in ring 3 and ring 0, and
 * ends it with the result of one that was not disturbed; see rings.s.
 */
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class EngineMoveTest {
  private static final long STEPS = 0x100040;
  private static final long SUM = STEPS + 4, TICKS = STEPS + 8, RESULT = STEPS + 12;
  private static final int LAST_STEP = 3000;
  private static final MachineExit END = new MachineExit.DebugExit(0x21);

  /** What a machine that is to go on here must not show its guest. */
  private static Set<CpuFeature> missing = Set.of();

  @TempDir private Path directory;

  @BeforeAll
  static void requireKvm() {
    GuestMemory memory = new GuestMemory(1 << 20);
    try (KvmVirtualMachine machine = KvmVirtualMachine.open(memory)) {
      assertThat(machine.tscHertz()).isPositive();
      missing = machine.missingFeatures();
    } catch (KvmException e) {
      assumeTrue(false, "the hardware cannot be used: " + e.getMessage());
    } finally {
      memory.close();
    }
  }

  private static MachineConfig config(Engine engine) {
    return FreestandingGuest.config("rings").withEngine(engine).withoutFeatures(missing);
  }

  private static int result(Machine machine) {
    GuestMemory memory = machine.memory();
    assertThat(memory.getInt(STEPS)).isEqualTo(LAST_STEP);
    assertThat(memory.getInt(RESULT)).isEqualTo(1);
    assertThat(memory.getInt(TICKS)).as("timer interrupts").isPositive();
    return memory.getInt(SUM);
  }

  private static int undisturbed(Engine engine) throws BootException, InterruptedException {
    try (Machine machine = Machine.create(config(engine))) {
      assertThat(machine.run()).isEqualTo(END);
      return result(machine);
    }
  }

  /**
   * Runs until the guest has made some more steps, and saves it.
   *
   * @return false when it came to its end instead, because this thread was late
   */
  private boolean runFor(Machine machine, int steps, Path file) throws Exception {
    CompletableFuture<MachineExit> exit =
        CompletableFuture.supplyAsync(() -> {
          try {
            return machine.run();
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
        });
    int goal = machine.memory().getInt(STEPS) + steps;
    while (machine.memory().getInt(STEPS) < goal && !exit.isDone()) {
      Thread.onSpinWait();
    }
    machine.save(file);
    machine.stop();
    if (exit.get().equals(END)) {
      return false;
    }
    assertThat(exit.get()).isEqualTo(new MachineExit.Stopped());
    return true;
  }

  @Test
  void everyEngineHasTheSameResult() throws Exception {
    int expected = undisturbed(Engine.INTERPRET);
    assertThat(undisturbed(Engine.TRANSLATE)).isEqualTo(expected);
    assertThat(undisturbed(Engine.KVM)).isEqualTo(expected);
    assertThat(undisturbed(Engine.KVM_LOCAL_APICS)).isEqualTo(expected);
  }

  @Test
  void aMachineMovesFromEngineToEngineAndBack() throws Exception {
    int expected = undisturbed(Engine.INTERPRET);
    Path file = directory.resolve("machine");
    try (Machine machine = Machine.create(config(Engine.INTERPRET))) {
      assertThat(runFor(machine, 40, file)).isTrue();
    }
    List<Engine> way =
        List.of(
            Engine.KVM,
            Engine.TRANSLATE,
            Engine.KVM_LOCAL_APICS,
            Engine.KVM_LOCAL_APICS,
            Engine.INTERPRET,
            Engine.KVM_LOCAL_APICS,
            Engine.TRANSLATE,
            Engine.INTERPRET);
    int before = 0;
    for (Engine engine : way) {
      try (Machine machine = Machine.restore(config(engine), file)) {
        int step = machine.memory().getInt(STEPS);
        assertThat(step).as("is on its way on %s", engine).isBetween(before, LAST_STEP - 1);
        before = step;
        if (!runFor(machine, 20, file)) {
          assertThat(result(machine)).isEqualTo(expected);
          return;
        }
      }
    }
    try (Machine machine = Machine.restore(config(Engine.KVM), file)) {
      assertThat(machine.run()).isEqualTo(END);
      assertThat(result(machine)).isEqualTo(expected);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Engine.class,
      names = {"KVM", "KVM_LOCAL_APICS"})
  void severalProcessorsRunOnHardware(Engine engine) throws Exception {
    MachineConfig config = FreestandingGuest.config("several").withCpus(4).withEngine(engine);
    try (Machine machine = Machine.create(config)) {
      assertThat(machine.run()).isEqualTo(END);
    }
  }

  @Test
  void aGuestOfSeveralProcessorsKeepsItsHypercalls() throws Exception {
    Path file = directory.resolve("two");
    MachineConfig software =
        FreestandingGuest.config("litmus").withCpus(2).withoutFeatures(missing);
    try (Machine machine = Machine.create(software)) {
      machine.save(file);
    }
    MachineConfig hardware = software.withEngine(Engine.KVM);
    assertThatThrownBy(() -> restore(hardware, file))
        .isInstanceOf(StateException.class)
        .hasMessageContaining("paravirtual features");
    MachineConfig carried = software.withEngine(Engine.KVM_LOCAL_APICS);
    if (KvmProbe.answersCalls()) {
      restore(carried, file);
    } else {
      assertThatThrownBy(() -> restore(carried, file))
          .isInstanceOf(StateException.class)
          .hasMessageContaining("paravirtual features");
    }
    try (Machine machine = Machine.create(software.withParavirtual(false))) {
      machine.save(file);
    }
    restore(hardware.withParavirtual(false), file);
  }

  @Test
  void aGuestKeepsTheFeaturesThatItFound() throws Exception {
    Path file = directory.resolve("features");
    MachineConfig whole = FreestandingGuest.config("rings");
    MachineConfig less = whole.withoutFeatures(Set.of(CpuFeature.PCID, CpuFeature.RDSEED));
    try (Machine machine = Machine.create(whole)) {
      machine.save(file);
    }
    assertThatThrownBy(() -> restore(less, file))
        .isInstanceOf(StateException.class)
        .hasMessageContaining("pcid, rdseed");
    try (Machine machine = Machine.create(less)) {
      machine.save(file);
    }
    restore(whole, file);
    restore(less, file);
  }

  private static void restore(MachineConfig config, Path file) throws IOException {
    Machine.restore(config, file).close();
  }
}
