package io.anillo.cli.techniques;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What is counted is what the workloads are known to do; see workloads.s. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class WorkloadCountersTest {
  private static final int FEW = 1_280, MANY = 6_400;
  private static final long PATIENCE_MILLIS = 60_000;

  private static Measurement run(Workload workload, Technique technique, int rounds)
      throws InterruptedException {
    Outcome outcome = WorkloadRun.loop(workload, technique, rounds, PATIENCE_MILLIS);
    assertThat(outcome).as("%s under %s", workload, technique).isInstanceOf(Outcome.Measured.class);
    return ((Outcome.Measured) outcome).measurement();
  }

  /** How many instructions one round has; behind the six loops' labels in workloads.s. */
  private static int instructionsOfRound(Workload workload) {
    return switch (workload) {
      case COMPUTE -> 8;
      case PRIVILEGED -> 7;
      // xor, syscall, test, jnz, inc, sysret, dec, jnz
      case SYSTEM_CALLS -> 8;
      case PAGE_TABLES -> 6;
      case DEVICE -> 5;
      case CONTEXT_SWITCHES -> 14;
    };
  }

  private static Map<ExitReason, Long> exitsOfRounds(Workload workload, int rounds) {
    Map<ExitReason, Long> exits = new EnumMap<>(ExitReason.class);
    switch (workload) {
      case PRIVILEGED -> {
        exits.put(ExitReason.CPUID, (long) rounds);
        exits.put(ExitReason.MODEL_REGISTER, (long) rounds);
      }
      case DEVICE -> exits.put(ExitReason.PORT, 2L * rounds);
      case COMPUTE, SYSTEM_CALLS, PAGE_TABLES, CONTEXT_SWITCHES -> {}
    }
    return exits;
  }

  @ParameterizedTest
  @EnumSource(Workload.class)
  void softwareCountsExactly(Workload workload) throws InterruptedException {
    for (Technique technique : new Technique[] {Technique.INTERPRET, Technique.TRANSLATE}) {
      Measurement few = run(workload, technique, FEW);
      Measurement many = run(workload, technique, MANY);
      assertThat(many.instructions() - few.instructions())
          .as("instructions of %d rounds under %s", MANY - FEW, technique)
          .isEqualTo((long) instructionsOfRound(workload) * (MANY - FEW));
      Map<ExitReason, Long> expected = exitsOfRounds(workload, MANY - FEW);
      for (ExitReason reason : ExitReason.values()) {
        assertThat(many.exits().get(reason) - few.exits().get(reason))
            .as("%s under %s", reason, technique)
            .isEqualTo(expected.getOrDefault(reason, 0L));
      }
    }
  }

  @Test
  void anAwareGuestCallsOnceForEachBatch() throws InterruptedException {
    Measurement few = run(Workload.DEVICE, Technique.PARAVIRTUAL, FEW);
    Measurement many = run(Workload.DEVICE, Technique.PARAVIRTUAL, MANY);
    assertThat(few.exits().get(ExitReason.HYPERCALL)).isEqualTo(FEW / Workload.BATCH);
    assertThat(many.exits().get(ExitReason.HYPERCALL)).isEqualTo(MANY / Workload.BATCH);
    assertThat(many.exits().get(ExitReason.PORT)).isEqualTo(few.exits().get(ExitReason.PORT));
  }

  @Test
  void hardwareExitsAreCountedExactly() throws InterruptedException {
    KvmProbe.Result hardware = KvmProbe.measure();
    assumeTrue(
        hardware.instructionsPerSecond() > 0,
        "the hardware cannot be used: " + hardware.sentence());
    for (Workload workload : new Workload[] {Workload.PRIVILEGED, Workload.DEVICE}) {
      Measurement few = run(workload, Technique.HARDWARE, FEW);
      Measurement many = run(workload, Technique.HARDWARE, MANY);
      for (ExitReason reason : new ExitReason[] {ExitReason.PORT, ExitReason.MODEL_REGISTER}) {
        assertThat(many.exits().get(reason) - few.exits().get(reason))
            .as("%s of %s", reason, workload)
            .isEqualTo(exitsOfRounds(workload, MANY - FEW).getOrDefault(reason, 0L));
      }
    }
  }

  @Test
  void timeIsFoundWhereTheWorkIs() throws InterruptedException {
    Measurement compute = run(Workload.COMPUTE, Technique.INTERPRET, 2_000_000);
    assertThat(compute.percent(Place.RING_3)).isGreaterThan(80);
    Measurement tables = run(Workload.PAGE_TABLES, Technique.INTERPRET, 300_000);
    assertThat(tables.percent(Place.RING_0)).isGreaterThan(60);
    Measurement device = run(Workload.DEVICE, Technique.INTERPRET, 200_000);
    assertThat(device.percent(Place.MONITOR)).isGreaterThan(20);
    assertThat(device.nanosPerExit()).isPositive();
    assertThat(
            compute.percent(Place.RING_3)
                + compute.percent(Place.RING_0)
                + compute.percent(Place.MONITOR))
        .isBetween(98, 102);
  }

  @Test
  void aReportNamesEverything() throws InterruptedException {
    Report report = new Report("KVM <tested>");
    Map<Technique, Outcome> outcomes = new EnumMap<>(Technique.class);
    outcomes.put(
        Technique.INTERPRET, WorkloadRun.loop(Workload.DEVICE, Technique.INTERPRET, FEW, 60_000));
    outcomes.put(Technique.HARDWARE, new Outcome.Absent("there is none"));
    report.add("device", "bytes", "because", outcomes);
    assertThat(report.table())
        .contains("interpretation", "port 2561", "-- there is none", "because");
    assertThat(report.json().toString()).contains("port=2561", "absent=there is none");
    assertThat(ReportPage.of(report))
        .contains("<svg", "KVM &lt;tested&gt;", "not measured", "there is none");
  }
}
