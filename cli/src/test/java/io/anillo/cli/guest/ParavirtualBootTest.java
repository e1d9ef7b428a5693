package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.machine.MachineExit;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The default guest's unmodified kernel finds the paravirtual interface, and what that saves. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class ParavirtualBootTest {
  private static final int CPUS = 2;

  /** What a boot with its power-off took, and what the guest said of itself. */
  private record Boot(
      Map<ExitReason, Long> exits, long endsByMemory, String log, String clocks, String features) {
    long controllerAndTimer() {
      return exits.getOrDefault(ExitReason.INTERRUPT_CONTROLLER, 0L)
          + exits.getOrDefault(ExitReason.TIMER, 0L);
    }
  }

  private static Boot boot(boolean paravirtual) throws Exception {
    try (LinuxGuest guest =
        LinuxGuest.boot(config -> config.withCpus(CPUS).withParavirtual(paravirtual))) {
      guest.console.expectShell();
      Map<ExitReason, Long> exits = guest.machine.exits();
      String log = guest.console.run("dmesg");
      String clocks =
          guest.console.run(
              "cat /sys/devices/system/clocksource/clocksource0/available_clocksource");
      String features = guest.console.run("grep -m1 flags /proc/cpuinfo");
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
      return new Boot(exits, endsByMemory, log, clocks, features);
    }
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
        .contains("Booting paravirtualized kernel on KVM");
    assertThat(on.clocks()).contains("kvm-clock");
    assertThat(on.endsByMemory()).isGreaterThan(100);
    System.out.printf(
        "interrupt-controller and timer accesses until the shell: %d without, %d with the"
            + " paravirtual interface%n",
        off.controllerAndTimer(), on.controllerAndTimer());
    assertThat(on.controllerAndTimer()).isLessThan(off.controllerAndTimer() * 2 / 3);
  }
}
