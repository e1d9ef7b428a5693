package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.port.Clock;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A host that again and again leaves the machine without a processor for longer than Linux tests
 * its timer: 160 million ticks of the time stamp counter, which are 160 ms here.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class LateHostTest {
  private static final long EVERY_NANOS = 10_000_000, LEAP_NANOS = 250_000_000;

  /** The host's clock, which leaps ahead at the end of every interval. */
  private static final class LeapingClock implements Clock {
    private final Clock host = Clock.system();
    private final long begin = host.monotonicNanos();

    @Override
    public long monotonicNanos() {
      long passed = host.monotonicNanos() - begin;
      return passed + passed / EVERY_NANOS * LEAP_NANOS;
    }

    @Override
    public long wallNanos() {
      return host.wallNanos();
    }
  }

  @Test
  void linuxFindsItsTimerWorkingWithoutParavirtualHelp() throws Exception {
    try (LinuxGuest guest =
        LinuxGuest.boot(config ->
            config
                .withCommandLine("console=ttyS0")
                .withParavirtual(false)
                .withClock(new LeapingClock()))) {
      guest.console.expect("..TIMER: vector=");
      String test = guest.console.expect("Calibrating delay loop");
      assertThat(test).doesNotContain("not connected").doesNotContain("failed");
    }
  }
}
