package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.hypercall.Hypercall;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.machine.MachineConfig.Engine;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** KVM's calls between processors, made by a guest of three; see calls.s. */
@Timeout(value = 1, unit = TimeUnit.MINUTES)
class InterprocessorCallsTest {
  private static final MachineExit WELL = new MachineExit.DebugExit(0x21);

  @ParameterizedTest
  @EnumSource(
      value = Engine.class,
      names = {"INTERPRET", "TRANSLATE", "TRANSLATE_EVERYTHING"})
  void kicksFlushesAndInterruptsReachTheirProcessors(Engine engine) throws Exception {
    MachineConfig config = FreestandingGuest.config("calls").withCpus(3).withEngine(engine);
    try (Machine machine = Machine.create(config)) {
      assertThat(machine.run()).isEqualTo(WELL);
      for (Hypercall kind : Hypercall.values()) {
        assertThat(of(machine, 0).calls(kind))
            .as("%s", kind)
            .isEqualTo(kind == Hypercall.OWN ? 0 : 1);
      }
      assertThat(of(machine, 1).tlbFlushesSaved()).isEqualTo(1);
    }
  }

  /** There the host's kernel carries them out. */
  @Test
  void theSameWhereTheHostsKernelHasTheLocalApics() throws Exception {
    assumeTrue(
        KvmProbe.answersCalls(), "this host's KVM cannot be used, or does not answer hypercalls");
    MachineConfig config =
        FreestandingGuest.config("calls").withCpus(3).withEngine(Engine.KVM_LOCAL_APICS);
    try (Machine machine = Machine.create(config)) {
      assertThat(machine.run()).isEqualTo(WELL);
    }
  }

  private static ParavirtualProcessor of(Machine machine, int cpu) {
    return Objects.requireNonNull(machine.processors().get(cpu).paravirtual());
  }
}
