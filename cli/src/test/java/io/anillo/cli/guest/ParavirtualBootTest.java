package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.hypercall.Hypercall;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.machine.MachineExit;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.ToLongFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The default guest's unmodified kernel finds the paravirtual interface, and what that saves. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class ParavirtualBootTest {
  /** With two, interrupts for one other go without a call. */
  private static final int CPUS = 3;

  /** Linux's interrupts for all others need no call either, unless they are sent by a mask. */
  private static final String BY_MASK = " no_ipi_broadcast=1";

  /** Programs that begin and end on all processors. */
  private static final String BUSY =
      "for i in 1 2 3 4 5 6; do (for j in $(seq 40); do busybox true | busybox cat; done) & done;"
          + " wait";

  /** What a boot with its power-off took, and what the guest said of itself. */
  private record Boot(
      Map<ExitReason, Long> exits,
      long endsByMemory,
      String log,
      String clocks,
      Map<Hypercall, Long> calls,
      long flushesSaved) {
    long controllerAndTimer() {
      return exits.getOrDefault(ExitReason.INTERRUPT_CONTROLLER, 0L)
          + exits.getOrDefault(ExitReason.TIMER, 0L);
    }
  }

  private static Boot boot(boolean paravirtual) throws Exception {
    try (LinuxGuest guest =
        LinuxGuest.boot(config ->
            config
                .withCpus(CPUS)
                .withParavirtual(paravirtual)
                .withCommandLine(config.commandLine() + BY_MASK))) {
      guest.console.expectShell();
      Map<ExitReason, Long> exits = guest.machine.exits();
      String log = guest.console.run("dmesg");
      String clocks =
          guest.console.run(
              "cat /sys/devices/system/clocksource/clocksource0/available_clocksource");
      guest.console.run(BUSY);
      assertThat(guest.console.run("date +%Y")).isBetween("2024", "2100");
      if (paravirtual) {
        panic(guest);
      } else {
        guest.console.send("poweroff -f\n");
        assertThat(guest.awaitExit()).isEqualTo(new MachineExit.PoweredOff());
      }
      long endsByMemory = 0;
      for (int i = 0; i < CPUS; i++) {
        endsByMemory += guest.machine.board().localApic(i).metrics().endsByMemory();
      }
      Map<Hypercall, Long> calls = new EnumMap<>(Hypercall.class);
      for (Hypercall kind : Hypercall.values()) {
        calls.put(kind, sum(guest, processor -> processor.calls(kind)));
      }
      long flushesSaved = sum(guest, ParavirtualProcessor::tlbFlushesSaved);
      return new Boot(exits, endsByMemory, log, clocks, calls, flushesSaved);
    }
  }

  private static long sum(LinuxGuest guest, ToLongFunction<ParavirtualProcessor> counter) {
    return guest.machine.processors().stream()
        .map(VirtualCpu::paravirtual)
        .filter(Objects::nonNull)
        .mapToLong(counter)
        .sum();
  }

  /** The kernel tells of its panic by pvpanic. */
  private static void panic(LinuxGuest guest) throws InterruptedException {
    assertThat(guest.machine.board().guestPanicked()).isFalse();
    guest.console.send("echo c >/proc/sysrq-trigger\n");
    guest.console.expect("Kernel panic - not syncing");
    while (!guest.machine.board().guestPanicked()) {
      Thread.sleep(10);
    }
  }

  @Test
  void anUnmodifiedKernelUsesItAndAccessesControllersAndTimersLess() throws Exception {
    Boot off = boot(false);
    Boot on = boot(true);
    assertThat(off.log()).doesNotContain("Hypervisor detected: KVM");
    assertThat(off.clocks()).doesNotContain("kvm-clock");
    assertThat(off.exits().get(ExitReason.HYPERCALL)).isZero();
    assertThat(off.endsByMemory()).isZero();
    assertThat(on.log())
        .contains("Hypervisor detected: KVM")
        .contains("kvm-clock: Using msrs 4b564d01 and 4b564d00")
        .contains("kvm-guest: setup PV IPIs")
        .contains("PV spinlocks enabled")
        .contains("setup PV sched yield")
        .contains("setup pv remote TLB flush")
        .contains("Booting paravirtualized kernel on KVM");
    assertThat(on.clocks()).contains("kvm-clock");
    assertThat(on.endsByMemory()).isGreaterThan(100);
    System.out.printf("calls %s, flushes saved %d%n", on.calls(), on.flushesSaved());
    assertThat(on.calls().get(Hypercall.SEND_IPI)).isPositive();
    assertThat(on.calls().get(Hypercall.REFUSED)).isZero();
    System.out.printf(
        "interrupt-controller and timer accesses until the shell: %d without, %d with the"
            + " paravirtual interface%n",
        off.controllerAndTimer(), on.controllerAndTimer());
    assertThat(on.controllerAndTimer()).isLessThan(off.controllerAndTimer() * 2 / 3);
  }
}
