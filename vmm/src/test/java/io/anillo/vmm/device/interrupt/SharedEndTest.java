package io.anillo.vmm.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.cpu.LocalInterrupts.UnknownMsrException;
import io.anillo.vmm.machine.TestBoard;
import io.anillo.vmm.machine.TestMachine;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Ends of interrupt by a bit in memory. */
class SharedEndTest {
  private static final int WORD = 0x6000;
  private static final int EOI = 0xB0, ISR_2 = 0x120, SELF = 0x40000;

  private final TestMachine machine = new TestMachine(1);
  private final LocalApic apic = machine.board.localApic(0);

  SharedEndTest() {
    machine.apic(0, 0xF0, 0x1FF);
    machine.interrupts(0).writeMsr(LocalApic.MSR_SHARED_END, WORD | 1);
  }

  @AfterEach
  void close() {
    machine.close();
  }

  private void request(int vector) {
    machine.apic(0, 0x300, SELF | vector);
  }

  private int bit() {
    return machine.base.memory.getInt(WORD);
  }

  /** What Linux does at the end of an interrupt. */
  private boolean endWithoutAccess() {
    if (bit() == 0) {
      return false;
    }
    machine.base.memory.putInt(WORD, 0);
    return true;
  }

  @Test
  void anInterruptEndsWithoutAnAccess() {
    request(0x41);
    assertThat(machine.take(0)).isEqualTo(0x41);
    long accesses = apic.metrics().accesses();
    assertThat(endWithoutAccess()).isTrue();
    assertThat(apic.metrics().accesses()).isEqualTo(accesses);
    request(0x41);
    assertThat(machine.take(0)).as("not held up by the one before").isEqualTo(0x41);
    assertThat(apic.metrics().endsByMemory()).isEqualTo(1);
  }

  @Test
  void aRequestBehindItIsDeliveredWhenItsEndIsSeen() {
    request(0x45);
    assertThat(machine.take(0)).isEqualTo(0x45);
    request(0x41);
    assertThat(endWithoutAccess()).as("the access of the request took notice").isTrue();
    assertThat(machine.take(0)).isEqualTo(0x41);
  }

  @Test
  void whereTheProcessorLooksInBetweenTheGuestHasToWrite() {
    request(0x45);
    assertThat(machine.take(0)).isEqualTo(0x45);
    request(0x41);
    assertThat(machine.take(0)).as("lower than the one in service").isEqualTo(-1);
    assertThat(machine.interrupts(0).pending()).isFalse();
    assertThat(endWithoutAccess()).isFalse();
    machine.apic(0, EOI, 0);
    assertThat(machine.take(0)).isEqualTo(0x41);
  }

  @Test
  void nestedInterruptsAreNotShared() {
    request(0x41);
    assertThat(machine.take(0)).isEqualTo(0x41);
    request(0x61);
    assertThat(machine.take(0)).isEqualTo(0x61);
    assertThat(bit()).isZero();
    machine.apic(0, EOI, 0);
    assertThat(machine.apic(0, ISR_2)).isEqualTo(1 << 1);
    machine.apic(0, EOI, 0);
    assertThat(machine.apic(0, ISR_2)).isZero();
  }

  @Test
  void levelTriggeredInterruptsAreNotShared() {
    machine.board.localApic(0).deliver(InterruptFabric.FIXED, 0x55, true);
    assertThat(machine.take(0)).isEqualTo(0x55);
    assertThat(bit()).isZero();
  }

  @Test
  void aGuestMayWriteToTheRegisterAllTheSame() {
    request(0x41);
    assertThat(machine.take(0)).isEqualTo(0x41);
    machine.apic(0, EOI, 0);
    assertThat(bit()).isZero();
    assertThat(machine.apic(0, ISR_2)).isZero();
  }

  @Test
  void anOfferSurvivesSavingAndRestoring() {
    request(0x41);
    assertThat(machine.take(0)).isEqualTo(0x41);
    byte[] saved = TestBoard.save(apic);
    apic.reset();
    TestBoard.restore(apic, saved);
    assertThat(endWithoutAccess()).isTrue();
    assertThat(machine.apic(0, ISR_2)).isZero();
    assertThat(TestBoard.save(apic)).isNotEqualTo(saved);
  }

  @Test
  void onlyMemoryIsTaken() {
    for (long value : new long[] {0x1000_0001L, -3, WORD | 3}) {
      assertThatThrownBy(() -> machine.interrupts(0).writeMsr(LocalApic.MSR_SHARED_END, value))
          .isInstanceOf(UnknownMsrException.class);
    }
    assertThat(machine.interrupts(0).readMsr(LocalApic.MSR_SHARED_END)).isEqualTo(WORD | 1);
  }
}
