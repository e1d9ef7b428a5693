package io.anillo.vmm.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.x86.interpret.SmallMachine;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Signals that bring a thread out of the guest. */
@Timeout(value = 1, unit = TimeUnit.MINUTES)
class VcpuKickTest {
  private static final int SIGNAL = 40;
  private static final int ANOTHER_PROCESSOR = 1;

  private final HostSystem system = new HostSystem();

  /** The entry that a delayed kick is for may be later than the kick. */
  @Test
  void aDelayedKickThatComesBeforeTheEntryIsNotLost() throws Exception {
    try (SmallMachine small = new SmallMachine();
        HardwareMachine hardware = new HardwareMachine(small)) {
      int descriptor =
          system.ioctl(hardware.machine.descriptor(), KvmNumbers.CREATE_VCPU, ANOTHER_PROCESSOR);
      try {
        VcpuKick kick = new VcpuKick();
        kick.adopt(system, descriptor);
        kick.send();
        kick.enter();
        assertThat(system.take(SIGNAL)).as("one that is not for the guest").isFalse();
        kick.leave(system);
        boolean pending = false;
        for (int i = 0; i < 1000 && !pending; i++) {
          kick.sendLater(0);
          Thread.sleep(2);
          kick.enter();
          pending = system.take(SIGNAL);
          kick.leave(system);
        }
        assertThat(pending).isTrue();
      } finally {
        system.close(descriptor);
      }
    }
  }
}
