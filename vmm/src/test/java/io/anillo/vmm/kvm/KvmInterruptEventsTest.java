package io.anillo.vmm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.kvm.InterruptMessageCost.Target;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Messages by {@code KVM_IRQFD} to a guest that counts the interrupts that it takes. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class KvmInterruptEventsTest {
  private static final int MESSAGES = 200;

  private static void sendAndAwait(Target target) {
    int before = target.handled();
    target.byCounter.send(0, false, 0, InterruptMessageCost.VECTOR, false);
    while (target.handled() == before && !Thread.currentThread().isInterrupted()) {
      Thread.onSpinWait();
    }
  }

  @Test
  void everyMessageArrivesAlsoAfterTheCountersWereTakenAway() throws Exception {
    Optional<String> lack = KvmProbe.whyNoLocalApics(HostSystem::new);
    assumeTrue(lack.isEmpty(), "the hardware cannot be used: " + lack.orElse(""));
    try (Target target = new Target()) {
      Thread guest = Thread.ofPlatform().start(() -> target.cpu.run(Long.MAX_VALUE));
      for (int i = 0; i < MESSAGES; i++) {
        if (i == MESSAGES / 2) {
          target.byCounter.settle();
        }
        sendAndAwait(target);
      }
      assertThat(target.handled()).isEqualTo(MESSAGES);
      assertThat(target.byCounter.eventMessages()).isEqualTo(MESSAGES);
      // By level, and of another kind than an interrupt's: these go by calls.
      target.byCounter.send(0, false, 0, InterruptMessageCost.VECTOR, true);
      target.byCounter.send(7, false, 5, 0, false);
      assertThat(target.byCounter.messages()).isEqualTo(MESSAGES + 2);
      assertThat(target.byCounter.eventMessages()).isEqualTo(MESSAGES);
      target.cpu.kick();
      guest.join();
    }
  }

  @Test
  void aGuestThatSendsEverNewMessagesHasThemAll() throws Exception {
    Optional<String> lack = KvmProbe.whyNoLocalApics(HostSystem::new);
    assumeTrue(lack.isEmpty(), "the hardware cannot be used: " + lack.orElse(""));
    try (Target target = new Target()) {
      Thread guest = Thread.ofPlatform().start(() -> target.cpu.run(Long.MAX_VALUE));
      // To nobody: more than there are counters, and then one that counts.
      for (int i = 0; i < KvmInterruptEvents.MOST + 10; i++) {
        target.byCounter.send(1 + i % 200, false, i / 200, 0x80, false);
        if (i % 50 == 0) {
          sendAndAwait(target);
        }
      }
      sendAndAwait(target);
      assertThat(target.byCounter.eventMessages()).isEqualTo(target.byCounter.messages());
      target.cpu.kick();
      guest.join();
    }
  }
}
