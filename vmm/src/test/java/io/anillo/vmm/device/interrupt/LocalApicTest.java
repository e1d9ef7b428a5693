package io.anillo.vmm.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.cpu.LocalInterrupts.UnknownMsrException;
import io.anillo.vmm.machine.TestBoard;
import io.anillo.vmm.machine.TestMachine;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LocalApicTest {
  private static final int ID = 0x20,
      VERSION = 0x30,
      TPR = 0x80,
      PPR = 0xA0,
      EOI = 0xB0,
      LDR = 0xD0,
      DFR = 0xE0;
  private static final int SVR = 0xF0,
      ISR = 0x100,
      IRR = 0x200,
      ESR = 0x280,
      ICR = 0x300,
      ICR_HIGH = 0x310;
  private static final int LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_ERROR = 0x370;
  private static final int TIMER_INITIAL = 0x380, TIMER_CURRENT = 0x390, TIMER_DIVIDE = 0x3E0;
  private static final int MSR_BASE = 0x1B, MSR_DEADLINE = 0x6E0;
  private static final long X2APIC = 0xFEE00C00L;

  private final TestMachine machine = new TestMachine(3);

  LocalApicTest() {
    for (int cpu = 0; cpu < 3; cpu++) {
      machine.apic(cpu, SVR, 0x1FF);
    }
  }

  @AfterEach
  void close() {
    machine.close();
  }

  private void sendFrom(int cpu, int destination, int command) {
    machine.apic(cpu, ICR_HIGH, destination << 24);
    machine.apic(cpu, ICR, command);
  }

  @Test
  void everyProcessorSeesItsOwnController() {
    assertThat(machine.apic(0, ID)).isZero();
    assertThat(machine.apic(2, ID)).isEqualTo(2 << 24);
    assertThat(machine.apic(1, VERSION)).isEqualTo(0x00050014);
    assertThat(machine.interrupts(0).readMsr(MSR_BASE)).isEqualTo(0xFEE00900L);
    assertThat(machine.interrupts(1).readMsr(MSR_BASE)).isEqualTo(0xFEE00800L);
  }

  @Test
  void fixedInterruptsGoThroughRequestServiceAndEnd() {
    sendFrom(0, 1, 0x4051);
    assertThat(machine.apic(1, IRR + 0x20)).isEqualTo(1 << 0x11);
    assertThat(machine.take(0)).isEqualTo(-1);
    assertThat(machine.take(1)).isEqualTo(0x51);
    assertThat(machine.apic(1, ISR + 0x20)).isEqualTo(1 << 0x11);
    assertThat(machine.apic(1, PPR)).isEqualTo(0x50);
    machine.apic(1, EOI, 0);
    assertThat(machine.apic(1, ISR + 0x20)).isZero();
    assertThat(machine.signals.get(1).kicks).isPositive();
  }

  @Test
  void priorityDecidesWhatIsDelivered() {
    sendFrom(0, 1, 0x4051);
    sendFrom(0, 1, 0x4061);
    assertThat(machine.take(1)).isEqualTo(0x61);
    assertThat(machine.interrupts(1).pending()).isFalse();
    sendFrom(0, 1, 0x4068);
    assertThat(machine.interrupts(1).pending()).as("same class").isFalse();
    machine.apic(1, EOI, 0);
    assertThat(machine.take(1)).isEqualTo(0x68);
    machine.apic(1, EOI, 0);
    machine.interrupts(1).setTaskPriorityClass(5);
    assertThat(machine.apic(1, TPR)).isEqualTo(0x50);
    assertThat(machine.interrupts(1).pending()).isFalse();
    machine.apic(1, TPR, 0x40);
    assertThat(machine.interrupts(1).taskPriorityClass()).isEqualTo(4);
    assertThat(machine.take(1)).isEqualTo(0x51);
  }

  @Test
  void shorthandsReachSelfAllAndOthers() {
    sendFrom(1, 0, 0x44051);
    assertThat(machine.take(1)).isEqualTo(0x51);
    sendFrom(1, 0, 0xC4052);
    assertThat(machine.take(0)).isEqualTo(0x52);
    assertThat(machine.take(1)).isEqualTo(-1);
    assertThat(machine.take(2)).isEqualTo(0x52);
    sendFrom(1, 0, 0x84063);
    assertThat(machine.take(0)).isEqualTo(0x63);
    assertThat(machine.take(1)).isEqualTo(0x63);
    assertThat(machine.take(2)).isEqualTo(0x63);
    sendFrom(1, 0xFF, 0x4074);
    assertThat(machine.take(0)).as("physical broadcast").isEqualTo(0x74);
    assertThat(machine.take(2)).isEqualTo(0x74);
  }

  @Test
  void startUpMessagesReachTheProcessor() {
    sendFrom(0, 1, 0xC500);
    sendFrom(0, 1, 0x8500); // de-assert
    sendFrom(0, 1, 0x469B);
    sendFrom(0, 2, 0x4400);
    assertThat(machine.signals.get(1).events).containsExactly("init", "startup 155");
    assertThat(machine.signals.get(2).events).containsExactly("nmi");
    assertThat(machine.signals.get(0).events).isEmpty();
  }

  @Test
  void logicalDestinationsFlatAndCluster() {
    for (int cpu = 0; cpu < 3; cpu++) {
      machine.apic(cpu, LDR, 1 << 24 + cpu);
    }
    sendFrom(0, 0b110, 0x4851);
    assertThat(machine.take(0)).isEqualTo(-1);
    assertThat(machine.take(1)).isEqualTo(0x51);
    assertThat(machine.take(2)).isEqualTo(0x51);
    for (int cpu = 0; cpu < 3; cpu++) {
      machine.apic(cpu, DFR, 0x0FFFFFFF);
      machine.apic(cpu, LDR, (cpu == 2 ? 0x21 : 0x11 + cpu) << 24);
    }
    sendFrom(0, 0x13, 0x4871);
    assertThat(machine.take(0)).isEqualTo(0x71);
    assertThat(machine.take(1)).isEqualTo(0x71);
    assertThat(machine.take(2)).isEqualTo(-1);
  }

  @Test
  void lowestPriorityChoosesOneProcessor() {
    for (int cpu = 0; cpu < 3; cpu++) {
      machine.apic(cpu, LDR, 1 << 24 + cpu);
    }
    machine.apic(0, TPR, 0x40);
    machine.apic(1, TPR, 0x20);
    machine.apic(2, TPR, 0x30);
    machine.board.messageInterrupts().signal(0xFEE07004L, 0x0151);
    assertThat(machine.take(0)).isEqualTo(-1);
    assertThat(machine.take(1)).isEqualTo(0x51);
    assertThat(machine.take(2)).isEqualTo(-1);
  }

  @Test
  void messagesOfDevicesArrive() {
    machine.board.messageInterrupts().signal(0xFEE02000L, 0x0045);
    machine.board.messageInterrupts().signal(0xFED02000L, 0x0046);
    assertThat(machine.take(2)).isEqualTo(0x45);
    assertThat(machine.take(2)).isEqualTo(-1);
  }

  @Test
  void illegalVectorsAreErrors() {
    machine.apic(0, LVT_ERROR, 0xEE);
    sendFrom(0, 1, 0x4005);
    machine.apic(0, ESR, 0);
    assertThat(machine.apic(0, ESR)).isEqualTo(0x20);
    assertThat(machine.take(0)).isEqualTo(0xEE);
    machine.apic(0, ESR, 0);
    assertThat(machine.apic(0, ESR)).isZero();
  }

  @Test
  void softwareDisableMasksTheLocalVectors() {
    machine.apic(1, LVT_TIMER, 0x31);
    machine.apic(1, SVR, 0xFF);
    assertThat(machine.apic(1, LVT_TIMER)).isEqualTo(0x10031);
    sendFrom(0, 1, 0x4051);
    assertThat(machine.take(1)).isEqualTo(-1);
  }

  @Test
  void timerCountsDownOnceAndPeriodically() {
    machine.apic(0, LVT_TIMER, 0x31);
    machine.apic(0, TIMER_DIVIDE, 0x3); // by 16
    machine.apic(0, TIMER_INITIAL, 1_000_000);
    machine.advance(4_000_000);
    assertThat(machine.apic(0, TIMER_CURRENT)).isEqualTo(750_000);
    assertThat(machine.take(0)).isEqualTo(-1);
    machine.advance(12_000_000);
    assertThat(machine.take(0)).isEqualTo(0x31);
    assertThat(machine.apic(0, TIMER_CURRENT)).isZero();
    machine.apic(0, EOI, 0);
    machine.advance(100_000_000);
    assertThat(machine.take(0)).isEqualTo(-1);

    machine.apic(0, LVT_TIMER, 0x20032);
    machine.apic(0, TIMER_DIVIDE, 0xB); // by 1
    machine.apic(0, TIMER_INITIAL, 10_000_000);
    for (int i = 0; i < 5; i++) {
      machine.advance(10_000_000);
      assertThat(machine.take(0)).isEqualTo(0x32);
      machine.apic(0, EOI, 0);
    }
    machine.apic(0, TIMER_INITIAL, 0);
    machine.advance(100_000_000);
    assertThat(machine.take(0)).isEqualTo(-1);
  }

  @Test
  void tscDeadlineExpiresAtTheStamp() {
    machine.tscOffset[0] = 5_000_000;
    machine.interrupts(0).writeMsr(MSR_DEADLINE, 99);
    assertThat(machine.interrupts(0).readMsr(MSR_DEADLINE)).as("not in this mode").isZero();
    machine.apic(0, LVT_TIMER, 0x40033);
    machine.interrupts(0).writeMsr(MSR_DEADLINE, 7_000_000);
    assertThat(machine.interrupts(0).readMsr(MSR_DEADLINE)).isEqualTo(7_000_000);
    machine.advance(1_999_999);
    assertThat(machine.take(0)).isEqualTo(-1);
    machine.advance(1);
    assertThat(machine.take(0)).isEqualTo(0x33);
    assertThat(machine.interrupts(0).readMsr(MSR_DEADLINE)).isZero();
    machine.apic(0, EOI, 0);
    machine.interrupts(0).writeMsr(MSR_DEADLINE, 100_000_000);
    machine.interrupts(0).writeMsr(MSR_DEADLINE, 0);
    machine.advance(1_000_000_000);
    assertThat(machine.take(0)).isEqualTo(-1);
    machine.interrupts(0).writeMsr(MSR_DEADLINE, 3);
    machine.advance(0);
    assertThat(machine.take(0)).as("a deadline in the past").isEqualTo(0x33);
  }

  @Test
  void x2apicWorksThroughMsrs() {
    var apic = machine.interrupts(1);
    assertThatThrownBy(() -> apic.readMsr(0x802)).isInstanceOf(UnknownMsrException.class);
    apic.writeMsr(MSR_BASE, X2APIC);
    assertThat(apic.readMsr(0x802)).isEqualTo(1);
    assertThat(apic.readMsr(0x80D)).isEqualTo(2);
    assertThat(machine.apic(1, ID)).as("no page any more").isEqualTo(-1);
    machine.interrupts(0).writeMsr(MSR_BASE, X2APIC | 0x100);
    machine.interrupts(0).writeMsr(0x830, 0x00000001_00004051L);
    assertThat(machine.take(1)).isEqualTo(0x51);
    apic.writeMsr(0x80B, 0);
    apic.writeMsr(0x83F, 0x61);
    assertThat(machine.take(1)).isEqualTo(0x61);
    apic.writeMsr(0x80B, 0);
    machine.interrupts(0).writeMsr(0x830, 0x00000003_00004871L);
    assertThat(machine.take(0)).as("logical, cluster 0").isEqualTo(0x71);
    assertThat(machine.take(1)).isEqualTo(0x71);
    machine.interrupts(0).writeMsr(0x830, 0xFFFFFFFF_00004081L);
    assertThat(machine.take(0)).isEqualTo(0x81);
    assertThat(machine.take(2)).as("broadcast reaches the xAPIC").isEqualTo(0x81);
  }

  @Test
  void illegalMsrAccessesAreRefused() {
    var apic = machine.interrupts(0);
    assertThatThrownBy(() -> apic.writeMsr(MSR_BASE, 0xFEE00500L))
        .isInstanceOf(UnknownMsrException.class);
    assertThatThrownBy(() -> apic.writeMsr(MSR_BASE, 0xFEE00901L))
        .isInstanceOf(UnknownMsrException.class);
    assertThatThrownBy(() -> apic.writeMsr(MSR_BASE, 1L << 50))
        .isInstanceOf(UnknownMsrException.class);
    apic.writeMsr(MSR_BASE, X2APIC | 0x100);
    assertThatThrownBy(() -> apic.writeMsr(MSR_BASE, 0xFEE00900L))
        .isInstanceOf(UnknownMsrException.class);
    for (int index : new int[] {0x800, 0x801, 0x80B, 0x80E, 0x831, 0x83F, 0x8FF}) {
      assertThatThrownBy(() -> apic.readMsr(index)).isInstanceOf(UnknownMsrException.class);
    }
    assertThatThrownBy(() -> apic.writeMsr(0x80B, 1)).isInstanceOf(UnknownMsrException.class);
    assertThatThrownBy(() -> apic.writeMsr(0x802, 1)).isInstanceOf(UnknownMsrException.class);
    assertThatThrownBy(() -> apic.writeMsr(0x808, 0x100)).isInstanceOf(UnknownMsrException.class);
  }

  @Test
  void the8259sPassThroughLint0OfTheBootProcessor() {
    machine.out(0x20, 0x11);
    machine.out(0x21, 0x20);
    machine.out(0x21, 0x04);
    machine.out(0x21, 0x01);
    machine.out(0x21, 0xFE);
    machine.out(0x43, 0x34);
    machine.out(0x40, 0);
    machine.out(0x40, 0x10);
    machine.advance(10_000_000);
    assertThat(machine.take(0)).isEqualTo(0x20);
    assertThat(machine.take(1)).isEqualTo(-1);
    machine.out(0x20, 0x20);
    machine.apic(0, LVT_LINT0, 0x10700);
    machine.advance(10_000_000);
    assertThat(machine.take(0)).as("masked").isEqualTo(-1);
  }

  @Test
  void initLeavesOnlyTheIdentity() {
    machine.apic(2, TPR, 0x50);
    sendFrom(0, 2, 0x4061);
    machine.interrupts(2).initReset();
    assertThat(machine.interrupts(2).pending()).isFalse();
    assertThat(machine.apic(2, TPR)).isZero();
    assertThat(machine.apic(2, SVR)).isEqualTo(0xFF);
    assertThat(machine.apic(2, ID)).isEqualTo(2 << 24);
  }

  @Test
  void stateGoesRound() {
    machine.apic(1, LDR, 4 << 24);
    machine.apic(1, LVT_TIMER, 0x20031);
    machine.apic(1, TIMER_INITIAL, 5_000_000);
    sendFrom(0, 1, 0x4051);
    sendFrom(0, 1, 0x4061);
    machine.take(1);
    byte[] state = TestBoard.save(machine.board.localApic(1));
    try (TestMachine other = new TestMachine(3)) {
      TestBoard.restore(other.board.localApic(1), state);
      assertThat(TestBoard.save(other.board.localApic(1))).isEqualTo(state);
      other.apic(1, EOI, 0);
      assertThat(other.take(1)).isEqualTo(0x51);
      other.apic(1, EOI, 0);
      other.advance(10_000_000); // divided by two
      assertThat(other.take(1)).isEqualTo(0x31);
    }
  }

  /** The registers as the host's kernel would take them. */
  private static int given(MemorySegment page, int register) {
    return page.get(ValueLayout.JAVA_INT, register);
  }

  @Test
  void whatIsHandedToTheKernelHasNoOffersOfOurs() {
    long shared = 0x5000;
    LocalApic apic = machine.board.localApic(1);
    machine.interrupts(1).writeMsr(LocalApic.MSR_SHARED_END, shared | 1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment page = arena.allocate(1024, 8);
      sendFrom(0, 1, 0x4051);
      assertThat(machine.take(1)).isEqualTo(0x51);
      assertThat(machine.base.memory.getByte(shared)).as("offered").isEqualTo((byte) 1);
      apic.putRegisters(page);
      assertThat(given(page, ISR + 0x20)).as("still served").isEqualTo(1 << 0x11);
      assertThat(machine.base.memory.getByte(shared)).as("the guest has to write now").isZero();
      machine.apic(1, EOI, 0);

      sendFrom(0, 1, 0x4051);
      assertThat(machine.take(1)).isEqualTo(0x51);
      // The guest ends it by memory, and we have not looked yet.
      machine.base.memory.putByte(shared, (byte) 0);
      LocalInterrupts.Besides besides = apic.putRegisters(page);
      assertThat(given(page, ISR + 0x20)).as("ended").isZero();
      assertThat(besides).isEqualTo(new LocalInterrupts.Besides(0, shared | 1, -1));
    }
  }

  @Test
  void anInterruptUnderWayIsHandedOverAndTakenBack() {
    LocalApic apic = machine.board.localApic(1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment page = arena.allocate(1024, 8);
      sendFrom(0, 1, 0x4051);
      assertThat(machine.take(1)).isEqualTo(0x51);
      machine.interrupts(1).retract(0x51);
      LocalInterrupts.Besides besides = apic.putRegisters(page);
      assertThat(besides.underWay()).isEqualTo(0x51);
      assertThat(given(page, ISR + 0x20)).isEqualTo(1 << 0x11);
      assertThat(machine.take(1)).isEqualTo(0x51);
      machine.apic(1, EOI, 0);
      apic.takeRegisters(page, besides);
      StateWriter saved = new StateWriter();
      apic.save(saved);
      apic.reset();
      apic.restore(new StateReader(saved.toByteArray()));
      assertThat(machine.take(1)).as("on its way again").isEqualTo(0x51);
      assertThat(machine.apic(1, ISR + 0x20)).isEqualTo(1 << 0x11);
    }
  }

  @Test
  void theKernelHasTheIdWhereItWantsItInBothModes() {
    LocalApic apic = machine.board.localApic(2);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment page = arena.allocate(1024, 8);
      apic.putRegisters(page);
      assertThat(given(page, ID)).isEqualTo(2 << 24);
      machine.interrupts(2).writeMsr(MSR_BASE, X2APIC);
      apic.putRegisters(page);
      assertThat(given(page, ID)).isEqualTo(2 << 24);
    }
  }

  @Test
  void whatWasHandedOverIsNotTakenForWaiting() {
    InterruptFabric fabric = (InterruptFabric) machine.board.messageInterrupts();
    sendFrom(0, 1, 0x4051);
    assertThat(fabric.requested(1, false, 0x51)).isTrue();
    fabric.setCarrier(
        new LocalApicCarrier() {
          @Override
          public void send(int destination, boolean logical, int mode, int vector, boolean level) {}

          @Override
          public void settle() {}

          @Override
          public void redirectionChanged(long[] entries) {}
        });
    assertThat(fabric.requested(1, false, 0x51)).isFalse();
  }
}
